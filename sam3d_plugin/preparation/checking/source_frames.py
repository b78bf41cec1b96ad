"""Frames of a recording and what they are thought to mean.

Shapes: H W pixels.
"""
import errno
from dataclasses import dataclass, replace
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np

from ...ops.projection import scale_intrinsics
from ...store.errors import FrameError
from ...store.posed_images import Cameras, RGBDFrame, check_pose
from ..sources.rgbd_folder.conventions import Convention
from .frame_agreement import sample_frames

# Pixels of a color image that are looked at.
_PIXELS = 1_000_000
# Positions of principal points, as shares of width and height, and the larger
# field of view of a camera, degrees.
_CENTERS, _FIELDS = (0.3, 0.8), (20.0, 150.0)
# Difference of the two shares up to which images were resized, not cropped.
_SCALED = 0.05
# Share of width and height beyond which no crop leaves a principal point.
_OUTSIDE = 1.25
# And below which none leaves it: 0, 0.
_CORNER = 0.05
# How far principal points are off the center of images that are neither
# cropped nor turned; shares of width and height.
_CENTERED, _TURNED = 0.02, 0.08


@dataclass(frozen=True)
class SourceFrame:
    """A frame as a recording has it, before any convention is applied."""
    color: np.ndarray  # (H, W, 3) uint8, RGB
    depth: np.ndarray  # (H', W') in the recording's unit, 0 = none
    pose: np.ndarray  # (4, 4), as read
    earlier: Optional[np.ndarray] = None  # (4, 4) pose of the frame before
    later: Optional[np.ndarray] = None  # (4, 4) pose of the frame after


@dataclass(frozen=True)
class Source:
    """Some frames of a recording and what they are thought to mean."""
    name: str  # What messages call it
    frames: List[SourceFrame]  # Some of its frames
    cameras: Cameras  # For the images as they are
    convention: Convention = Convention()  # As it is now
    # Takes a (4, 4) pose of the convention to that of the depth camera; the
    # world is free
    place: Callable[[np.ndarray], np.ndarray] = lambda pose: pose
    # What to do with the options that messages name
    remedy: str = '; import it again, or add --unchecked'

    def views(self) -> List[RGBDFrame]:
        """The frames in meters; those without a rigid pose are left out."""
        depth_camera = self.cameras.depth_intrinsics
        views = []
        for index, frame in enumerate(self.frames):
            try:
                pose = check_pose(self.convention.pose(frame.pose), self.name)
            except FrameError:
                continue
            depth = self.convention.meters(frame.depth, depth_camera)
            views.append(
                RGBDFrame(self.name, str(index), frame.color, depth,
                          self.place(pose), self.cameras))
        return views


def sample(names: Sequence[str], read: Callable[[str], SourceFrame],
           cameras: Cameras) -> Tuple[List[SourceFrame], Cameras]:
    """Some frames to compare, and the cameras for them.

    Unreadable frames are left out, but errors of the disk are raised. Of
    large color images every n-th row and column is kept.
    """
    frames, thin = [], cameras
    for name in sample_frames(names):
        try:
            frame = read(name)
        except FrameError as error:
            code = getattr(error.__cause__, 'errno', None)
            if code not in (None, errno.ENOENT):
                raise
            continue
        height, width = frame.color.shape[:2]
        step = int(np.ceil(np.sqrt(height * width / _PIXELS)))
        intrinsics = cameras.color_intrinsics.copy()
        intrinsics[:2] /= step
        thin = replace(cameras, color_intrinsics=intrinsics)
        frames.append(replace(frame, color=frame.color[::step, ::step]))
    return frames, thin


def misfit_of(source: Source) -> str:
    """See :func:`camera_misfit`; of both cameras and the first frame."""
    for what in ('color', 'depth') if source.frames else ():
        height, width = getattr(source.frames[0], what).shape[:2]
        intrinsics = getattr(source.cameras, f'{what}_intrinsics')
        misfit = camera_misfit(intrinsics, height, width)
        if misfit:
            return f'{misfit}; give --{what}-intrinsics of that size'
    return ''


def camera_misfit(intrinsics: np.ndarray, height: int, width: int) -> str:
    """Signs that (3, 3) intrinsics belong to images of another size.

    Cropped images have an off-center principal point, too, but hardly by the
    same factor in both directions. Returns words for a message; empty for a
    camera that fits.
    """
    size = np.array([width, height])
    center = (intrinsics[:2, 2] + 0.5) / size
    views = 2 * np.degrees(np.arctan(size / 2 / intrinsics[[0, 1], [0, 1]]))
    is_scaled = np.ptp(center) < _SCALED * np.abs(center).mean()
    is_off = not _CENTERS[0] <= center.mean() <= _CENTERS[1]
    if (is_scaled and is_off) or (center
                                  > _OUTSIDE).all() or (center
                                                        < _CORNER).all():
        u, v = intrinsics[:2, 2]
        text = (f'the principal point {u:g}, {v:g} is off the center of '
                f'{width}x{height} images')
        if is_scaled and (center > _CORNER).all():
            factor = 0.5 / center.mean()
            scaled = scale_intrinsics(intrinsics, (1, 1), (factor, factor))
            text += f' (they need {_numbers(scaled)})'
        return text
    turned = (intrinsics[:2, 2] + 0.5) / size[::-1]
    if np.abs(turned - 0.5).max() < _CENTERED and (np.abs(center - 0.5).max()
                                                   > _TURNED):
        u, v = intrinsics[:2, 2]
        return (f'the principal point {u:g}, {v:g} is that of {height}x{width}'
                f' images, which these are not: {width}x{height}')
    if not _FIELDS[0] <= views.max() <= _FIELDS[1]:
        return (f'the focal length {intrinsics[0, 0]:g} gives '
                f'{views.max():.0f} degrees of view')
    return ''


def camera_options(color: np.ndarray, depth: Optional[np.ndarray]) -> str:
    """Intrinsics as options of the command line; one camera without depth."""
    return ' '.join(f'--{kind}-intrinsics {_numbers(matrix)}'
                    for kind, matrix in (('color', color), ('depth', depth))
                    if matrix is not None)


def _numbers(matrix: np.ndarray) -> str:
    """Intrinsics as on the command line."""
    places = ((0, 0), (1, 1), (0, 2), (1, 2))
    return ','.join(f'{matrix[place]:.6g}' for place in places)
