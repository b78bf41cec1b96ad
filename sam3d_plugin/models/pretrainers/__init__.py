"""Pre-training methods, one file each."""
from .base import BasePretrainer, FeatureView, Predictions
from .frame_image_preprocessor import FrameImagePreprocessor
from .frame_preprocessor import FramePreprocessor
from .masked import MaskedPointPretrainer, MaskedPrediction
from .masked_region_distill import MaskedRegionDistillPretrainer
from .masked_token import MaskedTokenPretrainer
from .momentum_encoder import MomentumEncoder
from .point_pairs import PointPairPretrainer, PointPairs, check_pairs
from .region_distill import RegionDistillPretrainer
from .tokens import TokenPretrainer
from .views import check_image, origin_columns, split_views

__all__ = [
    'BasePretrainer', 'FeatureView', 'FrameImagePreprocessor',
    'FramePreprocessor', 'MaskedPointPretrainer', 'MaskedPrediction',
    'MaskedRegionDistillPretrainer', 'MaskedTokenPretrainer',
    'MomentumEncoder', 'PointPairPretrainer', 'PointPairs', 'Predictions',
    'RegionDistillPretrainer', 'TokenPretrainer', 'check_image', 'check_pairs',
    'origin_columns', 'split_views'
]
