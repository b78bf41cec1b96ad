"""What the checks say about good and spoiled recordings and scans."""
import shlex
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from ...store.errors import FrameError, StoreError
from ...store.posed_images import PosedImages
from ..sources.rgbd_folder.conventions import camera_axes, change_axes
from ..sources.rgbd_folder.step import RGBDFolderStep
from ..sources.scans import orientation
from ..sources.scans.scan_readers import ReadOptions, find_scans, read_scan
from .scan_checks import check_source
from .source_frames import Source, SourceFrame

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
BuildStep = Callable[[List[str]], RGBDFolderStep]
CROPS = 3  # of each scene


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


def check_real(recordings: Sequence[str], scans: Sequence[Path],
               build_step: BuildStep) -> Dict[str, Counter]:
    """Counts of verdicts about recordings and scans."""
    counts: Dict[str, Counter] = {}
    for text in recordings:
        arguments = [
            '--source', *shlex.split(text), '--out', '', '--scan', 'r'
        ]
        step = build_step(arguments)
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


def count(recordings: Sequence[str], scans: Sequence[Path],
          synthrooms: Optional[Path], seed: int,
          build_step: BuildStep) -> Dict[str, Counter]:
    """Count verdicts, and print them.

    Args:
        recordings (Sequence[str]): Command lines of import_rgbd_folder.py.
        scans (Sequence[Path]): Folders of scans.
        synthrooms (Optional[Path]): A set of scenes.
        seed (int): Of the crops.
        build_step (BuildStep): From arguments of import_rgbd_folder.py.

    Returns:
        Dict[str, Counter]: By what was judged, how often each was said.
    """
    begin = time.perf_counter()
    counts = check_real(recordings, scans, build_step)
    if synthrooms:
        counts.update(check_synthrooms(synthrooms, CROPS, seed))
    for what, found in counts.items():
        print(f'{what}: ' + ', '.join(f'{n} {said}'
                                      for said, n in sorted(found.items())))
    print(f'{time.perf_counter() - begin:.0f} s')
    return counts
