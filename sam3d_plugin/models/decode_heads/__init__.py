"""Token features to a class for every point."""
from .point_token_seg_head import PointTokenSegHead

__all__ = ['PointTokenSegHead']
