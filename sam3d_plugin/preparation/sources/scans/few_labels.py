"""Lists of few labeled scans: which of a training set keep their labels.

The protocol, for every data set: scans in the order of the SHA-256 of
``SEED/NAME``, of which the first p percent, rounded, at least one. A list
depends on the names and the seed alone, not on the order of the scans, and
holds every shorter list of its seed. Its name ends with ``_PERCENT_seedSEED``;
that of seed 0 is written as ``_PERCENT`` as well, which configs name.
"""
import hashlib
import pickle
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Tuple

import numpy as np

from ....store import atomic_write
from ....store.files import write_bytes
from .infos import read_infos, segmentation_files
from .scan import MAX_NYU40_ID, SEGMENTATION_IDS, ScanError

PERCENTAGES = (1, 5, 10, 20)
_POINT_BYTES = 4
# By data set of the infos: labels of the segmentation classes in its masks,
# and points per sample of mmdet3d's segmentation configs.
_SEGMENTATION: Dict[str, Tuple[Sequence[int], int]] = dict(
    scannet=(SEGMENTATION_IDS, 8192), s3dis=(range(13), 4096))


def choose_scans(names: Sequence[str], percentage: float,
                 seed: int) -> List[str]:
    """Sorted names of the scans that keep their labels.

    ScanError when there is no scan, one is there twice, or the percentage is
    not above 0 and at most 100.
    """
    if not names or len(set(names)) < len(names):
        raise ScanError('a list needs scans, each of them once; got '
                        f'{len(names)}, {len(set(names))} of them different')
    if not 0 < percentage <= 100:
        raise ScanError(f'{percentage:g} is not a percentage above 0')
    order = sorted(
        names,
        key=lambda name: hashlib.sha256(f'{seed}/{name}'.encode()).digest())
    return sorted(order[:max(round(len(names) * percentage / 100), 1)])


def list_suffixes(percentage: float, seed: int) -> List[str]:
    """Ends of a list's names, such as ``_10_seed1``; ``_10`` is of seed 0."""
    named = f'_{percentage:g}_seed{seed}'
    return [named] if seed else [f'_{percentage:g}', named]


def write_name_list(source: Path, out: Path, percentage: float,
                    seed: int) -> List[Path]:
    """Write a list of names, such as of scannetv2_train.txt, under each of its
    names; ScanError when one exists with other scans."""
    chosen = choose_scans(source.read_text().split(), percentage, seed)
    paths = [
        out / f'{source.stem}{suffix}.txt'
        for suffix in list_suffixes(percentage, seed)
    ]
    for path in paths:
        if path.is_file():
            _refuse_others(path, path.read_text().split(), chosen)
    for path in paths:
        with atomic_write(path, 'w') as file:
            file.write('\n'.join(chosen) + '\n')
    return paths


def write_infos(source: Path, percentage: float, seed: int) -> List[Path]:
    """Write the infos of few labeled scans beside those of all.

    Where the scans have semantic masks, the two arrays of ``seg_info`` that
    mmdet3d's segmentation reads are written too. Returns the new infos, under
    each of their names. ScanError when they exist with other scans.
    """
    content, scans = read_infos(source)
    infos = dict(zip(scans, content['data_list']))
    chosen = choose_scans(scans, percentage, seed)
    content['data_list'] = [infos[name] for name in chosen]
    suffixes = list_suffixes(percentage, seed)
    paths = [
        source.with_name(source.stem + suffix + source.suffix)
        for suffix in suffixes
    ]
    for path in paths:
        if path.is_file():
            _refuse_others(path, read_infos(path)[1], chosen)
    counted = None
    if (source.parent / 'seg_info').is_dir():
        counted = _count_points(source, content)
    for path, suffix in zip(paths, suffixes):
        split = source.stem.split('_infos_')[-1] + suffix
        files = segmentation_files(split, *counted) if counted else {}
        files[path.name] = pickle.dumps(content)
        for name, data in files.items():
            write_bytes(source.parent / name, data)
    return paths


def _refuse_others(path: Path, names: Iterable[str],
                   chosen: Sequence[str]) -> None:
    """Raise ScanError rather than replace a list of other scans.

    SynthRooms comes with lists of its own, on which scores were published.
    """
    if sorted(names) != list(chosen):
        raise ScanError(
            f'{path} exists with other scans: of another rule, as '
            "SynthRooms's own lists, or of other infos; remove it to rewrite "
            'it, or choose other --seeds')


def _count_points(
        source: Path, content: Dict[str,
                                    Any]) -> Tuple[np.ndarray, List[int], int]:
    """Arguments of :func:`segmentation_files`, from points and masks."""
    dataset = content.get('metainfo', {}).get('dataset')
    if dataset not in _SEGMENTATION:
        raise ScanError(
            f'{source} is of {dataset}, and class weights for seg_info are '
            f'known for {" and ".join(_SEGMENTATION)}; move seg_info away if '
            'the lists are for detection')
    classes, points_per_sample = _SEGMENTATION[dataset]
    root = source.parent
    num_points, counts = [], np.zeros(MAX_NYU40_ID + 1, np.int64)
    for info in content['data_list']:
        points = info['lidar_points']
        size = (root / 'points' / points['lidar_path']).stat().st_size
        num_points.append(size // (points['num_pts_feats'] * _POINT_BYTES))
        mask = root / 'semantic_mask' / info['pts_semantic_mask_path']
        labels = np.fromfile(mask, np.int64)
        counts += np.bincount(
            labels.clip(0, MAX_NYU40_ID), minlength=MAX_NYU40_ID + 1)
    return counts[list(classes)], num_points, points_per_sample
