"""SynthRooms: furnished rooms from a seed, in ScanNet's prepared form.

    furniture, storage, fixtures   parametric pieces from meshes and materials
    units, rooms, layout           pieces that belong together, in rooms
    scene_mesh, rendering          one textured mesh, ray cast by embree
    camera_path, sensor            a walk with a Kinect-like camera
    fused_scan, build, step        labeled points, files, the offline step
    splits                         train, val and short lists

:mod:`.materials` says which materials each class may have and where classes
overlap.
"""
from .build import SyntheticScene, SynthOptions, build_scene
from .splits import PRESETS, split_sizes
from .step import SynthRoomsStep, make_rooms, write_lists

__all__ = [
    'PRESETS', 'SynthOptions', 'SynthRoomsStep', 'SyntheticScene',
    'build_scene', 'make_rooms', 'split_sizes', 'write_lists'
]
