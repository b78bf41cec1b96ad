"""Importing this package registers every model component."""
from .backbones import (PlainPointTransformer, PointPatchEmbed,
                        PointTokenBackbone)
from .dense_heads import RotatedGroupFree3DHead
from .heads import GlobalFeatureHead, MaskedTokenHead, RegionDistillHead
from .losses import DistillLoss, GroupBalancedDistillLoss
from .necks import MaskedTokenDecoder
from .pretrainers import (FramePreprocessor, MaskedRegionDistillPretrainer,
                          MaskedTokenPretrainer, RegionDistillPretrainer)
from .target_generators import RegionFeatureTargets, TeacherTokenTargets
from .tokenizers import KNNTokenizer, SAMTokenizer

__all__ = [
    'DistillLoss', 'FramePreprocessor', 'GlobalFeatureHead',
    'GroupBalancedDistillLoss', 'KNNTokenizer',
    'MaskedRegionDistillPretrainer', 'MaskedTokenDecoder', 'MaskedTokenHead',
    'MaskedTokenPretrainer', 'PlainPointTransformer', 'PointPatchEmbed',
    'PointTokenBackbone', 'RegionDistillHead', 'RegionDistillPretrainer',
    'RegionFeatureTargets', 'RotatedGroupFree3DHead', 'SAMTokenizer',
    'TeacherTokenTargets'
]
