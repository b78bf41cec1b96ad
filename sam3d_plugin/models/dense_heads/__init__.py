"""Heads that predict boxes from tokens."""
from .rotated_group_free_3d_head import RotatedGroupFree3DHead
from .three_detr_assigner import BoxSetAssigner
from .three_detr_coder import ThreeDETRBoxCoder
from .three_detr_head import ThreeDETRHead
from .vdetr_assigner import RepeatedBoxAssigner
from .vdetr_coder import VDETRBoxCoder
from .vdetr_head import VDETRHead

__all__ = [
    'BoxSetAssigner', 'RepeatedBoxAssigner', 'RotatedGroupFree3DHead',
    'ThreeDETRBoxCoder', 'ThreeDETRHead', 'VDETRBoxCoder', 'VDETRHead'
]
