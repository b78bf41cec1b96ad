"""What only methods on pairs of frames do: pair search, overlaps, contrast.

Shapes: N points, F frames, P pairs, K queued keys, C channels.
"""
import tempfile
import time
from typing import Any, Callable, Dict, List

import numpy as np
import torch
from torch.nn import functional as F

from sam3d_plugin.datasets.transforms.two_views import draw_pairs
from sam3d_plugin.models.losses import FeatureQueue, InfoNCELoss
from sam3d_plugin.preparation.pairs.frame_pairs_step import FramePairsStep
from sam3d_plugin.store.files import write_bytes
from sam3d_plugin.store.posed_images import Cameras, PosedImages, frame_files
from tools.benchmarks import measuring
from tools.benchmarks.pretraining_ratios import verdict

SIZES = dict(points=20000, frames=100, pairs=4096, queries=64, queue=16384)
RADIUS, CELL = 0.0375, 0.1
# Of a point of PointContrast, and of a view of DepthContrast.
POINT_CHANNELS, VIEW_CHANNELS = 32, 128
SCAN = 'wall'
# Frames of a step that the contrast is a share of.
STEP_FRAMES = 64


def measure_contrast(rounds: int) -> Dict[str, Any]:
    """Time everything on the CPU.

    Returns ``pairs_ms`` of one core, ``overlaps_s`` of a scan,
    ``info_nce_ms``, ``queue_ms``, and the sizes.
    """
    rng = np.random.default_rng(0)
    first, second = (corner_points(SIZES['points'], rng) for _ in range(2))
    pairs = measuring.run_times(
        dict(search=lambda: draw_pairs(first, second, RADIUS, SIZES['pairs'] //
                                       8, CELL, rng)),
        rounds=rounds,
        in_a_row=8,
        clock=time.process_time)['search']
    return dict(
        SIZES,
        pairs_ms=float(np.median(pairs)) * 1000,
        overlaps_s=measure_overlaps(SIZES['frames'], (480, 640)),
        info_nce_ms=measuring.median_seconds(
            contrast(SIZES['pairs'], POINT_CHANNELS), rounds=rounds) * 1000,
        queue_ms=measuring.median_seconds(
            contrast(SIZES['queries'], VIEW_CHANNELS, SIZES['queue']),
            rounds=rounds) * 1000)


def corner_points(count: int, rng: np.random.Generator) -> np.ndarray:
    """Points (N, 3) on three walls of 3 m, 3 mm thick."""
    points = rng.normal(0, .003, (count, 3))
    wall = rng.integers(0, 3, count)[:, None]
    on_wall = rng.random((count, 3)) * 3
    return np.where(np.arange(3) == wall, points, points + on_wall)


def measure_overlaps(frames: int, shape: tuple) -> float:
    """Seconds of the table of overlaps of a scan.

    Args:
        frames (int): F views of one wall, each 5 cm beside the last.
        shape (tuple): H, W of the depth images.

    Returns:
        float: With reading the images.
    """
    height, width = shape
    rng = np.random.default_rng(0)
    depth = rng.integers(1980, 2020, shape).astype(np.uint16)
    intrinsics = np.array([[width, 0, width / 2], [0, width, height / 2],
                           [0, 0, 1.]])
    with tempfile.TemporaryDirectory() as folder:
        step = FramePairsStep(folder)
        images = PosedImages(step.images.root)
        images.write_cameras(SCAN,
                             Cameras(intrinsics, intrinsics, np.eye(4), True))
        for i in range(frames):
            pose = np.eye(4)
            pose[0, 3] = .05 * i
            files = frame_files(b'', depth, pose)
            for ending in ('.png', '.txt'):
                write_bytes(
                    images.path(SCAN, f'{i:05}{ending}'), files[ending])
        begin = time.perf_counter()
        step.make(SCAN, SCAN)
        return time.perf_counter() - begin


def contrast(num_pairs: int,
             channels: int,
             queue_size: int = 0) -> Callable[[], Any]:
    """A call that contrasts P pairs of C channels, with K queued keys if any.

    Forward and backward; the keys then go into the queue.
    """
    generator = torch.Generator().manual_seed(0)
    queries, keys = (
        F.normalize(
            torch.randn(1, num_pairs, channels, generator=generator),
            dim=-1).requires_grad_() for _ in range(2))
    is_pair = torch.ones(1, num_pairs, dtype=torch.bool)
    loss = InfoNCELoss()
    queue = FeatureQueue(queue_size, channels) if queue_size else None
    if queue is not None:
        queue.push(torch.randn(queue_size, channels, generator=generator))

    def call() -> None:
        held = None if queue is None else queue()
        loss(queries, keys, is_pair, queue=held).backward()
        if queue is not None:
            queue.push(keys[0].detach())

    return call


def verdicts(found: Dict[str, Any],
             rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Compare with what is asked; contrast with the fastest large step."""
    most = max(row['points'] for row in rows)
    fastest = max(row['samples_per_s'] for row in rows
                  if row['points'] == most)
    step_ms = STEP_FRAMES / fastest * 1000
    step = f'share of a step of {STEP_FRAMES} x {most:,} points'
    return [
        verdict(f'pairs of two frames of {found["points"]:,} points: ms',
                found['pairs_ms'], 10),
        verdict(f'overlaps of {found["frames"]} frames: s',
                found['overlaps_s'], 20),
        verdict(f'InfoNCE of {found["pairs"]:,} pairs: {step}',
                found['info_nce_ms'] / step_ms, 0.1),
        verdict(
            f'{found["queries"]} queries, {found["queue"]:,} queued: {step}',
            found['queue_ms'] / step_ms, 0.1)
    ]
