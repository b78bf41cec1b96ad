"""Regions of an image on points: of its own depth pixels, or of a scan.

Frames of reference and pixels are those of
:mod:`~sam3d_plugin.ops.projection`. Shapes: N points, H W pixels of the
depth image, H' W' of the color image and its id map.
"""
from typing import Optional, Tuple

import numpy as np

from ._lifting_kernel import look_up_regions
from .projection import back_project
from .registration import color_pixels_of_depth


def projection_matrix(intrinsics: np.ndarray,
                      to_camera: np.ndarray) -> np.ndarray:
    """Camera and position as one matrix.

    Args:
        intrinsics (np.ndarray): (3, 3) or (4, 4), pixels.
        to_camera (np.ndarray): (4, 4) from some frame to the camera's,
            meters.

    Returns:
        np.ndarray: (3, 4) float64; times (x, y, z, 1) in that frame it is
        (u z', v z', z') with pixels u, v and depth z' in meters.
    """
    matrix = np.asarray(intrinsics, dtype=np.float64)[:3, :3] @ to_camera[:3]
    return np.ascontiguousarray(matrix)


def depth_regions(
    depth: np.ndarray,
    region_map: np.ndarray,
    depth_intrinsics: np.ndarray,
    depth_to_color: np.ndarray,
    color_intrinsics: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a depth image, each with the region of its color pixel.

    Args:
        depth (np.ndarray): (H, W) meters, 0 = none.
        region_map (np.ndarray): (H', W') uint16 ids, 0 = in no region.
        depth_intrinsics (np.ndarray): (3, 3) or (4, 4), pixels.
        depth_to_color (np.ndarray): (4, 4) from the depth camera's frame to
            the color camera's, meters.
        color_intrinsics (np.ndarray): (3, 3) or (4, 4), pixels.

    Returns:
        Tuple[np.ndarray, np.ndarray, np.ndarray]: Of the N depth pixels that
        have depth, in row-major order: (N, 3) xyz in the depth camera's
        frame, meters, dtype of ``depth``; (N,) uint16 ids, 0 where the
        color camera sees nothing of the point; (N,) int64 indices into the
        flattened depth image.
    """
    with np.errstate(invalid='ignore'):
        pixels = np.flatnonzero((depth > 0) & np.isfinite(depth))
    height, width = region_map.shape
    color_pixels = color_pixels_of_depth(depth, depth_intrinsics,
                                         depth_to_color, color_intrinsics,
                                         (height, width))
    color_pixels = color_pixels.reshape(-1)[pixels]
    ids = region_map.reshape(-1)[color_pixels]
    ids = np.where(color_pixels >= 0, ids, 0).astype(np.uint16)
    return back_project(depth, depth_intrinsics, pixels), ids, pixels


def lift_regions(
        xyz: np.ndarray,
        depth: np.ndarray,
        region_map: np.ndarray,
        depth_projection: np.ndarray,
        color_projection: Optional[np.ndarray] = None,
        depth_tolerance: float = 0.05) -> Tuple[np.ndarray, np.ndarray]:
    """Regions of the points of a scan that a frame sees.

    A point is seen if the depth image shows a surface at the point's depth,
    and with two cameras if it is also inside the color image.

    Args:
        xyz (np.ndarray): (N, 3) float points, frame of the projections,
            meters.
        depth (np.ndarray): (H, W) float, meters, 0 = none.
        region_map (np.ndarray): (H', W') uint16 ids, 0 = in no region.
        depth_projection (np.ndarray): (3, 4) of the depth camera, from
            :func:`projection_matrix`.
        color_projection (Optional[np.ndarray]): (3, 4) of the color camera;
            None if both are one camera and sizes agree.
        depth_tolerance (float): How far a seen point may be in front of or
            behind the measured surface, meters, exclusive.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N,) uint16 ids, 0 = in no region or
        not seen, and (N,) bool, whether seen.
    """
    is_single = color_projection is None
    assert not is_single or depth.shape == region_map.shape
    if color_projection is None:
        color_projection = depth_projection
    # One kind of each array, so that numba compiles once.
    return look_up_regions(
        np.ascontiguousarray(xyz, dtype=np.float64),
        np.ascontiguousarray(depth, dtype=np.float32),
        np.ascontiguousarray(region_map, dtype=np.uint16), depth_projection,
        color_projection, is_single, depth_tolerance)
