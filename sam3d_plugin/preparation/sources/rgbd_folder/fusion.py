"""One cloud of points from the frames of a scan.

For recordings that come without a reconstruction. Depth points of all frames
are averaged per voxel; voxels that few pixels have seen are left out, because
they are mostly pixels on depth edges.

Shapes: N points, H W pixels.
"""
from typing import Iterable, List, Optional, Tuple

import numpy as np

from ....ops.projection import back_project, transform
from ....ops.registration import color_pixels_of_depth
from ....store.errors import FrameError
from ....store.posed_images import RGBDFrame
from ...voxels import voxel_keys

# Frames between two merges of the sums; bounds the memory.
_MERGE_EVERY = 8


def frame_cloud(frame: RGBDFrame,
                max_depth: float) -> Tuple[np.ndarray, np.ndarray]:
    """(N, 3) points, world frame, meters, and (N, 3) colors, 0 to 255, of what
    the color camera sees up to ``max_depth`` meters."""
    cameras = frame.cameras
    height, width = frame.color.shape[:2]
    colors = color_pixels_of_depth(frame.depth, cameras.depth_intrinsics,
                                   cameras.depth_to_color,
                                   cameras.color_intrinsics,
                                   (height, width)).reshape(-1)
    depth = frame.depth.reshape(-1)
    pixels = np.flatnonzero((colors >= 0) & (depth > 0) & (depth <= max_depth))
    points = back_project(frame.depth, cameras.depth_intrinsics, pixels)
    xyz = transform(points.astype(np.float64), frame.pose)
    return xyz, frame.color.reshape(-1, 3)[colors[pixels]].astype(np.float64)


def _sum_by_key(keys: np.ndarray,
                sums: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Sorted keys without repeats and the sums of their rows."""
    unique, inverse = np.unique(keys, return_inverse=True)
    inverse = inverse.reshape(-1)
    columns = [
        np.bincount(inverse, weights=sums[:, i], minlength=len(unique))
        for i in range(sums.shape[1])
    ]
    return unique, np.stack(columns, axis=1)


def fuse_frames(
        frames: Iterable[RGBDFrame],
        voxel: float = 0.025,
        max_depth: float = 5.0,
        min_pixels: int = 3,
        max_points: Optional[int] = None) -> Tuple[np.ndarray, np.ndarray]:
    """Average the points of frames per voxel.

    Args:
        frames (Iterable[RGBDFrame]): Read one after the other.
        voxel (float): Edge in meters.
        max_depth (float): Meters beyond which depth is not used.
        min_pixels (int): Pixels that must have seen a voxel.
        max_points (Optional[int]): Keep the voxels most seen if there are
            more.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N, 3) float32 world frame, meters, in
        order of the voxels, and (N, 3) float32 colors, 0 to 255.

    Raises:
        FrameError: When no voxel is left.
    """
    keys, sums = np.zeros(0, np.int64), np.zeros((0, 7))
    pending: List[Tuple[np.ndarray, np.ndarray]] = []
    for frame in frames:
        xyz, rgb = frame_cloud(frame, max_depth)
        rows = np.concatenate([xyz, rgb, np.ones((len(xyz), 1))], axis=1)
        pending.append(_sum_by_key(voxel_keys(xyz, voxel), rows))
        if len(pending) == _MERGE_EVERY:
            keys, sums = _merge([(keys, sums), *pending])
            pending = []
    keys, sums = _merge([(keys, sums), *pending])
    seen = np.flatnonzero(sums[:, 6] >= min_pixels)
    if max_points is not None and len(seen) > max_points:
        order = np.argsort(-sums[seen, 6], kind='stable')[:max_points]
        seen = np.sort(seen[order])
    if not len(seen):
        raise FrameError('no voxel is seen by enough pixels; check the depth '
                         'scale and the poses')
    means = sums[seen, :6] / sums[seen, 6:]
    return means[:, :3].astype(np.float32), means[:, 3:].astype(np.float32)


def _merge(
    parts: List[Tuple[np.ndarray,
                      np.ndarray]]) -> Tuple[np.ndarray, np.ndarray]:
    return _sum_by_key(
        np.concatenate([keys for keys, _ in parts]),
        np.concatenate([sums for _, sums in parts]))
