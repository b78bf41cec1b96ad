"""Whole models for segmentation."""
from .point_token_segmentor import PointTokenSegmentor

__all__ = ['PointTokenSegmentor']
