"""Per-point arrays of a scan: the same length, finite and in range.

Axis legend: N points.
"""
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from ...store import check_region_ids
from .scan import MAX_NYU40_ID, ScanError

POINT_FIELDS = ('xyz', 'rgb', 'semantic', 'instance', 'region')


def check_lengths(arrays: Dict[str, np.ndarray], path: Path) -> None:
    """Refuse empty clouds and arrays that differ in length."""
    count = len(arrays['xyz'])
    if count == 0:
        raise ScanError(f'{path} holds no points; remove it from the folder')
    for field in POINT_FIELDS:
        shape = (count, 3) if field in ('xyz', 'rgb') else (count, )
        if field in arrays and arrays[field].shape != shape:
            raise ScanError(
                f'{path}: {field} has shape {arrays[field].shape}, but '
                f'{count} points need {shape}; store one row per point')


def without_invalid_points(arrays: Dict[str, np.ndarray], path: Path,
                           drop_invalid: bool,
                           notes: List[str]) -> Dict[str, np.ndarray]:
    """Refuse or leave out points with a NaN or infinite number."""
    columns = [arrays[key] for key in ('xyz', 'rgb') if key in arrays]
    is_valid = np.isfinite(np.concatenate(columns, axis=1)).all(axis=1)
    invalid = int((~is_valid).sum())
    if invalid == 0:
        return arrays
    if not drop_invalid:
        raise ScanError(f'{path}: {invalid:,} of {len(is_valid):,} points are '
                        'NaN or infinite; add --drop-invalid to leave them '
                        'out')
    if not is_valid.any():
        raise ScanError(f'{path}: every point is NaN or infinite; remove the '
                        'file from the folder')
    notes.append(f'left out {invalid:,} points that are NaN or infinite')
    return {
        key: value[is_valid] if key in POINT_FIELDS else value
        for key, value in arrays.items()
    }


def read_colors(arrays: Dict[str, np.ndarray], path: Path, without_color: bool,
                notes: List[str]) -> np.ndarray:
    """(N, 3) colours from 0 to 255."""
    if 'rgb' not in arrays:
        if not without_color:
            raise ScanError(f'{path} has no colours; add --without-color to '
                            'store mid-grey for all points')
        notes.append('no colours: stored mid-grey')
        return np.full((len(arrays['xyz']), 3), 128, dtype=np.float32)
    rgb = arrays['rgb']
    if rgb.dtype.kind == 'f' and rgb.max() <= 1:
        notes.append('colours from 0 to 1, stored as 0 to 255')
        rgb = rgb * 255
    if rgb.min() < 0 or rgb.max() > 255:
        raise ScanError(f'{path}: colours reach from {rgb.min():g} to '
                        f'{rgb.max():g}; store them as 0 to 255')
    return rgb.astype(np.float32)


def _read_ids(arrays: Dict[str, np.ndarray], field: str,
              path: Path) -> Optional[np.ndarray]:
    """(N,) int64 ids from 0, or None where the file has none."""
    if field not in arrays:
        return None
    values = arrays[field]
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        raise ScanError(f'{path}: {field} ids must be whole numbers')
    if values.min() < 0:
        raise ScanError(f'{path}: {field} id {values.min():g} is negative; '
                        f'use 0 for points without one')
    return values.astype(np.int64)


def read_instances(arrays: Dict[str, np.ndarray],
                   path: Path) -> Optional[np.ndarray]:
    """(N,) int64 instance ids, or None."""
    return _read_ids(arrays, 'instance', path)


def read_semantic(arrays: Dict[str, np.ndarray],
                  path: Path) -> Optional[np.ndarray]:
    """(N,) int64 NYU40 ids, or None."""
    semantic = _read_ids(arrays, 'semantic', path)
    if semantic is not None and semantic.max() > MAX_NYU40_ID:
        raise ScanError(
            f'{path}: semantic id {semantic.max()} is no NYU40 id; known are '
            f'0 (unlabelled) and 1 to {MAX_NYU40_ID}')
    return semantic


def read_regions(arrays: Dict[str, np.ndarray],
                 path: Path) -> Optional[np.ndarray]:
    """(N,) uint32 region ids up to 2^24, or None."""
    regions = _read_ids(arrays, 'region', path)
    if regions is None:
        return None
    try:
        return check_region_ids(regions, str(path))
    except ValueError as error:
        raise ScanError(str(error)) from error
