"""Pre-training methods, one file each."""
from .base import BasePointPretrainer, TokenPredictions
from .frame_preprocessor import FramePreprocessor
from .masked import MaskedPointPretrainer, MaskedPrediction
from .masked_region_distill import MaskedRegionDistillPretrainer
from .masked_token import MaskedTokenPretrainer
from .region_distill import RegionDistillPretrainer

__all__ = [
    'BasePointPretrainer', 'FramePreprocessor', 'MaskedPointPretrainer',
    'MaskedPrediction', 'MaskedRegionDistillPretrainer',
    'MaskedTokenPretrainer', 'RegionDistillPretrainer', 'TokenPredictions'
]
