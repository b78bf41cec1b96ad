"""A trained model on a scan that nobody annotated."""
from .detections import Detections
from .predictor import Predictor
from .scenes import SceneOptions, read_scene, scene_of_arrays
from .writers import write_detections

__all__ = [
    'Detections', 'Predictor', 'SceneOptions', 'read_scene', 'scene_of_arrays',
    'write_detections'
]
