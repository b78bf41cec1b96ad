"""Count what the checks of recordings and scans say about good and bad ones.

    python tools/experiments/check_false_alarms.py --synthrooms data/synth \\
        --recording 'DIR --color-intrinsics 527,527,323,238 --up=z' \\
        --scans DIR --out docs/results/check_false_alarms.json

Every recording is one command line of import_rgbd_folder.py without --out and
--scan. SynthRooms scenes are taken as a whole, and under random cropping of
images (40 to 100% of each side), of frames (2 to all), and of points. Every
tenth scene is spoiled in each way that the checks know, to count what they
notice.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import shlex
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.preparation.checking.scan_checks import check_source
from sam3d_plugin.preparation.checking.source_frames import Source, SourceFrame
from sam3d_plugin.preparation.sources.rgbd_folder.conventions import (
    camera_axes, change_axes)
from sam3d_plugin.preparation.sources.rgbd_folder.step import (FolderOptions,
                                                               RGBDFolderStep)
from sam3d_plugin.preparation.sources.scans import orientation
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 find_scans,
                                                                 read_scan)
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.posed_images import PosedImages

Pose = Callable[[np.ndarray], np.ndarray]
SPOILED_POSES: Dict[str, Pose] = {
    'opengl': lambda pose: change_axes(pose, camera_axes('opengl')),
    'robot': lambda pose: change_axes(pose,
                                      camera_axes('robot').T),
    'world-to-camera': np.linalg.inv,
    'column-major': np.transpose,
    'millimeters': lambda pose: pose * ([[1, 1, 1, 1000]] * 3 + [[1] * 4]),
}
SPOILED_DEPTH = {'units of 5000': 5.0, 'units of 256': 0.256}
CROPS = 3  # of each scene


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--synthrooms', type=Path)
    parser.add_argument('--recording', action='append', default=[])
    parser.add_argument('--scans', type=Path, action='append', default=[])
    parser.add_argument('--seed', type=int, default=0, help='of the crops')
    parser.add_argument('--out', type=Path)
    return parser.parse_args(argv)


def verdict(source: Source, is_up_given: bool = False) -> str:
    """What the checks say about a recording, in a word."""
    try:
        checks = check_source(source, is_up_given)
    except (FrameError, StoreError) as error:
        print(f'  {error}', file=sys.stderr)
        return 'refused'
    if any('check that' in note for note in checks.notes):
        print(f'  {checks.notes}', file=sys.stderr)
        return 'doubted'
    is_telling = checks.agreement.get('is_telling')
    return 'agrees' if is_telling else 'cannot tell'


def read_source(images: PosedImages, scan: str) -> Source:
    """All frames of a scene."""
    frames = [images.read(scan, name) for name in images.frames(scan)]
    return Source(
        scan, [SourceFrame(f.color, f.depth * 1000, f.pose) for f in frames],
        images.cameras(scan))


def crop(source: Source, rng: np.random.Generator) -> Source:
    """Some frames, and the same part of each image."""
    count = rng.integers(2, len(source.frames) + 1)
    chosen = np.sort(rng.choice(len(source.frames), count, replace=False))
    if rng.random() < 0.5:
        chosen = np.arange(count) + rng.integers(
            len(source.frames) - count + 1)
    height, width = source.frames[0].depth.shape
    rows, columns = (int(rng.uniform(0.4, 1) * n) for n in (height, width))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns +
                                                              1)
    part = slice(top, top + rows), slice(left, left + columns)
    intrinsics = source.cameras.depth_intrinsics.copy()
    intrinsics[:2, 2] -= left, top
    return replace(
        source,
        frames=[
            replace(f, color=f.color[part], depth=f.depth[part])
            for f in (source.frames[i] for i in chosen)
        ],
        cameras=replace(
            source.cameras,
            color_intrinsics=intrinsics,
            depth_intrinsics=intrinsics))


def spoil(source: Source) -> Dict[str, Source]:
    """The scene in every other convention."""
    spoiled = {
        name: [replace(f, pose=change(f.pose)) for f in source.frames]
        for name, change in SPOILED_POSES.items()
    }
    for name, factor in SPOILED_DEPTH.items():
        spoiled[name] = [
            replace(f, depth=f.depth * factor) for f in source.frames
        ]
    spoiled['images mirrored'] = [
        replace(f, color=f.color[:, ::-1], depth=f.depth[:, ::-1])
        for f in source.frames
    ]
    spoiled['images halved'] = [
        replace(f, color=f.color[::2, ::2], depth=f.depth[::2, ::2])
        for f in source.frames
    ]
    spoiled['colors mirrored'] = [
        replace(f, color=f.color[:, ::-1]) for f in source.frames
    ]
    return {
        name: replace(source, frames=frames)
        for name, frames in spoiled.items()
    }


def judge_points(xyz: np.ndarray) -> str:
    """What the checks say about a cloud with z up, in meters."""
    up, units = orientation.estimate_up(xyz), orientation.plausible_units(xyz)
    if up not in (None, 'z') or (units != [1.0]
                                 and np.ptp(xyz, axis=0).max() > 1):
        return 'refused'
    if orientation.may_be_hall(xyz):
        return 'doubted'
    return 'agrees' if up else 'cannot tell'


def crop_points(xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The points near one of them."""
    center = xyz[rng.integers(len(xyz))]
    return xyz[(np.abs(xyz - center) < rng.uniform(0.5, 3, 3)).all(axis=1)]


def check_synthrooms(root: Path, crops: int, seed: int) -> Dict[str, Counter]:
    """Counts of verdicts about a set of scenes."""
    images = PosedImages(root / 'posed_images')
    rng = np.random.default_rng(seed)
    counts: Dict[str, Counter] = {}

    def count(what: str, said: str) -> None:
        counts.setdefault(what, Counter())[said] += 1

    for index, scan in enumerate(images.scans()):
        source = read_source(images, scan)
        count('recordings', verdict(source))
        xyz = np.fromfile(root / f'points/{scan}.bin',
                          np.float32).reshape(-1, 6)[:, :3].astype(float)
        count('scans', judge_points(xyz))
        for _ in range(crops):
            count('cropped recordings', verdict(crop(source, rng)))
            count('cropped scans', judge_points(crop_points(xyz, rng)))
        if index % 10 == 0:
            for name, spoiled in spoil(source).items():
                count(f'spoiled: {name}', verdict(spoiled))
    return counts


def check_real(recordings: Sequence[str],
               scans: Sequence[Path]) -> Dict[str, Counter]:
    """Counts of verdicts about recordings and scans."""
    sys.path.insert(0, str(Path(__file__).parents[1] / 'preparation'))
    from import_rgbd_folder import build_step, parse_args
    counts: Dict[str, Counter] = {}
    for text in recordings:
        arguments = [
            '--source', *shlex.split(text), '--out', '', '--scan', 'r'
        ]
        step: RGBDFolderStep = build_step(parse_args(arguments))
        assert isinstance(step.options, FolderOptions)
        said = verdict(step.sample(), step.options.up is not None)
        counts.setdefault('real recordings', Counter())[said] += 1
    rng = np.random.default_rng(0)
    for folder in scans:
        for path in find_scans(folder).values():
            xyz = read_scan(path, ReadOptions(scale=1.0, up='z')).xyz
            for part in [xyz] + [crop_points(xyz, rng) for _ in range(20)]:
                name = 'real scans' + ', cropped' * (part is not xyz)
                counts.setdefault(name, Counter())[judge_points(part)] += 1
    return counts


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Count, print and write."""
    args = parse_args(argv)
    begin = time.perf_counter()
    counts = check_real(args.recording, args.scans)
    if args.synthrooms:
        counts.update(check_synthrooms(args.synthrooms, CROPS, args.seed))
    lines: List[str] = [
        f'{what}: ' + ', '.join(f'{n} {said}'
                                for said, n in sorted(found.items()))
        for what, found in counts.items()
    ]
    print('\n'.join(lines))
    print(f'{time.perf_counter() - begin:.0f} s')
    if args.out:
        args.out.write_text(
            json.dumps(counts, indent=1, sort_keys=True) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
