"""Choice and colors of the points of a picture.

Shapes: N points. Points are (N, 3) xyz in meters, z up; colors are (N, 3)
uint8 RGB.
"""
from typing import Optional, Tuple

import matplotlib
import numpy as np

from ..store.errors import UserError

# Meters. Only what is taller is a wall, with what lies so far behind its
# first point; it stays up to a height, to show where it stands.
_WALL_HEIGHT, _WALL_THICKNESS, _KEPT_HEIGHT = 1.0, 0.5, 0.3


def check_points(points: np.ndarray) -> np.ndarray:
    """Return points as float64, or say why they cannot be drawn.

    Args:
        points (np.ndarray): (N, 3) xyz, meters.

    Returns:
        np.ndarray: (N, 3) float64.

    Raises:
        ValueError: When there is no point, a column is missing, or a
            coordinate is not finite.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise UserError('a picture needs points of shape (N, 3) with N >= 1,'
                        f' got {points.shape}')
    if not np.isfinite(points).all():
        raise UserError('a point has a coordinate that is not finite; '
                        'remove such points first')
    return points


def floor_height(points: np.ndarray) -> float:
    """Return the height of the floor.

    Args:
        points (np.ndarray): (N, 3) xyz, meters, z up.

    Returns:
        float: The z that one point in a hundred is below, meters.
    """
    return float(np.percentile(points[:, 2], 1))


def choose_points(points: np.ndarray,
                  max_points: int = 50000,
                  max_height: Optional[float] = None,
                  seed: int = 0) -> np.ndarray:
    """Choose the points to draw.

    Args:
        points (np.ndarray): (N, 3) xyz, meters, z up.
        max_points (int): Draw at most so many, chosen at random.
        max_height (Optional[float]): Leave out what is higher above the
            floor, meters, to look into a room from above.
        seed (int): Seed of the choice.

    Returns:
        np.ndarray: Ascending indices of the chosen points, at least one.
    """
    index = np.arange(len(points))
    if max_height is not None:
        below = points[:, 2] <= floor_height(points) + max_height
        index = index[below] if below.any() else index
    if len(index) > max_points:
        rng = np.random.default_rng(seed)
        index = np.sort(rng.choice(index, max_points, replace=False))
    return index


def is_near_wall(points: np.ndarray, toward_camera: np.ndarray) -> np.ndarray:
    """Find the walls between the camera and the room.

    The scene is cut into vertical slices along the view, 10 cm wide. In each
    slice, the tall points nearest to the camera are a wall if they are in
    the near quarter of the slice; else they are furniture or the wall
    beyond.

    Args:
        points (np.ndarray): (N, 3) xyz, meters, z up.
        toward_camera (np.ndarray): (3,) direction from scene to camera.

    Returns:
        np.ndarray: (N,) mask of the points of such walls.
    """
    forward = toward_camera[:2] / max(np.linalg.norm(toward_camera[:2]), 1e-9)
    across = points[:, :2] @ np.array([-forward[1], forward[0]])
    along = points[:, :2] @ forward
    height = points[:, 2] - floor_height(points)
    # A stray point far away must not ask for millions of slices.
    slices = ((across - across.min()) / 0.1).clip(max=10000).astype(np.int64)
    is_tall = height > _WALL_HEIGHT
    wall, near, far = np.full((3, slices.max() + 1), -1e9)
    np.maximum.at(wall, slices[is_tall], along[is_tall])
    np.maximum.at(near, slices, along)
    np.maximum.at(far, slices, -along)
    # Slices without points or without tall ones compare as False.
    is_wall = wall > near - 0.25 * (near + far)
    return (is_wall[slices] & (along > wall[slices] - _WALL_THICKNESS) &
            (height > _KEPT_HEIGHT))


def scene_bounds(points: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the box that a picture has to show.

    Args:
        points (np.ndarray): (N, 3) xyz, meters.

    Returns:
        Tuple[np.ndarray, np.ndarray]: Lowest and highest corner, (3,) each.
        One stray point in 200 on either side does not count, and no side is
        shorter than a meter.
    """
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    missing = np.maximum(1.0 - (high - low), 0) / 2
    return low - missing, high + missing


def colors_from_height(points: np.ndarray) -> np.ndarray:
    """Color points by their height.

    Args:
        points (np.ndarray): (N, 3) xyz, meters, z up.

    Returns:
        np.ndarray: (N, 3) uint8, dark at the bottom, bright at the top.
    """
    low, high = np.percentile(points[:, 2], [1, 99])
    height = (points[:, 2] - low) / max(high - low, 1e-6)
    colormap = matplotlib.colormaps['viridis']
    return colormap(height.clip(0, 1), bytes=True)[:, :3]


def colors_from_ids(ids: np.ndarray) -> np.ndarray:
    """Color points by the id of their region, token or instance.

    Args:
        ids (np.ndarray): (N,) integers >= 0; 0 = in none.

    Returns:
        np.ndarray: (N, 3) uint8, light gray for id 0. An id has the same
        color in every picture.
    """
    ids = np.asarray(ids, dtype=np.int64)
    # Steps of the golden ratio spread the hues of neighboring ids.
    hue = ids * 0.61803398875 % 1
    saturation = 0.3 + 0.3 * (ids * 0.7548776662 % 1)
    value = 0.65 + 0.3 * (ids * 0.5698402910 % 1)
    hsv = np.stack([hue, saturation, value], axis=-1)
    rgb = (matplotlib.colors.hsv_to_rgb(hsv) * 255).round().astype(np.uint8)
    rgb[ids == 0] = 205
    return rgb


def soften(colors: np.ndarray) -> np.ndarray:
    """Make colors paler than lines and darker than the white page.

    Args:
        colors (np.ndarray): (N, 3) uint8.

    Returns:
        np.ndarray: (N, 3) uint8 from 48 to 238.
    """
    return (48 + colors * (190 / 255)).round().astype(np.uint8)
