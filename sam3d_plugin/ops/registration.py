"""Color pixels of depth pixels, with one camera or two.

Frames of reference and pixels are those of
:mod:`~sam3d_plugin.ops.projection`. Shapes: H W pixels of the depth
image.
"""
from typing import List, Tuple

import numpy as np


def color_pixels_of_depth(depth: np.ndarray, depth_intrinsics: np.ndarray,
                          depth_to_color: np.ndarray,
                          color_intrinsics: np.ndarray,
                          color_shape: Tuple[int, int]) -> np.ndarray:
    """The color pixel of every depth pixel.

    With the same camera and size it is the pixel itself wherever there is
    depth. Otherwise every depth pixel is moved to the color camera and
    takes the nearest pixel of its image.

    Args:
        depth (np.ndarray): (H, W) meters, 0 = none.
        depth_intrinsics (np.ndarray): (3, 3) or (4, 4), pixels.
        depth_to_color (np.ndarray): (4, 4) from the depth camera's frame to
            the color camera's, meters.
        color_intrinsics (np.ndarray): (3, 3) or (4, 4), pixels.
        color_shape (Tuple[int, int]): Height and width of the color image.

    Returns:
        np.ndarray: (H, W) int64 indices into the flattened color image, -1
        for pixels without depth or outside the image.
    """
    is_seen = np.isfinite(depth) & (depth > 0)
    if _is_one_camera(depth_intrinsics, depth_to_color, color_intrinsics,
                      depth.shape == tuple(color_shape)):
        own = np.arange(depth.size, dtype=np.int64).reshape(depth.shape)
        return np.where(is_seen, own, -1)
    u, v, z = _project_all(depth, depth_intrinsics, depth_to_color,
                           color_intrinsics)
    height, width = color_shape
    with np.errstate(invalid='ignore'):
        is_seen &= ((z > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height))
    pixels = v[is_seen].astype(np.int64) * width
    pixels += u[is_seen].astype(np.int64)
    result = np.full(depth.shape, -1, dtype=np.int64)
    result[is_seen] = pixels
    return result


def _project_all(depth: np.ndarray, depth_intrinsics: np.ndarray,
                 depth_to_color: np.ndarray,
                 color_intrinsics: np.ndarray) -> List[np.ndarray]:
    """Positions of all depth pixels in the color image.

    A pixel (u, v) of depth z is at z H (u, v, 1) + e in homogeneous
    pixels of the color image, where H = K' R K^-1 and e = K' t.

    Args:
        depth (np.ndarray): (H, W) meters.
        depth_intrinsics (np.ndarray): K.
        depth_to_color (np.ndarray): R and t.
        color_intrinsics (np.ndarray): K'.

    Returns:
        List[np.ndarray]: Whole u and v of the nearest pixel and z in meters,
        (H, W) float64 each; u and v mean nothing where z is not positive.
    """
    color = np.asarray(color_intrinsics, dtype=np.float64)[:3, :3]
    inverse = np.linalg.inv(np.asarray(depth_intrinsics)[:3, :3])
    homography = color @ depth_to_color[:3, :3] @ inverse
    offset = color @ depth_to_color[:3, 3]
    columns = np.arange(depth.shape[1])
    rows = np.arange(depth.shape[0])[:, None]
    places = []
    for (a, b, c), e in zip(homography, offset):
        place = (a * columns + c) + b * rows
        place *= depth
        place += e
        places.append(place)
    u, v, z = places
    with np.errstate(divide='ignore', invalid='ignore'):
        for place in (u, v):
            place /= z
            place += 0.5
            np.floor(place, out=place)
    return [u, v, z]


def _is_one_camera(depth_intrinsics: np.ndarray, depth_to_color: np.ndarray,
                   color_intrinsics: np.ndarray, is_same_size: bool) -> bool:
    return bool(
        is_same_size and np.array_equal(
            np.asarray(depth_intrinsics)[:3, :3],
            np.asarray(color_intrinsics)[:3, :3])
        and np.array_equal(depth_to_color, np.eye(4)))
