"""Detectors that mmdet3d does not have."""
from .three_detr import ThreeDETR
from .vdetr import VDETR

__all__ = ['ThreeDETR', 'VDETR']
