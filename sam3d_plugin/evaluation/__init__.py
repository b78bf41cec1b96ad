"""Importing this package registers every metric."""
from ..libraries import prepare_libraries
from .present_class_indoor_metric import PresentClassIndoorMetric
from .present_class_seg_metric import PresentClassSegMetric

__all__ = ['PresentClassIndoorMetric', 'PresentClassSegMetric']

prepare_libraries()
