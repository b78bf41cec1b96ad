"""Importing this package registers every data component."""
from .transforms import CheckPoints, LoadRegionIds

__all__ = ['CheckPoints', 'LoadRegionIds']
