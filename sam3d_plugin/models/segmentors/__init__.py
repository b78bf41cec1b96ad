"""Segmentation models."""
from .point_token_segmentor import PointTokenSegmentor

__all__ = ['PointTokenSegmentor']
