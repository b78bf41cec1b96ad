"""Frames per second of lifting 2D regions to the points of a whole scan.

A room of SynthRooms is written to a temporary folder: 16 frames of 640x480
with noisy depth and the true instances as regions; once with one camera, once
with color images and id maps of ScanNet's size. One thread, so the figures
are per core; files come from the page cache. frames_per_s is of all of it:
reading, lifting, merging.
"""
import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import numpy as np
import torch
from PIL import Image
from rich.console import Console

from sam3d_plugin.ops.projection import scale_intrinsics
from sam3d_plugin.preparation.lifting.lifting import (frame_points,
                                                      lift_to_points,
                                                      read_frame)
from sam3d_plugin.preparation.lifting.region_merging import RegionMerger
from sam3d_plugin.preparation.lifting.scan_regions_step import lift_scan
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store.files import write_bytes
from sam3d_plugin.store.posed_images import PosedImages, decode_image
from sam3d_plugin.store.region_maps import RegionMaps, encode_region_map
from sam3d_plugin.synthrooms import SynthOptions, SynthRoomsStep
from tools.benchmarks import measuring

SIZE, COLOR_SIZE = (480, 640), (968, 1296)  # H, W
FRAMES, MERGED_FRAMES = 16, 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This part has the common options alone."""


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures with one camera and with two."""
    torch.set_num_threads(1)
    size, color_size = ((24, 32), (36, 48)) if args.quick else (SIZE,
                                                                COLOR_SIZE)
    frames, merged = (3, 5) if args.quick else (FRAMES, MERGED_FRAMES)
    figures: Dict[str, Any] = dict(
        frame_size=list(size[::-1]), color_size_of_two=list(color_size[::-1]))
    with tempfile.TemporaryDirectory() as folder:
        step = SynthRoomsStep(0, 1, 0, SynthOptions(frames, size))
        run_step(step, folder, RunOptions(workers=0), Console(quiet=True))
        scan = step.scans()[0]
        xyz = np.fromfile(f'{folder}/points/{scan}.bin',
                          np.float32).reshape(-1, 6)[:, :3]
        figures['points'] = len(xyz)
        for name, shape in (('one_camera', size), ('two_cameras', color_size)):
            write_regions(Path(folder), scan, shape)
            figures[name] = measure_scan(
                Path(folder), scan, xyz, args.rounds, merged)
    return figures


def write_regions(folder: Path, scan: str, shape: Tuple[int, int]) -> None:
    """Give a scan color images and id maps (H, W) of true instances."""
    images = PosedImages(folder / 'posed_images')
    cameras = images.cameras(scan)
    for name in images.frames(scan):
        path = folder / 'frame_instances' / scan / f'{name}.png'
        true = decode_image(path.read_bytes(), str(path))
        _, ids = np.unique(true, return_inverse=True)
        ids = np.asarray(
            Image.fromarray(ids.reshape(true.shape).astype(np.uint16)).resize(
                shape[::-1], Image.Resampling.NEAREST))
        write_bytes(folder / 'region_maps' / scan / f'{name}.png',
                    encode_region_map(ids))
        color = Image.new('RGB', shape[::-1])
        color.save(images.path(scan, f'{name}.jpg'))
        depth_shape = (true.shape[0], true.shape[1])
    images.write_cameras(
        scan,
        replace(
            cameras,
            color_intrinsics=scale_intrinsics(cameras.depth_intrinsics,
                                              depth_shape, shape),
            is_single=shape == depth_shape))


def measure_scan(folder: Path, scan: str, xyz: np.ndarray, rounds: int,
                 merged_frames: int) -> Dict[str, float]:
    """Time the parts of lifting and all of it.

    Args:
        folder (Path): Data set with id maps.
        scan (str): Its scan.
        xyz (np.ndarray): (N, 3) points of the scan, meters.
        rounds (int): Timed calls.
        merged_frames (int): Frames to merge; those of the scan repeat.

    Returns:
        Dict[str, float]: Seconds, and frames per second.
    """
    images = PosedImages(folder / 'posed_images')
    maps = RegionMaps(folder / 'region_maps')
    names = images.frames(scan)
    pairs = [read_frame(images, maps, scan, name) for name in names]
    lifted = [lift_to_points(xyz, *pair) for pair in pairs]

    def merge() -> None:
        merger = RegionMerger()
        for i in range(merged_frames):
            merger.add(lifted[i % len(names)])
        merger.result(xyz)

    calls: Dict[str, Callable[[], Any]] = dict(
        all=lambda: lift_scan(xyz, scan, images, maps),
        read=lambda: [read_frame(images, maps, scan, name) for name in names],
        lift=lambda: [lift_to_points(xyz, *pair) for pair in pairs],
        own_points=lambda: [frame_points(*pair) for pair in pairs])
    seconds = {
        name: min(times)
        for name, times in measuring.run_times(calls, rounds=rounds).items()
    }
    count = len(names)
    return dict(
        frames_per_s=count / seconds['all'],
        read_frame_s=seconds['read'] / count,
        lift_frame_s=seconds['lift'] / count,
        own_points_frame_s=seconds['own_points'] / count,
        merge_all_s=measuring.median_seconds(merge, rounds=1),
        merge_frames=merged_frames,
        covered=float(np.mean([(ids > 0).mean() for ids in lifted])),
        regions_per_frame=float(np.mean([int(ids.max()) for _, ids in pairs])))
