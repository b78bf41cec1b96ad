"""Heads that predict boxes from tokens."""
from .rotated_group_free_3d_head import RotatedGroupFree3DHead
from .three_detr_assigner import BoxSetAssigner
from .three_detr_coder import ThreeDETRBoxCoder
from .three_detr_head import ThreeDETRHead

__all__ = [
    'BoxSetAssigner', 'RotatedGroupFree3DHead', 'ThreeDETRBoxCoder',
    'ThreeDETRHead'
]
