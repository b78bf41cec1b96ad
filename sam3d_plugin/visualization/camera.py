"""Cameras of pictures and the rasterizer of points.

Axes: N points, H W pixels. A camera maps xyz (metres, z up) to picture
coordinates (x right, y up, metres in the plane through the scene's centre)
and depth (metres from the camera, larger = farther).
"""
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Orthographic or perspective camera that looks at a point.

    Args:
        center (np.ndarray): (3,) point looked at, metres.
        axes (np.ndarray): (3, 3) rows are the picture's right and up and
            the direction from the point looked at to the camera.
        distance (float, optional): From camera to that point, metres; None
            is an orthographic camera.
    """
    center: np.ndarray
    axes: np.ndarray
    distance: Optional[float] = None

    def project(self, xyz: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Map points into the picture.

        Args:
            xyz (np.ndarray): (..., 3) points, metres.

        Returns:
            Tuple[np.ndarray, np.ndarray]: Picture coordinates (..., 2) and
            depth (...). Behind a perspective camera, depth is negative and
            the coordinates are NaN.
        """
        local = (np.asarray(xyz) - self.center) @ self.axes.T
        if self.distance is None:
            return local[..., :2], -local[..., 2]
        depth = self.distance - local[..., 2]
        in_front = depth > 1e-3 * self.distance
        scale = self.distance / np.where(in_front, depth, np.nan)
        return local[..., :2] * scale[..., None], depth


def top_camera(low: np.ndarray, high: np.ndarray) -> Camera:
    """Return a camera that looks straight down, x right and y up.

    Args:
        low (np.ndarray): (3,) lowest corner of the scene, metres.
        high (np.ndarray): (3,) highest corner of the scene, metres.

    Returns:
        Camera: Orthographic camera.
    """
    return Camera((low + high) / 2, np.eye(3))


def perspective_camera(low: np.ndarray,
                       high: np.ndarray,
                       azimuth: float,
                       elevation: float,
                       field_of_view: float = 45.0) -> Camera:
    """Return a camera from which the whole scene is seen.

    Args:
        low (np.ndarray): (3,) lowest corner of the scene, metres.
        high (np.ndarray): (3,) highest corner of the scene, metres.
        azimuth (float): Where the camera stands, degrees counter-clockwise
            from the x axis.
        elevation (float): Its height over the horizon, degrees in (0, 90).
        field_of_view (float): Full opening angle, degrees.

    Returns:
        Camera: Perspective camera.
    """
    a, e = np.radians([azimuth, elevation])
    backward = np.array(
        [np.cos(e) * np.cos(a),
         np.cos(e) * np.sin(a),
         np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    axes = np.stack([right, np.cross(backward, right), backward])
    corners = np.array(np.meshgrid(*np.stack([low, high], axis=1))).reshape(
        3, -1).T
    center = (low + high) / 2
    local = (corners - center) @ axes.T
    radius = np.linalg.norm(local[:, :2], axis=1)
    distance = radius / np.tan(np.radians(field_of_view / 2)) + local[:, 2]
    return Camera(center, axes, float(distance.max()))


@dataclass(frozen=True)
class Frame:
    """The pixels of a picture and where they lie in picture coordinates.

    Args:
        left (float): Left border, metres.
        bottom (float): Lower border, metres.
        width (int): W, pixels.
        height (int): H, pixels.
        scale (float): Pixels per metre.
    """
    left: float
    bottom: float
    width: int
    height: int
    scale: float

    @property
    def extent(self) -> Tuple[float, float, float, float]:
        """tuple: Left, right, bottom and top border, metres."""
        return (self.left, self.left + self.width / self.scale, self.bottom,
                self.bottom + self.height / self.scale)

    def pixels(self, xy: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the columns and rows of picture coordinates.

        Args:
            xy (np.ndarray): (..., 2) picture coordinates, metres; NaN
                falls outside.

        Returns:
            Tuple[np.ndarray, np.ndarray]: Column (...) and row (...), int64,
            row 0 at the top; outside the picture where the point is.
        """
        xy = np.nan_to_num(xy, nan=-1e6).clip(-1e6, 1e6)
        column = np.floor((xy[..., 0] - self.left) * self.scale)
        row = self.height - 1 - np.floor(
            (xy[..., 1] - self.bottom) * self.scale)
        return column.astype(np.int64), row.astype(np.int64)

    def contains(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return which pixels lie inside the picture, as a mask."""
        return ((column >= 0) & (column < self.width) & (row >= 0) &
                (row < self.height))


def rasterize(xy: np.ndarray, depth: np.ndarray, radius: np.ndarray,
              frame: Frame) -> Tuple[np.ndarray, np.ndarray]:
    """Draw points as discs, the nearest in front.

    Args:
        xy (np.ndarray): (N, 2) picture coordinates, metres.
        depth (np.ndarray): (N,) metres.
        radius (np.ndarray): (N,) radius of each disc, pixels.
        frame (Frame): The picture.

    Returns:
        Tuple[np.ndarray, np.ndarray]: Index of the point that each pixel
        shows, (H, W) int64, -1 = none; and its depth, (H, W), inf = none.
    """
    # Far to near, so that of two points on a pixel the nearer is written last.
    order = np.argsort(-depth, kind='stable')
    column, row = frame.pixels(xy[order])
    depth, radius = depth[order], radius[order]
    buffer = np.full(frame.height * frame.width, np.inf)
    shown = np.full(frame.height * frame.width, -1)
    reach = int(radius.max(initial=0))
    for dx, dy in np.ndindex(2 * reach + 1, 2 * reach + 1):
        dx, dy = dx - reach, dy - reach
        u, v = column + dx, row + dy
        points = np.flatnonzero(
            frame.contains(u, v) & (dx**2 + dy**2 <= radius**2))
        pixel = v[points] * frame.width + u[points]
        nearer = depth[points] < buffer[pixel]
        points, pixel = points[nearer], pixel[nearer]
        buffer[pixel] = depth[points]
        shown[pixel] = order[points]
    shape = (frame.height, frame.width)
    return shown.reshape(shape), buffer.reshape(shape)


def shade_edges(depth: np.ndarray, strength: float = 4.0) -> np.ndarray:
    """Return how bright each pixel is when depth steps cast a shadow.

    Like eye-dome lighting (Boucheny 2009), but linear in depth: a pixel
    darkens by how much nearer its neighbours are, which shows shapes
    without normals.

    Args:
        depth (np.ndarray): (H, W) metres, inf = empty.
        strength (float): Darkening per metre of the mean depth step.

    Returns:
        np.ndarray: (H, W) factors in (0, 1], 1 where empty.
    """
    height, width = depth.shape
    reach = 2
    padded = np.pad(depth, reach, constant_values=np.inf)
    drops = np.zeros(depth.shape)
    for row, column in np.ndindex(3, 3):
        top, left = row * reach, column * reach
        neighbour = padded[top:top + height, left:left + width]
        drop = np.subtract(
            depth,
            neighbour,
            out=np.zeros(depth.shape),
            where=np.isfinite(depth) & np.isfinite(neighbour))
        # A step from the furniture to the floor is as dark as a small one.
        drops += drop.clip(0, 0.2)
    return np.exp(-strength * drops / 8)
