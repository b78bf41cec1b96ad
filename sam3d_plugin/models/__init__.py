"""Importing this package registers every model component."""
from ..libraries import prepare_libraries
from .backbones import (PlainPointTransformer, PointPatchEmbed,
                        PointTokenBackbone, SparseUNetBackbone,
                        SparseVoxelUNet, StockPointBackbone, ThreeDETRBackbone,
                        ThreeDETREncoder)
from .decode_heads import PointSegHead, PointTokenSegHead
from .dense_heads import (BoxSetAssigner, RepeatedBoxAssigner,
                          RotatedGroupFree3DHead, ThreeDETRBoxCoder,
                          ThreeDETRHead, VDETRBoxCoder, VDETRHead)
from .detectors import VDETR, ThreeDETR
from .heads import GlobalFeatureHead, MaskedTokenHead, RegionDistillHead
from .losses import DistillLoss, GroupBalancedDistillLoss
from .necks import MaskedTokenDecoder
from .pretrained import Pretrained
from .pretrainers import (FramePreprocessor, MaskedRegionDistillPretrainer,
                          MaskedTokenPretrainer, RegionDistillPretrainer)
from .segmentors import PointTokenSegmentor
from .target_generators import RegionFeatureTargets, TeacherTokenTargets
from .tokenizers import KNNTokenizer, SAMTokenizer

__all__ = [
    'BoxSetAssigner', 'DistillLoss', 'FramePreprocessor', 'GlobalFeatureHead',
    'GroupBalancedDistillLoss', 'KNNTokenizer',
    'MaskedRegionDistillPretrainer', 'MaskedTokenDecoder', 'MaskedTokenHead',
    'MaskedTokenPretrainer', 'PlainPointTransformer', 'PointPatchEmbed',
    'PointSegHead', 'PointTokenBackbone', 'PointTokenSegHead',
    'PointTokenSegmentor', 'Pretrained', 'RegionDistillHead',
    'RegionDistillPretrainer', 'RegionFeatureTargets', 'RepeatedBoxAssigner',
    'RotatedGroupFree3DHead', 'SAMTokenizer', 'SparseUNetBackbone',
    'SparseVoxelUNet', 'StockPointBackbone', 'TeacherTokenTargets',
    'ThreeDETR', 'ThreeDETRBackbone', 'ThreeDETRBoxCoder', 'ThreeDETREncoder',
    'ThreeDETRHead', 'VDETR', 'VDETRBoxCoder', 'VDETRHead'
]

prepare_libraries()
