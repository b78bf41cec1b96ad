"""Importing this package registers every data component."""
from .transforms import CheckPoints, LoadRegionIds, SeededPointSample

__all__ = ['CheckPoints', 'LoadRegionIds', 'SeededPointSample']
