"""Single changes that may be missing from a recording.

Shapes: H W pixels.
"""
from dataclasses import replace
from itertools import permutations, product
from typing import Callable, Dict, Iterator, Tuple

import numpy as np

from ...ops.projection import scale_intrinsics
from ..sources.rgbd_folder.conventions import (CAMERA_AXES, POSES, Convention,
                                               camera_axes)
from .source_frames import Source, camera_options

# Units in which depth images and poses are found; 8000 are millimeters that
# SUN3D and SUN RGB-D turn left by three bits.
_DEPTH_SCALES = (1.0, 10.0, 100.0, 256.0, 1000.0, 4000.0, 5000.0, 6553.5,
                 8000.0, 10000.0)
_POSE_SCALES = (0.001, 0.01, 0.0254, 0.1, 0.3048, 1.0)


def changes_to_try(source: Source) -> Iterator[Tuple[str, Source]]:
    """Options, cameras and changes of files, each in words for a message and
    with the source after it."""
    yield from options_to_try(source)
    yield from cameras_to_try(source)
    yield from files_to_try(source)


def options_to_try(source: Source) -> Iterator[Tuple[str, Source]]:
    """Single options that may be missing."""
    now = source.convention
    known = {text: name for name, text in CAMERA_AXES.items()}
    changes: Dict[str, Convention] = {}
    for name in (known.get(text, text) for text in _all_axes()):
        if name != now.camera_axes:
            changes[f'--camera-axes {name}'] = replace(now, camera_axes=name)
    for poses in POSES:
        changes[f'--poses {poses}'] = replace(now, poses=poses)
    for scale in _DEPTH_SCALES:
        changes[f'--depth-scale {scale:g}'] = replace(now, depth_scale=scale)
    for scale in _POSE_SCALES:
        changes[f'--pose-scale {scale:g}'] = replace(now, pose_scale=scale)
    for along in ('axis', 'ray'):
        changes[f'--depth-along {along}'] = replace(now, depth_along=along)
    for option, convention in changes.items():
        if convention != now:
            yield option, replace(source, convention=convention)


def _all_axes() -> Iterator[str]:
    """The axes that have names, and all other right-handed ones."""
    yield from CAMERA_AXES.values()
    pairs = (('right', 'left'), ('down', 'up'), ('forward', 'backward'))
    for order in permutations(pairs):
        for words in product(*order):
            text = ','.join(words)
            if np.linalg.det(camera_axes(text)) > 0:
                yield text


def files_to_try(source: Source) -> Iterator[Tuple[str, Source]]:
    """Single changes of files that may be missing."""
    turns: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
        'mirrored left to right': lambda image: image[:, ::-1],
        'mirrored upside down': lambda image: image[::-1],
        'turned by 180 degrees': lambda image: image[::-1, ::-1],
        'turned by 90 degrees clockwise': lambda image: np.rot90(image, -1),
        'turned by 90 degrees counter-clockwise': np.rot90,
    }
    for how, turn in turns.items():
        for what in ('all', 'depth', 'color'):
            yield f'{what} images {how}', replace(
                source,
                frames=[
                    replace(
                        frame,
                        color=frame.color
                        if what == 'depth' else turn(frame.color),
                        depth=frame.depth
                        if what == 'color' else turn(frame.depth))
                    for frame in source.frames
                ])
    for which, how in (('later', 'earlier'), ('earlier', 'later')):
        frames = [
            replace(frame, pose=getattr(frame, which))
            for frame in source.frames if getattr(frame, which) is not None
        ]
        if len(frames) > 1:
            yield (f'every pose given to the frame one {how}',
                   replace(source, frames=frames))


def cameras_to_try(source: Source) -> Iterator[Tuple[str, Source]]:
    """Cameras of images of another size, or of the other camera."""
    now = source.cameras
    if not source.frames:
        return
    color = source.frames[0].color.shape
    depth = source.frames[0].depth.shape
    for factor in (0.25, 0.5, 2.0, 4.0):
        scaled = [
            scale_intrinsics(intrinsics, (shape[0], shape[1]),
                             (factor * shape[0], factor * shape[1]))
            for intrinsics, shape in ((now.color_intrinsics, color),
                                      (now.depth_intrinsics, depth))
        ]
        yield (camera_options(scaled[0], None if now.is_single else scaled[1]),
               replace(
                   source,
                   cameras=replace(
                       now,
                       color_intrinsics=scaled[0],
                       depth_intrinsics=scaled[1])))
    if not now.is_single:
        yield (camera_options(now.depth_intrinsics, now.color_intrinsics),
               replace(
                   source,
                   cameras=replace(
                       now,
                       color_intrinsics=now.depth_intrinsics,
                       depth_intrinsics=now.color_intrinsics)))
