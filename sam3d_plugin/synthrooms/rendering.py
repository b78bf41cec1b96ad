"""Color, depth and instance ids of a scene, ray cast.

Shapes: N rays, F faces, H W pixels.
"""
from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np

from .ray_casting import Hits, RayCaster, pixel_directions
from .scene_mesh import SceneMesh
from .textures import TEXTURE_SIZE, bake

# Rays per pixel of the color image, as places in the pixel.
_SUBPIXELS = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))
# How far the rays of ambient occlusion reach, meters.
_OCCLUSION_REACH = 0.9
# Where shadow and occlusion rays start above their surface, meters.
_OFFSET = 2e-3


@dataclass(frozen=True)
class View:
    """The surfaces that a camera sees."""
    depth: np.ndarray  # (H, W) float32 meters along the optical axis
    instance: np.ndarray  # (H, W) uint16 ids
    incidence: np.ndarray  # (H, W) float32 cosine between ray and normal
    gloss: np.ndarray  # (H, W) float32, 0 matt to 1
    # (H, W) bool, whether a projector beside the camera does not reach the
    # pixel's surface
    is_shaded: np.ndarray


class Renderer:
    """Renders one scene.

    Args:
        mesh (SceneMesh): What to see.
        intrinsics (np.ndarray): (3, 3) pixels.
        size (Tuple[int, int]): H, W.
        baseline (float): Of the depth sensor's projector, meters.
    """

    def __init__(self, mesh: SceneMesh, intrinsics: np.ndarray,
                 size: Tuple[int, int], baseline: float) -> None:
        self.mesh = mesh
        self.caster = RayCaster(mesh.triangles)
        self.size = size
        self.intrinsics = intrinsics
        self.baseline = baseline
        self._normals = mesh.normals
        # Linear light, (materials, H, W, 3).
        self._textures = np.stack([(bake(m).astype(np.float32) / 255)**2.2
                                   for m in mesh.materials])
        self._gloss = np.array([m.gloss for m in mesh.materials], np.float32)
        self._emission = np.array([m.emission for m in mesh.materials],
                                  np.float32)

    def instances(self, poses: np.ndarray,
                  size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
        """Coarse views of ``size`` rays, to choose among poses (K, 4, 4).

        Returns (K, N) instance ids and (K, N, 3) points in the world, meters.
        """
        height, width = size
        scale = np.diag([width / self.size[1], height / self.size[0], 1.0])
        rays = pixel_directions(scale @ self.intrinsics, height, width)
        directions = np.einsum('nd,ked->kne', rays, poses[:, :3, :3])
        origins = np.broadcast_to(poses[:, None, :3, 3], directions.shape)
        hits = self.caster.cast(
            origins.reshape(-1, 3), directions.reshape(-1, 3))
        points = origins + directions * hits.distance.reshape(
            len(poses), -1, 1)
        return self.mesh.instance[hits.face].reshape(len(poses), -1), points

    def view(self, pose: np.ndarray) -> View:
        """Geometry of a view, without color.

        Args:
            pose (np.ndarray): (4, 4) camera to the mesh's frame, meters.

        Returns:
            View: Of the camera.
        """
        height, width = self.size
        rays = pixel_directions(self.intrinsics, height, width)
        directions, origins = self._to_world(rays, pose)
        hits = self.caster.cast(origins, directions)
        assert (hits.face >= 0).all(), 'a camera stands outside the rooms'
        unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        incidence = np.abs((unit * self._normals[hits.face]).sum(1))
        points = origins + directions * hits.distance[:, None]
        shape = self.size
        return View(
            depth=hits.distance.reshape(shape),
            instance=self.mesh.instance[hits.face].astype(
                np.uint16).reshape(shape),
            incidence=incidence.astype(np.float32).reshape(shape),
            gloss=self._gloss[self.mesh.material[hits.face]].reshape(shape),
            is_shaded=self._unlit(points, unit, pose).reshape(shape))

    def _to_world(self, rays: np.ndarray,
                  pose: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        directions = (rays @ pose[:3, :3].T).astype(np.float32)
        origins = np.broadcast_to(pose[:3, 3].astype(np.float32),
                                  directions.shape)
        return directions, origins

    def _unlit(self, points: np.ndarray, unit: np.ndarray,
               pose: np.ndarray) -> np.ndarray:
        """Points in the shadow of the depth sensor's projector."""
        projector = pose[:3, 3] + self.baseline * pose[:3, 0]
        starts = points - 0.01 * unit
        return self.caster.is_blocked(starts,
                                      projector.astype(np.float32) - starts)

    def color(self, rng: np.random.Generator, pose: np.ndarray) -> np.ndarray:
        """The color image of a camera.

        Args:
            rng (np.random.Generator): Source of soft shadows and noise.
            pose (np.ndarray): (4, 4) camera to the mesh's frame, meters.

        Returns:
            np.ndarray: (H, W, 3) uint8 sRGB.
        """
        height, width = self.size
        albedo = np.zeros((height * width, 3), np.float32)
        light = np.zeros(height * width, np.float32)
        for shift, drop in _SUBPIXELS:
            rays = pixel_directions(self.intrinsics, height, width, shift,
                                    drop)
            directions, origins = self._to_world(rays, pose)
            hits = self.caster.cast(origins, directions)
            colors, brightness = self._shade(rng, origins, directions, hits)
            albedo += colors
            light += brightness
        # Few rays sample the shadows; their grain is smoothed, not textures.
        smooth = cv2.bilateralFilter(
            light.reshape(height, width) / len(_SUBPIXELS), 9, 0.25, 3.0)
        image = albedo.reshape(height, width, 3) / len(_SUBPIXELS)
        return develop(rng, image * smooth[..., None])

    def _shade(self, rng: np.random.Generator, origins: np.ndarray,
               directions: np.ndarray,
               hits: Hits) -> Tuple[np.ndarray, np.ndarray]:
        """(N, 3) color of the surfaces that rays meet, and (N,) light."""
        face = np.maximum(hits.face, 0)
        normal = self._normals[face]
        facing = np.einsum('nd,nd->n', normal, directions)
        normal = normal * -np.sign(facing)[:, None]
        points = origins + directions * hits.distance[:,
                                                      None] + _OFFSET * normal
        material = self.mesh.material[face]
        albedo = self._albedo(face, material, hits)
        direct = self._direct(rng, points, normal)
        open_sky = 1 - 0.75 * self._occlusion(rng, points, normal)
        ambient = (0.42 + 0.1 * normal[:, 2]) * open_sky
        return albedo, ambient + direct + self._emission[material]

    def _albedo(self, face: np.ndarray, material: np.ndarray,
                hits: Hits) -> np.ndarray:
        corners = self.mesh.texture[face]
        place = (
            corners[:, 0] * (1 - hits.u - hits.v)[:, None] +
            corners[:, 1] * hits.u[:, None] + corners[:, 2] * hits.v[:, None])
        pixel = np.floor(place * TEXTURE_SIZE).astype(np.int64) % TEXTURE_SIZE
        return self._textures[material, pixel[:, 1], pixel[:, 0]]

    def _direct(self, rng: np.random.Generator, points: np.ndarray,
                normal: np.ndarray) -> np.ndarray:
        """Light of the lamp of the point's room, (N,)."""
        room = np.searchsorted(self.mesh.borders, points[:, 0])
        lamp = self.mesh.lamps[room].astype(np.float32)
        jitter = rng.random((len(points), 2), dtype=np.float32) - 0.5
        lamp[:, :2] += jitter * 0.5
        toward = lamp - points
        squared = np.einsum('nd,nd->n', toward, toward)
        cosine = np.einsum('nd,nd->n', toward, normal) / np.sqrt(squared)
        is_dark = self.caster.is_blocked(points, toward)
        return np.where(is_dark, 0,
                        np.maximum(cosine, 0) * 2.2 /
                        (1.5 + 0.5 * squared)).astype(np.float32)

    def _occlusion(self, rng: np.random.Generator, points: np.ndarray,
                   normal: np.ndarray) -> np.ndarray:
        """Whether a ray about the normal hits a near surface, (N,)."""
        sphere = rng.standard_normal((len(points), 3), dtype=np.float32)
        sphere /= np.linalg.norm(sphere, axis=1, keepdims=True) + 1e-6
        direction = (sphere + normal * 1.02) * (_OCCLUSION_REACH / 2)
        return self.caster.is_blocked(points, direction).astype(np.float32)


def develop(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB of linear light, as a hand-held camera has it.

    Automatic exposure, a slight blur, vignetting, noise and gamma.
    """
    height, width = light.shape[:2]
    v, u = np.mgrid[:height, :width]
    away = np.hypot(u - width / 2, v - height / 2) / np.hypot(width, height)
    exposure = 0.32 / max(float(np.median(light)), 0.05)
    blurred = cv2.GaussianBlur(light, (3, 3), 0.45)
    image = blurred * np.float32(exposure**0.7) * (1 - 0.5 * away**2)[...,
                                                                      None]
    image = 1 - np.exp(-1.6 * image)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    image = image.clip(1e-4, 1)**(1 / 2.2) + 0.008 * noise
    return (image.clip(0, 1) * 255).round().astype(np.uint8)
