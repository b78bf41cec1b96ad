"""Detectors that mmdet3d does not have."""
from .three_detr import ThreeDETR

__all__ = ['ThreeDETR']
