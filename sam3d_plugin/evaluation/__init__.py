"""Importing this package registers every metric."""
from .present_class_indoor_metric import PresentClassIndoorMetric

__all__ = ['PresentClassIndoorMetric']
