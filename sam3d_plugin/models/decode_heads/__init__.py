"""Point classes from token features."""
from .point_token_seg_head import PointTokenSegHead

__all__ = ['PointTokenSegHead']
