"""Cameras of pictures.

A camera maps xyz (meters, z up) to picture
coordinates (x right, y up, meters in the plane through the scene's center)
and depth (meters from the camera, larger = farther).
"""
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class Camera:
    """Orthographic or perspective camera that looks at a point."""
    center: np.ndarray  # (3,) point looked at, meters
    # (3, 3) rows are the picture's right and up and the direction from the
    # point looked at to the camera
    axes: np.ndarray
    # From camera to that point, meters; None is an orthographic camera
    distance: Optional[float] = None

    def project(self, xyz: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Map points into the picture.

        Args:
            xyz (np.ndarray): (..., 3) points, meters.

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
        low (np.ndarray): (3,) lowest corner of the scene, meters.
        high (np.ndarray): (3,) highest corner of the scene, meters.

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
        low (np.ndarray): (3,) lowest corner of the scene, meters.
        high (np.ndarray): (3,) highest corner of the scene, meters.
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
