"""Frames of a room become a scan of labeled points.

The scan is fused from the noisy depth images, not sampled from the mesh: it
then has what real scans have, thick surfaces far away, holes and unseen
backs, and it agrees with its frames in the way that lifting relies on. Labels
are those of the surfaces that the pixels measured.

Shapes: N points, H W pixels, I instances.
"""
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple

import cv2
import numpy as np

from ..ops.projection import back_project, transform
from ..preparation.sources.rgbd_folder.fusion import voxel_keys
from ..preparation.sources.scans.instances import instance_boxes
from ..preparation.sources.scans.scan import Scan
from .sensor import noise_deviation

# Instances of fewer points are not annotated, as in ScanNet.
MIN_POINTS = 30


@dataclass(frozen=True)
class FusionSettings:
    """Options of the fusion."""
    # Edge of the voxels that pixels are averaged in, meters
    voxel: float = 0.03
    max_points: int = 50000  # Points drawn at random from the voxels
    farthest: float = 4.5  # Depth beyond it is not used, meters
    # Pixels beside a step in depth of more than this share of their depth are
    # not used
    edge: float = 0.05


@dataclass(frozen=True)
class SyntheticFrame:
    """One frame."""
    color: np.ndarray  # (H, W, 3) uint8
    millimeters: np.ndarray  # (H, W) uint16 measured depth, 0 = none
    instance: np.ndarray  # (H, W) uint16 true ids of the color image
    measured: np.ndarray  # (H, W) ids of the measured surfaces
    pose: np.ndarray  # (4, 4) camera to world, meters


def steady_pixels(depth: np.ndarray, settings: FusionSettings) -> np.ndarray:
    """Pixels that are measured and not beside a step in depth.

    Args:
        depth (np.ndarray): (H, W) float32 meters, 0 = none.
        settings (FusionSettings): Thresholds.

    Returns:
        np.ndarray: (N,) indices into the flattened image.
    """
    kernel = np.ones((3, 3), np.uint8)
    has_depth = depth > 0
    far = cv2.dilate(depth, kernel)
    near = cv2.erode(np.where(has_depth, depth, np.float32(100)), kernel)
    is_steady = far - near < settings.edge * np.maximum(depth, 0.5)
    return np.flatnonzero(has_depth & is_steady & (depth < settings.farthest))


def _columns(frames: Sequence[SyntheticFrame], intrinsics: np.ndarray,
             settings: FusionSettings) -> Tuple[np.ndarray, np.ndarray]:
    """(N, 7) weight, xyz and color of all used pixels, and (N,) ids."""
    rows: List[np.ndarray] = []
    ids: List[np.ndarray] = []
    for frame in frames:
        depth = frame.millimeters.astype(np.float32) / np.float32(1000)
        pixels = steady_pixels(depth, settings)
        points = back_project(depth, intrinsics, pixels).astype(np.float64)
        weight = noise_deviation(points[:, 2])**-2
        rows.append(
            np.concatenate([
                weight[:, None],
                transform(points, frame.pose),
                frame.color.reshape(-1, 3)[pixels]
            ], 1))
        ids.append(frame.measured.reshape(-1)[pixels].astype(np.int64))
    return np.concatenate(rows), np.concatenate(ids)


def fuse(rng: np.random.Generator, frames: Sequence[SyntheticFrame],
         intrinsics: np.ndarray,
         settings: FusionSettings) -> Tuple[np.ndarray, np.ndarray]:
    """Average pixels per voxel; the heaviest instance of a voxel labels it.

    Args:
        rng (np.random.Generator): Draws the points that are kept.
        frames (Sequence[SyntheticFrame]): Of one scene.
        intrinsics (np.ndarray): (3, 3) pixels.
        settings (FusionSettings): Thresholds.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (N, 6) float32 world coordinates in
        meters and colors of 0 to 255, and (N,) int64 instance ids.
    """
    rows, ids = _columns(frames, intrinsics, settings)
    keys, voxel = np.unique(
        voxel_keys(rows[:, 1:4], settings.voxel), return_inverse=True)
    voxel = voxel.reshape(-1)
    weight = np.bincount(voxel, rows[:, 0])
    means = np.stack([
        np.bincount(voxel, rows[:, 0] * rows[:, i]) / weight
        for i in range(1, 7)
    ], 1)
    instance = _heaviest(voxel, ids, rows[:, 0], len(keys))
    if len(keys) > settings.max_points:
        rank = _scatter(keys, rng.integers(2**63))
        kept = np.sort(
            np.argpartition(rank, settings.max_points)[:settings.max_points])
        means, instance = means[kept], instance[kept]
    return means.astype(np.float32), instance


def _scatter(keys: np.ndarray, salt: int) -> np.ndarray:
    """A random number for each key, (N,) uint64, whatever the other keys are.

    So a voxel more or less, which processors differ in, changes one point of
    the scan. The mixing function is that of SplitMix64 (Steele et al., OOPSLA
    2014).
    """
    mixed = keys.astype(np.uint64) ^ np.uint64(salt)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _heaviest(voxel: np.ndarray, ids: np.ndarray, weight: np.ndarray,
              count: int) -> np.ndarray:
    """The id of most weight in each voxel, (count,) int64."""
    span = int(ids.max()) + 1
    pairs, index = np.unique(voxel * span + ids, return_inverse=True)
    total = np.bincount(index.reshape(-1), weight)
    # Of each voxel the heaviest pair comes last and overwrites the others.
    order = np.argsort(total, kind='stable')
    result = np.zeros(count, dtype=np.int64)
    result[pairs[order] // span] = pairs[order] % span
    return result


def label_scan(name: str, points: np.ndarray, instance: np.ndarray,
               classes: np.ndarray, axis_align: np.ndarray) -> Scan:
    """A scan with masks and boxes in the form of ScanNet's.

    Args:
        name (str): Of the scan.
        points (np.ndarray): (N, 6) float32 world coordinates and colors.
        instance (np.ndarray): (N,) ids from 1.
        classes (np.ndarray): (I + 1,) NYU40 id of each instance id.
        axis_align (np.ndarray): (4, 4) from the world to the frame of the
            boxes.

    Returns:
        Scan: Instances of too few points are unlabeled.
    """
    counts = np.bincount(instance, minlength=len(classes))
    is_small = counts[instance] < MIN_POINTS
    instance = np.where(is_small, 0, instance)
    scan = Scan(
        name,
        Path(name),
        points[:, :3],
        points[:, 3:],
        axis_align,
        semantic=classes[instance],
        instance=instance)
    assert scan.semantic is not None
    scan.boxes, scan.box_classes = instance_boxes(scan.aligned_xyz, instance,
                                                  scan.semantic)
    return scan
