"""Lists of few labelled scans: which of a training set keep their labels.

The protocol, for every data set: scans in the order of the SHA-256 of
``SEED/NAME``, of which the first p percent, rounded, at least one. A list
depends on the names and the seed alone, not on the order of the scans, and
holds every shorter list of its seed.
"""
import hashlib
import pickle
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from ...store import atomic_write
from .infos import label_weights, resampled_indices
from .scan import MAX_NYU40_ID, SEGMENTATION_IDS, ScanError

PERCENTAGES = (1, 5, 10, 20)
_POINT_BYTES = 4


def choose_scans(names: Sequence[str], percentage: float,
                 seed: int) -> List[str]:
    """Choose the scans that keep their labels.

    Args:
        names (Sequence[str]): Scans of the training set, all different.
        percentage (float): Of the scans, above 0, at most 100.
        seed (int): Another seed, other scans.

    Returns:
        List[str]: Sorted names.

    Raises:
        ScanError: When there is no scan, one is there twice, or the
            percentage is out of range.
    """
    if not names or len(set(names)) < len(names):
        raise ScanError('a list needs scans, each of them once; got '
                        f'{len(names)}, {len(set(names))} of them different')
    if not 0 < percentage <= 100:
        raise ScanError(f'{percentage:g} is no percentage above 0')
    order = sorted(
        names,
        key=lambda name: hashlib.sha256(f'{seed}/{name}'.encode()).digest())
    return sorted(order[:max(round(len(names) * percentage / 100), 1)])


def list_suffix(percentage: float, seed: int) -> str:
    """End of a list's name, such as ``_10`` or, of seed 1, ``_10_seed1``."""
    return f'_{percentage:g}' + (f'_seed{seed}' if seed else '')


def write_name_list(source: Path, out: Path, percentage: float,
                    seed: int) -> Path:
    """Write a list of names, such as of scannetv2_train.txt.

    Args:
        source (Path): One name in a line.
        out (Path): Folder.
        percentage (float): See :func:`choose_scans`.
        seed (int): See :func:`choose_scans`.

    Returns:
        Path: The new list.

    Raises:
        ScanError: See :func:`choose_scans`.
    """
    chosen = choose_scans(source.read_text().split(), percentage, seed)
    path = out / f'{source.stem}{list_suffix(percentage, seed)}.txt'
    with atomic_write(path, 'w') as file:
        file.write('\n'.join(chosen) + '\n')
    return path


def write_infos(source: Path, percentage: float, seed: int) -> Path:
    """Write the infos of few labelled scans beside those of all.

    Args:
        source (Path): Infos, such as ``scannet_infos_train.pkl``. Where its
            scans have semantic masks, the two arrays of ``seg_info`` that
            mmdet3d's segmentation reads are written too.
        percentage (float): See :func:`choose_scans`.
        seed (int): See :func:`choose_scans`.

    Returns:
        Path: The new infos.

    Raises:
        ScanError: When the infos are not of mmdet3d 1.1, or see
            :func:`choose_scans`.
    """
    try:
        content = pickle.loads(source.read_bytes())
        infos = {_scan_of(info): info for info in content['data_list']}
        names = [_scan_of(info) for info in content['data_list']]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ScanError(f'{source} is no info file of mmdet3d 1.1 '
                        f'({error!r})') from error
    chosen = choose_scans(names, percentage, seed)
    content['data_list'] = [infos[name] for name in chosen]
    suffix = list_suffix(percentage, seed)
    if (source.parent / 'seg_info').is_dir():
        _write_seg_info(source.parent, content['data_list'],
                        source.stem.split('_infos_')[-1] + suffix)
    path = source.with_name(source.stem + suffix + source.suffix)
    with atomic_write(path) as file:
        pickle.dump(content, file)
    return path


def _scan_of(info: Dict[str, Any]) -> str:
    return Path(info['lidar_points']['lidar_path']).stem


def _write_seg_info(root: Path, infos: Sequence[Dict[str, Any]],
                    split: str) -> None:
    """Write class weights and how often each scan is drawn."""
    num_points, counts = [], np.zeros(MAX_NYU40_ID + 1, np.int64)
    for info in infos:
        points = info['lidar_points']
        size = (root / 'points' / points['lidar_path']).stat().st_size
        num_points.append(size // (points['num_pts_feats'] * _POINT_BYTES))
        mask = root / 'semantic_mask' / info['pts_semantic_mask_path']
        labels = np.fromfile(mask, np.int64)
        counts += np.bincount(
            labels.clip(0, MAX_NYU40_ID), minlength=MAX_NYU40_ID + 1)
    arrays = dict(
        label_weight=label_weights(counts[list(SEGMENTATION_IDS)]),
        resampled_scene_idxs=resampled_indices(num_points))
    for name, array in arrays.items():
        with atomic_write(root / 'seg_info' / f'{split}_{name}.npy') as file:
            np.save(file, array)
