"""Pinhole cameras as pure functions, in numpy.

Frames of reference: camera (x right, y down, z forward), world. Pixels: u to
the right, v down, the center of the first pixel at (0, 0). Shapes: N
points, H W pixels.
"""
from typing import Tuple

import numpy as np


def transform(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Move points by a rigid (or any affine) matrix.

    Args:
        points (np.ndarray): (..., 3) in one frame.
        matrix (np.ndarray): (4, 4) from that frame to another.

    Returns:
        np.ndarray: (..., 3) in the other frame.
    """
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def back_project(depth: np.ndarray, intrinsics: np.ndarray,
                 pixels: np.ndarray) -> np.ndarray:
    """Points that some pixels of a depth image see.

    Args:
        depth (np.ndarray): (H, W) z along the optical axis, meters.
        intrinsics (np.ndarray): (3, 3) or (4, 4) of that camera, pixels.
        pixels (np.ndarray): (N,) indices into the flattened image.

    Returns:
        np.ndarray: (N, 3) camera frame, meters, dtype of ``depth``; the
        origin for pixels without depth.
    """
    v, u = np.divmod(pixels, depth.shape[1])
    z = depth.reshape(-1)[pixels]
    x = (u - intrinsics[0, 2]) / intrinsics[0, 0] * z
    y = (v - intrinsics[1, 2]) / intrinsics[1, 1] * z
    return np.stack([x, y, z], axis=1).astype(depth.dtype, copy=False)


def project(points: np.ndarray,
            intrinsics: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Project points into a camera; the inverse of :func:`back_project`.

    Args:
        points (np.ndarray): (N, 3) camera frame, meters.
        intrinsics (np.ndarray): (3, 3) or (4, 4), pixels.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N, 2) u and v in pixels, NaN for
        points that are not in front of the camera, and (N,) z in meters.
    """
    z = points[:, 2]
    safe = np.where(z > 0, z, np.nan)
    u = points[:, 0] / safe * intrinsics[0, 0] + intrinsics[0, 2]
    v = points[:, 1] / safe * intrinsics[1, 1] + intrinsics[1, 2]
    return np.stack([u, v], axis=1), z


def pixel_indices(uv: np.ndarray, height: int,
                  width: int) -> Tuple[np.ndarray, np.ndarray]:
    """Nearest pixels of image positions.

    Args:
        uv (np.ndarray): (N, 2) positions in pixels; NaN is outside.
        height (int): H.
        width (int): W.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N,) int64 indices into the flattened
        image, 0 for positions outside, and (N,) bool, whether inside.
    """
    with np.errstate(invalid='ignore'):
        rounded = np.floor(uv + 0.5)
        inside = ((rounded >= 0) & (rounded < [width, height])).all(axis=1)
    rounded = np.where(inside[:, None], rounded, 0).astype(np.int64)
    return rounded[:, 1] * width + rounded[:, 0], inside


def scale_intrinsics(intrinsics: np.ndarray, old: Tuple[float, float],
                     new: Tuple[float, float]) -> np.ndarray:
    """Intrinsics of an image after it was resized.

    Args:
        intrinsics (np.ndarray): (3, 3) or (4, 4), pixels of the old image.
        old (Tuple[float, float]): H, W before.
        new (Tuple[float, float]): H, W after.

    Returns:
        np.ndarray: The same shape, pixels of the new image. Centers of pixels
        are integers, so the principal point moves by half a pixel
        before and after scaling.
    """
    scale = np.array([new[1] / old[1], new[0] / old[0]])
    result = np.array(intrinsics, dtype=np.float64)
    result[0, :2] *= scale[0]
    result[1, :2] *= scale[1]
    result[:2, 2] = (np.asarray(intrinsics)[:2, 2] + 0.5) * scale - 0.5
    return result
