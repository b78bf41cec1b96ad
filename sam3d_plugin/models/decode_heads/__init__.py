"""Point classes from features of tokens or points."""
from .point_seg_head import PointSegHead
from .point_token_seg_head import PointTokenSegHead

__all__ = ['PointSegHead', 'PointTokenSegHead']
