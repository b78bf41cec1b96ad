"""Frames per second of lifting 2D regions to the points of a whole scan.

    python tools/benchmarks/lifting.py \\
        --json docs/results/benchmark_lifting.json

A generated room of boxes is written to a temporary folder: 640x480 frames
with noisy depth and some forty regions each, 50,000 points; once with one
camera, once with colour images of ScanNet's size. One thread, so the figures
are per core; times are the shortest of some rounds, files come from the page
cache. frames_per_s is of all of it: reading, lifting, merging.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.ops.projection import back_project
from sam3d_plugin.preparation.lifting.lifting import (frame_points,
                                                      lift_to_points,
                                                      read_frame)
from sam3d_plugin.preparation.lifting.region_merging import RegionMerger
from sam3d_plugin.preparation.lifting.scan_regions_step import lift_scan
from sam3d_plugin.store import provenance
from sam3d_plugin.store.files import write_bytes
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             encode_color, frame_files)
from sam3d_plugin.store.region_maps import RegionMaps, encode_region_map

ROOT = Path(__file__).resolve().parents[2]
SCAN = 'room'
ROOM = np.array([6.0, 5.0, 2.6])
FOCAL_LENGTH = 0.9  # of the image's width
TILE = 0.7  # side of a region on a surface, metres
NOISE = 0.004  # of the depth, metres


def make_boxes(rng: np.random.Generator) -> np.ndarray:
    """(R, 2, 3) low and high corners of furniture on the floor."""
    size = rng.uniform((0.4, 0.4, 0.4), (1.5, 0.9, 1.4), (14, 3))
    low = rng.uniform(0.3, 1, (14, 3)) * (ROOM - size - 0.3) * [1, 1, 0]
    return np.stack([low, low + size], 1)


def cast(rays: np.ndarray, eye: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Distance (N,) along rays from inside the room to what they meet."""
    with np.errstate(divide='ignore', invalid='ignore'):
        far = np.where(rays > 0, ROOM - eye, -eye) / rays
        nearest = far.min(1)
        for low, high in boxes:
            slabs = (np.stack([low, high]) - eye)[:, None] / rays
            enter, leave = slabs.min(0).max(1), slabs.max(0).min(1)
            is_hit = (enter < leave) & (enter > 0.2)
            nearest = np.where(is_hit & (enter < nearest), enter, nearest)
    return nearest


def make_pose(angle: float) -> np.ndarray:
    """(4, 4) of a camera that looks outward from the middle of the room."""
    forward = np.array([np.cos(angle), np.sin(angle), -0.35])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = ROOM * [0.5, 0.5, 0.6] - forward * [0.8, 0.8, 0]
    return pose


def make_images(pose: np.ndarray, boxes: np.ndarray, size: Tuple[int, int],
                rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) in metres and id map (H, W) of one view."""
    pixels = np.arange(size[0] * size[1])
    rays = back_project(np.ones(size), intrinsics(size), pixels)
    rays = rays @ pose[:3, :3].T
    depth = cast(rays, pose[:3, 3], boxes)
    tiles = np.floor((pose[:3, 3] + depth[:, None] * rays) / TILE + 0.01)
    keys = (tiles @ [1, 100, 10_000]).astype(np.int64)
    names, ids = np.unique(keys, return_inverse=True)
    ids = rng.permutation(len(names))[ids] + 1
    depth += rng.normal(0, NOISE, len(depth))
    depth[rng.random(len(depth)) < 0.05] = 0
    return depth.reshape(size), ids.reshape(size)


def intrinsics(size: Tuple[int, int]) -> np.ndarray:
    """(3, 3) of images of H and W pixels."""
    focal = FOCAL_LENGTH * size[1]
    return np.array([[focal, 0, (size[1] - 1) / 2],
                     [0, focal, (size[0] - 1) / 2], [0, 0, 1]])


def make_scan(folder: Path, num_frames: int, num_points: int,
              size: Tuple[int, int], color_size: Tuple[int,
                                                       int]) -> np.ndarray:
    """Write frames and id maps of a room.

    Args:
        folder (Path): Gets ``posed_images`` and ``region_maps``.
        num_frames (int): Frames, evenly in a circle.
        num_points (int): N.
        size (Tuple[int, int]): H and W of the depth images.
        color_size (Tuple[int, int]): H and W of the colour images; another
            size makes it two cameras, as in ScanNet's release.

    Returns:
        np.ndarray: (N, 3) float32 points on the surfaces, metres.
    """
    rng = np.random.default_rng(0)
    boxes = make_boxes(rng)
    images = PosedImages(folder / 'posed_images')
    images.write_cameras(
        SCAN,
        Cameras(
            intrinsics(color_size), intrinsics(size), np.eye(4),
            size == color_size))
    for i in range(num_frames):
        pose = make_pose(2 * np.pi * i / num_frames)
        depth, ids = make_images(pose, boxes, size, rng)
        if size != color_size:
            _, ids = make_images(pose, boxes, color_size, rng)
        color = np.repeat((ids[..., None] * 7) % 256, 3, 2).astype(np.uint8)
        files = frame_files(
            encode_color(color), (depth * 1000).astype(np.uint16), pose)
        for ending, content in files.items():
            write_bytes(images.path(SCAN, f'{i:05d}{ending}'), content)
        write_bytes(folder / 'region_maps' / SCAN / f'{i:05d}.png',
                    encode_region_map(ids))
    rays = rng.normal(size=(num_points, 3))
    eyes = ROOM * [0.5, 0.5, 0.6]
    xyz = eyes + cast(rays, eyes, boxes)[:, None] * rays
    return xyz.astype(np.float32)


def shortest(call: Callable[[], Any], rounds: int) -> float:
    """Seconds of the fastest of some calls, after one to warm up."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(folder: Path, xyz: np.ndarray, rounds: int,
            merged_frames: int) -> Dict[str, float]:
    """Time the parts of lifting and all of it.

    Args:
        folder (Path): Written by :func:`make_scan`.
        xyz (np.ndarray): (N, 3) its points.
        rounds (int): Timed calls.
        merged_frames (int): Frames to merge; those of the scan come around
            again.

    Returns:
        Dict[str, float]: Seconds, and frames per second.
    """
    images = PosedImages(folder / 'posed_images')
    maps = RegionMaps(folder / 'region_maps')
    names = images.frames(SCAN)
    pairs = [read_frame(images, maps, SCAN, name) for name in names]
    lifted = [lift_to_points(xyz, *pair) for pair in pairs]
    count = len(names)

    def read() -> None:
        for name in names:
            read_frame(images, maps, SCAN, name)

    def merge() -> None:
        merger = RegionMerger()
        for i in range(merged_frames):
            merger.add(lifted[i % count])
        merger.result(xyz)

    whole = shortest(lambda: lift_scan(xyz, SCAN, images, maps), rounds)
    results = dict(
        frames_per_s=count / whole,
        read_frame_s=shortest(read, rounds) / count,
        lift_frame_s=shortest(
            lambda: [lift_to_points(xyz, *pair)
                     for pair in pairs], rounds) / count,
        own_points_frame_s=shortest(
            lambda: [frame_points(*pair) for pair in pairs], rounds) / count,
        merge_all_s=shortest(merge, 1))
    results['merge_frames'] = merged_frames
    results['covered'] = float(np.mean([(ids > 0).mean() for ids in lifted]))
    results['regions_per_frame'] = float(
        np.mean([int(m.max()) for _, m in pairs]))
    return results


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the benchmark."""
    parser = ToolParser(__doc__.split('\n')[0])
    parser.add_argument('--json', type=Path, help='file for the results')
    parser.add_argument('--points', type=int, default=50_000)
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--merge', type=int, default=300)
    parser.add_argument(
        '--size', type=int, nargs=2, default=(640, 480), metavar=('W', 'H'))
    parser.add_argument(
        '--color-size',
        type=int,
        nargs=2,
        default=(1296, 968),
        metavar=('W', 'H'),
        help='of the second measurement, with two cameras')
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args(argv)
    size = (args.size[1], args.size[0])
    color_size = (args.color_size[1], args.color_size[0])
    record: Dict[str, Any] = dict(
        points=args.points,
        frame_size=list(args.size),
        color_size_of_two=list(args.color_size))
    for name, second in (('one_camera', size), ('two_cameras', color_size)):
        with tempfile.TemporaryDirectory() as folder:
            xyz = make_scan(
                Path(folder), args.frames, args.points, size, second)
            results = measure(Path(folder), xyz, args.rounds, args.merge)
        record[name] = {k: round(v, 6) for k, v in results.items()}
    record['machine'] = provenance.machine(threads=1)
    print(json.dumps(record, indent=1))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    main()
