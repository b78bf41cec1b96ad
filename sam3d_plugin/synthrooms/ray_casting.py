"""Rays against triangles by embree.

Shapes: N rays, F faces, H W pixels.
"""
from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh


@dataclass(frozen=True)
class Hits:
    """The first surface that each ray meets."""
    face: np.ndarray  # (N,) int32, -1 = none
    distance: np.ndarray  # (N,) float32, in lengths of the direction
    u: np.ndarray  # (N,) float32 weight of the face's second corner
    v: np.ndarray  # (N,) float32 weight of its third corner


class RayCaster:
    """Embree's scene of some triangles.

    trimesh's intersector wraps the same class, but normalizes the rays and
    hands back faces without distances.

    Args:
        triangles (np.ndarray): (F, 3, 3) float32 corners, meters.
    """

    def __init__(self, triangles: np.ndarray) -> None:
        self._scene = rtcore_scene.EmbreeScene()
        TriangleMesh(self._scene, np.ascontiguousarray(triangles, np.float32))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Hits of rays.

        Args:
            origins (np.ndarray): (N, 3) float32 meters.
            directions (np.ndarray): (N, 3) float32, of any length.

        Returns:
            Hits: First surfaces.
        """
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            query='INTERSECT',
            output=True)
        return Hits(found['primID'], found['tfar'], found['u'], found['v'])

    def is_blocked(self, origins: np.ndarray,
                   directions: np.ndarray) -> np.ndarray:
        """Whether a surface is between origin and origin + direction.

        Args:
            origins (np.ndarray): (N, 3) float32 meters.
            directions (np.ndarray): (N, 3) float32 up to the other end.

        Returns:
            np.ndarray: (N,) bool.
        """
        hit = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            np.ones(len(origins), np.float32),
            query='OCCLUDED')
        return hit >= 0


def pixel_directions(intrinsics: np.ndarray,
                     height: int,
                     width: int,
                     shift: float = 0.0,
                     drop: float = 0.0) -> np.ndarray:
    """Directions through pixels, of which z is 1, so that distance is depth.

    Args:
        intrinsics (np.ndarray): (3, 3) pixels.
        height (int): H.
        width (int): W.
        shift (float): Right of the pixels' centers, pixels.
        drop (float): Below the pixels' centers, pixels.

    Returns:
        np.ndarray: (H * W, 3) camera frame.
    """
    v, u = np.mgrid[:height, :width].astype(np.float64)
    return np.stack([(u + shift - intrinsics[0, 2]) / intrinsics[0, 0],
                     (v + drop - intrinsics[1, 2]) / intrinsics[1, 1],
                     np.ones_like(u)], -1).reshape(-1, 3)
