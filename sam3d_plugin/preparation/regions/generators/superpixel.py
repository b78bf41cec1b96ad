"""Regions by graph segmentation of color, depth and normals; no weights.

Two stages. First the graph of neighboring pixels is cut into several
hundred small segments (Felzenszwalb and Huttenlocher), then segments that
touch are merged by what their means and their border say about them.

Shapes: H W pixels, S segments.
"""
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from ....ops import _frame_kernels as kernels
from ....ops.projection import (back_project, project, scale_intrinsics,
                                transform)
from ....ops.registration import color_pixels_of_depth
from ....store.errors import FrameError, UserError
from ....store.posed_images import RGBDFrame
from ...skipping import try_each
from ..segment_merging import PairCost, segment_nodes
from .base import RegionGenerator, number_regions

# Farther than any depth, and what cv2 takes for pixels outside an image.
_NO_DEPTH = np.finfo(np.float32).max


@dataclass
class SuperpixelRegions(RegionGenerator):
    """Object-like segments of an RGB-D frame.

    Pixels without depth, or with too little of it around for a normal, are
    compared by color only; a frame without any depth is segmented by color
    alone. Every pixel gets a region unless ``max_share`` drops it.
    """
    # Size of the first stage's segments: the ``scale`` of
    # :func:`segment_graph` in units of Lab × pixels
    scale: float = 10.0
    threshold: float = 4.0  # What merging may cost; larger for fewer regions
    # Smallest region, share of the image; smaller ones join the neighbor that
    # is most like them
    min_share: float = 5e-4
    # Largest region, share of the image; larger ones are dropped
    max_share: float = 1.0
    # Longer images are segmented at this size and the map is enlarged; None
    # takes them as they are
    long_side: Optional[int] = 640
    # Standard deviation of the Gaussian over the colors, pixels
    blur: float = 0.8
    # Of steps in depth between pixels, in Lab per meter at one meter
    depth_weight: float = 1000.0
    # Of turns between pixels, in Lab per 1 - cosine. border, color, turn,
    # offset, size_power (float): See :class:`PairCost`
    normal_weight: float = 100.0
    border: float = 0.3
    color: float = 0.2
    turn: float = 7.0
    offset: float = 3.0
    size_power: float = 0.1

    name = 'superpixel'

    def __post_init__(self) -> None:
        for key, value in self.settings().items():
            is_number = isinstance(value, (int, float)) and value >= 0
            if not is_number and (key, value) != ('long_side', None):
                raise UserError(f'invalid {key}={value!r}: must be a number '
                                '>= 0')
        if not self.min_share < self.max_share <= 1:
            raise UserError(f'min_share={self.min_share} and '
                            f'max_share={self.max_share} are invalid; give 0 '
                            '<= min_share < max_share <= 1')
        if self.scale == 0 or self.long_side == 0:
            raise UserError('scale and long_side must be over 0')

    def settings(self) -> Dict[str, Any]:
        """All options; see the class."""
        return asdict(self)

    def generate(
            self, frames: Sequence[RGBDFrame]
    ) -> List[Union[np.ndarray, FrameError]]:
        """Find the regions of some frames.

        Args:
            frames (Sequence[RGBDFrame]): Of any sizes.

        Returns:
            List[Union[np.ndarray, FrameError]]: A region map (H, W) uint16
            for each, or why there is none.
        """
        return try_each(self._generate_one, frames)

    def _generate_one(self, frame: RGBDFrame) -> np.ndarray:
        height, width = frame.color.shape[:2]
        shape = working_shape((height, width), self.long_side)
        lab = lab_image(frame.color, shape, self.blur)
        xyz, normals = surface_images(frame, shape)
        ids = self._segment(lab, xyz, normals)
        area = ids.size
        ids = number_regions(ids + 1, f'{frame.scan}/{frame.name}',
                             int(np.ceil(self.min_share * area)),
                             max(int(self.max_share * area), 1))
        return cv2.resize(
            ids, (width, height), interpolation=cv2.INTER_NEAREST)

    def _segment(self, lab: np.ndarray, xyz: np.ndarray,
                 normals: np.ndarray) -> np.ndarray:
        """(H, W) int64 labels >= 0."""
        area = lab.shape[0] * lab.shape[1]
        cost = PairCost(self.border, self.color, self.turn, self.offset,
                        self.size_power, area)
        labels = segment_nodes(
            lab.reshape(-1, 3), xyz.reshape(-1, 3), normals.reshape(-1, 3),
            kernels.pixel_edges(lab, xyz, normals, self.depth_weight,
                                self.normal_weight),
            self.scale, cost, self.threshold,
            int(np.ceil(self.min_share * area)), kernels.STEPS_PER_UNIT)
        return labels.reshape(lab.shape[:2])


def working_shape(shape: Tuple[int, int],
                  long_side: Optional[int]) -> Tuple[int, int]:
    """H, W at most ``long_side``, with the aspect kept."""
    if long_side is None or max(shape) <= long_side:
        return shape
    scale = long_side / max(shape)
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def lab_image(color: np.ndarray, shape: Tuple[int, int],
              blur: float) -> np.ndarray:
    """Colors as Lab.

    Args:
        color (np.ndarray): (H, W, 3) uint8, RGB.
        shape (Tuple[int, int]): Height and width of the result.
        blur (float): Standard deviation of a Gaussian, pixels; 0 for none.

    Returns:
        np.ndarray: (H', W', 3) float32; L from 0 to 100.
    """
    if color.shape[:2] != shape:
        color = cv2.resize(color, shape[::-1], interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(
        color.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    return cv2.GaussianBlur(lab, (0, 0), blur) if blur > 0 else lab


def surface_images(frame: RGBDFrame,
                   shape: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """Positions and normals (H, W, 3) of the color pixels at a size.

    Both are in the frame of the color camera; positions in meters and normals
    of length 1 that point at the camera, 0 where there is none.
    """
    height, width = frame.color.shape[:2]
    intrinsics = scale_intrinsics(frame.cameras.color_intrinsics,
                                  (height, width), shape)
    depth = depth_in_color(frame, intrinsics, shape)
    xyz = back_project(depth, intrinsics, np.arange(depth.size))
    # A window of a fiftieth of the image: wide against the noise of depth.
    stride = max(round(max(shape) / 200), 1)
    normals = kernels.depth_normals(depth, intrinsics, 2 * stride, stride,
                                    0.03)
    return xyz.reshape(*shape, 3), normals


def depth_in_color(frame: RGBDFrame, intrinsics: np.ndarray,
                   shape: Tuple[int, int]) -> np.ndarray:
    """Depth as the color camera would see it.

    Args:
        frame (RGBDFrame): With one camera or two.
        intrinsics (np.ndarray): (3, 3) of the color camera at ``shape``.
        shape (Tuple[int, int]): Height and width of the result.

    Returns:
        np.ndarray: (H, W) float32 meters, 0 = none. Of two surfaces at a
        pixel the nearer one; pixels without depth take the nearest of the
        eight around them.
    """
    if frame.cameras.is_single:
        depth = frame.depth
        if depth.shape != shape:
            depth = cv2.resize(
                depth, shape[::-1], interpolation=cv2.INTER_NEAREST)
        nearest = np.where(depth > 0, depth, _NO_DEPTH)
    else:
        nearest = _moved_depth(frame, intrinsics, shape)
    around = cv2.erode(nearest, np.ones((3, 3), np.uint8))
    nearest = np.where(nearest == _NO_DEPTH, around, nearest)
    return np.where(nearest == _NO_DEPTH, np.float32(0), nearest)


def _moved_depth(frame: RGBDFrame, intrinsics: np.ndarray,
                 shape: Tuple[int, int]) -> np.ndarray:
    """(H, W) float32, ``_NO_DEPTH`` where no depth pixel falls."""
    pixels = color_pixels_of_depth(frame.depth, frame.cameras.depth_intrinsics,
                                   frame.cameras.depth_to_color, intrinsics,
                                   shape)
    seen = np.flatnonzero(pixels >= 0)
    points = back_project(frame.depth, frame.cameras.depth_intrinsics, seen)
    z = project(transform(points, frame.cameras.depth_to_color), intrinsics)[1]
    nearest = np.full(shape, _NO_DEPTH)
    np.minimum.at(
        nearest.reshape(-1),
        pixels.reshape(-1)[seen], z.astype(np.float32))
    return nearest
