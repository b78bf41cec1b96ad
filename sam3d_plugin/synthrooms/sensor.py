"""Noise model of a structured-light depth sensor.

The noise along the ray grows with the square of the distance, as Nguyen et
al. (3DIMPVT 2012) measured for the Kinect; disparity comes in steps; holes
are where the projector's light does not arrive, at grazing angles, on glossy
surfaces and out of range. Shapes: H W pixels.
"""
from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np

from .rendering import View

# ScanNet's depth camera: intrinsics of its 640x480 images.
SCANNET_INTRINSICS = np.array([[577.87, 0.0, 319.5], [0.0, 577.87, 239.5],
                               [0.0, 0.0, 1.0]])
SCANNET_SIZE = (480, 640)


@dataclass(frozen=True)
class DepthSensor:
    """A depth sensor; the defaults are those of a Kinect."""
    baseline: float = 0.075  # From camera to projector, meters
    nearest: float = 0.4  # Meters
    farthest: float = 5.5  # Meters
    steps: float = 16.0  # Disparity steps per pixel of a 640-pixel-wide image
    lateral: float = 0.4  # Deviation sideways, pixels
    grazing: float = 0.2  # Cosine to the normal below which holes begin


def noise_deviation(depth: np.ndarray) -> np.ndarray:
    """Standard deviation of measured depth, meters, for depth in meters."""
    return 0.0012 + 0.0019 * (depth - 0.4)**2


def observe(rng: np.random.Generator, view: View,
            sensor: DepthSensor) -> Tuple[np.ndarray, np.ndarray]:
    """A noisy depth image, (H, W) uint16 millimeters, 0 = none.

    Also (H, W) int64, the index of the pixel whose surface was measured.
    """
    height, width = view.depth.shape
    v, u = np.mgrid[:height, :width]
    shift = rng.normal(0, sensor.lateral, (2, height, width)).round()
    row = np.clip(v + shift[0], 0, height - 1).astype(np.int64)
    column = np.clip(u + shift[1], 0, width - 1).astype(np.int64)
    source = row * width + column
    depth = view.depth.reshape(-1)[source].astype(np.float64)
    incidence = view.incidence.reshape(-1)[source]

    smooth = _blobs(rng, (height, width), 2.0)
    noise = 0.5 * rng.standard_normal((height, width)) + 0.6 * smooth
    spread = noise_deviation(depth) / np.sqrt(np.maximum(incidence, 0.15))
    measured = np.maximum(depth + spread * noise, 0.05)
    focal = SCANNET_INTRINSICS[0, 0] * sensor.baseline
    disparity = np.round(focal / measured * sensor.steps) / sensor.steps
    measured = focal / np.maximum(disparity, 1e-3)
    measured[_holes(rng, view, depth, incidence, sensor)] = 0
    return (measured * 1000).round().astype(np.uint16), source


def _holes(rng: np.random.Generator, view: View, depth: np.ndarray,
           incidence: np.ndarray, sensor: DepthSensor) -> np.ndarray:
    """(H, W) bool, where the sensor gives no depth."""
    shape = depth.shape
    is_out = (depth < sensor.nearest) | (depth > sensor.farthest)
    is_grazing = incidence < sensor.grazing * rng.random(shape) * 1.6
    # Reflections blind the sensor in patches.
    is_glossy = _blobs(rng, shape, 3.0) < 4.0 * view.gloss - 3.8
    is_speckle = _blobs(rng, shape, 1.2) > 3.9 - 0.2 * depth
    return (is_out | is_grazing | is_glossy | is_speckle | view.is_shaded)


def _blobs(rng: np.random.Generator, shape: Tuple[int, ...],
           sigma: float) -> np.ndarray:
    """Normal noise that is smooth over some pixels, deviation 1."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
    return blurred * np.float32(2 * np.sqrt(np.pi) * sigma)
