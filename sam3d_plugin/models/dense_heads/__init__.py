"""Heads that make boxes of tokens."""
from .rotated_group_free_3d_head import RotatedGroupFree3DHead

__all__ = ['RotatedGroupFree3DHead']
