"""Inference on scans without annotations."""
from .annotated import AnnotatedScans
from .detections import Detections
from .predictor import Predictor
from .scenes import SceneOptions, read_scene, scene_of_arrays
from .segmentation import Segmentation
from .writers import write_detections, write_segmentation

__all__ = [
    'AnnotatedScans', 'Detections', 'Predictor', 'SceneOptions',
    'Segmentation', 'read_scene', 'scene_of_arrays', 'write_detections',
    'write_segmentation'
]
