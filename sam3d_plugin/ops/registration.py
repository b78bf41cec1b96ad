"""Color pixels of depth pixels, with one camera or two.

Frames of reference and pixels are those of
:mod:`~sam3d_plugin.ops.projection`. Shapes: H W pixels of the depth
image.
"""
from typing import List, Optional, Tuple

import numpy as np
from scipy import ndimage


def color_pixels_of_depth(
        depth: np.ndarray,
        depth_intrinsics: np.ndarray,
        depth_to_color: np.ndarray,
        color_intrinsics: np.ndarray,
        color_shape: Tuple[int, int],
        occlusion_margin: Optional[float] = None) -> np.ndarray:
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
        occlusion_margin (Optional[float]): Depth pixels that are further
            behind the nearest one at their color pixel are hidden from the
            color camera and get none, meters; None lets all through.

    Returns:
        np.ndarray: (H, W) int64 indices into the flattened color image, -1
        for pixels without depth, outside the image or hidden.
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
    if occlusion_margin is not None:
        z = z[is_seen]
        front = _front(pixels, z, color_shape,
                       _footprint(depth_intrinsics, color_intrinsics))
        is_hidden = z > front.reshape(-1)[pixels] + occlusion_margin
        pixels[is_hidden] = -1
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


def _footprint(depth_intrinsics: np.ndarray,
               color_intrinsics: np.ndarray) -> int:
    """Odd side in color pixels that one depth pixel's surface covers."""
    scale = max(
        float(color_intrinsics[i, i] / depth_intrinsics[i, i])
        for i in range(2))
    return 2 * int(np.ceil(scale / 2 - 0.5)) + 1 if scale > 1 else 1


def _front(pixels: np.ndarray, z: np.ndarray, shape: Tuple[int, int],
           reach: int) -> np.ndarray:
    """Depth of the nearest surface at every color pixel.

    Args:
        pixels (np.ndarray): (N,) flat color pixels of the points.
        z (np.ndarray): (N,) their depth in the color camera, meters.
        shape (Tuple[int, int]): Of the color image.
        reach (int): Odd side of the square that a point covers, pixels.

    Returns:
        np.ndarray: Image of ``shape``, infinite where no surface is.
    """
    front = np.full(shape[0] * shape[1], np.inf, dtype=z.dtype)
    np.minimum.at(front, pixels, z)
    front = front.reshape(shape)
    return ndimage.minimum_filter(front, reach) if reach > 1 else front
