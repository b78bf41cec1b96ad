"""Per-point arrays of a scan: the same length, finite and in range.

Shapes: N points.
"""
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ....store import check_region_ids
from ...ids import find_no_id
from .colors import scale_colors
from .orientation import find_stray
from .scan import MAX_NYU40_ID, ScanError

# More points than these at exactly one place were not measured.
_MANY_AT_ONE_PLACE, _SHARE_AT_ONE_PLACE, _MANY_TIMES = 20, 0.001, 10
# A point this many extents of the scan away from it does not belong to it.
_FAR_EXTENTS, _FEW = 10, 0.01
_ID_NOISE = 1e-3
# What programs that count classes from 0 write for none.
_IGNORED = (-1, -100, 255)
POINT_FIELDS = ('xyz', 'rgb', 'semantic', 'instance', 'region')


def check_lengths(arrays: Dict[str, np.ndarray], path: Path) -> None:
    """Check for empty clouds and arrays of different lengths."""
    count = len(arrays['xyz'])
    if count == 0:
        raise ScanError(f'{path} holds no points; remove it from the folder')
    for field in POINT_FIELDS:
        shape = (count, 3) if field in ('xyz', 'rgb') else (count, )
        fits = {shape, (count, 4)} if field == 'rgb' else {shape}
        if field in arrays and arrays[field].shape not in fits:
            raise ScanError(
                f'{path}: {field} has shape {arrays[field].shape}, but '
                f'{count} points need {shape}; store one row per point')


def without_invalid_points(
    arrays: Dict[str, np.ndarray],
    path: Path,
    drop_invalid: bool,
    notes: List[str],
    needed: Sequence[str] = ('xyz', 'rgb')
) -> Dict[str, np.ndarray]:
    """Check for, or drop, values that sensors write for no measurement.

    Those are points with a number that is NaN or infinite, points at a
    position that a program writes for none (many at one place, such as the
    sensor itself, or at one coordinate such as -9999), and single points far
    outside of the scan.

    Args:
        arrays (Dict[str, np.ndarray]): Arrays of the scan, ``xyz`` (N, 3) in
            any unit.
        path (Path): Its file, for messages.
        drop_invalid (bool): Whether to leave such points out.
        notes (List[str]): Receives what was left out, and doubled points.
        needed (Sequence[str]): Arrays whose numbers must be finite.

    Returns:
        Dict[str, np.ndarray]: The arrays of the points that are left.

    Raises:
        ScanError: When there are such points and none may be left out, or
            when no others are left.
    """
    columns = [arrays[key] for key in needed if key in arrays]
    is_valid = np.isfinite(np.concatenate(columns, axis=1)).all(axis=1)
    found = {'that are NaN or infinite': ~is_valid}
    if is_valid.any():
        invalid, doubled = _find_invalid(arrays['xyz'], is_valid)
        found.update(invalid)
        if doubled:
            notes.append(f'{doubled:,} points are at the position of another')
    kinds = [
        f'{mask.sum():,} points {what}' for what, mask in found.items()
        if mask.any()
    ]
    if not kinds:
        return arrays
    is_valid = ~np.logical_or.reduce(list(found.values()))
    if not is_valid.any():
        raise ScanError(f'{path}: every point is invalid ({kinds[0]}); '
                        'remove the file from the folder')
    if not drop_invalid:
        raise ScanError(f'{path}: {" and ".join(kinds)}, of {len(is_valid):,} '
                        'points; add --drop-invalid to leave them out')
    notes.append(f'left out {" and ".join(kinds)}')
    return {
        key: value[is_valid] if key in POINT_FIELDS else value
        for key, value in arrays.items()
    }


def _find_invalid(xyz: np.ndarray,
                  is_finite: np.ndarray) -> Tuple[Dict[str, np.ndarray], int]:
    """Points at positions that no sensor measured.

    Args:
        xyz (np.ndarray): (N, 3) in any unit.
        is_finite (np.ndarray): (N,) bool, some of which are True.

    Returns:
        Tuple[Dict[str, np.ndarray], int]: (N,) masks of such points by what
        they are, each without those before it, and the number of points at
        the position of another.
    """
    xyz = xyz.astype(np.float64)
    is_placeholder, doubled = _find_placeholders(xyz, is_finite)
    is_valid = is_finite & ~is_placeholder
    is_shared = np.zeros_like(is_valid)
    is_shared[is_valid] = _find_shared(xyz[is_valid])
    is_valid &= ~is_shared
    is_far = np.zeros_like(is_valid)
    is_far[is_valid] = find_stray(xyz[is_valid], _FAR_EXTENTS)
    found = {
        'at one position, a placeholder': is_placeholder,
        'at one coordinate, a placeholder': is_shared
    }
    if is_far.mean() < _FEW:
        found['far outside of the scan'] = is_far
    return found, doubled


def _find_placeholders(xyz: np.ndarray,
                       is_valid: np.ndarray) -> Tuple[np.ndarray, int]:
    """(N,) bool, points at a position that far too many share, and how many
    other points are at the position of an earlier one."""
    index = np.flatnonzero(is_valid)
    _, inverse, counts = np.unique(
        xyz[index], axis=0, return_inverse=True, return_counts=True)
    # A scan whose every point is there several times has no such position.
    limit = max(_MANY_AT_ONE_PLACE, _MANY_TIMES * float(np.median(counts)),
                _SHARE_AT_ONE_PLACE * len(index))
    is_crowded = counts > limit
    mask = np.zeros(len(xyz), dtype=bool)
    mask[index] = is_crowded[inverse.reshape(-1)]
    return mask, int((counts[~is_crowded] - 1).sum())


def _find_shared(xyz: np.ndarray) -> np.ndarray:
    """(N,) bool, points far away whose coordinate far too many have, such as
    -9999."""
    mask = np.zeros(len(xyz), dtype=bool)
    is_far = find_stray(xyz, _FAR_EXTENTS, are_many=True)
    limit = max(_MANY_AT_ONE_PLACE, _SHARE_AT_ONE_PLACE * len(xyz))
    for axis in range(3) if is_far.any() else ():
        column = xyz[:, axis]
        far = is_far & find_stray(xyz[:, [axis]], _FAR_EXTENTS, are_many=True)
        values, counts = np.unique(column[far], return_counts=True)
        mask |= far & np.isin(column, values[counts > limit])
    return mask


def read_colors(arrays: Dict[str, np.ndarray],
                path: Path,
                without_color: bool,
                notes: List[str],
                others: Sequence[str] = (),
                problem: str = '') -> np.ndarray:
    """(N, 3) float32 colors, 0 to 255; mid-gray, with a note, without any.

    ScanError when there are colors that cannot be read, which
    ``without_color`` makes mid-gray, too. ``problem`` is what the reader of
    the file found wrong with them.
    """
    if 'rgb' in arrays and not problem:
        try:
            rgb, note = scale_colors(arrays['rgb'])
        except ValueError as error:
            problem = str(error)
        else:
            notes += [note] if note else []
            return rgb
    if problem and not without_color:
        raise ScanError(f'{path}: {problem}; or add --without-color to store '
                        'mid-gray for all points')
    if not problem:
        held = f' (it has {brief_names(others)})' if others else ''
        problem = f'no colors{held}'
    notes.append(f'{problem}: mid-gray for all points')
    return np.full((len(arrays['xyz']), 3), 128, dtype=np.float32)


def brief_names(names: Sequence[str]) -> str:
    """A few names, none of them long, for an error."""
    shown = [name[:30] for name in names[:10]]
    return ', '.join(shown) + (', ...' if len(names) > 10 else '')


def _whole(values: np.ndarray, field: str, path: Path) -> np.ndarray:
    """(N,) int64 ids; computing may have made 5 into 4.9999998."""
    if not (np.abs(values - np.round(values)) <= _ID_NOISE).all():
        raise ScanError(f'{path}: {field} ids must be integers')
    return np.round(values).astype(np.int64)


def read_ids(arrays: Dict[str, np.ndarray], field: str, path: Path,
             notes: List[str]) -> Optional[np.ndarray]:
    """(N,) int64 ids with 0 for none, or None where the file has none.

    Some programs count from 0 and write -1, or the largest number of the
    type, for points in none. ScanError when ids are not integers, negative,
    or it cannot be told what stands for none.
    """
    if field not in arrays:
        return None
    values = arrays[field]
    ids = _whole(values, field, path)
    if values.dtype.itemsize == 1 and len(np.unique(ids)) == 256:
        notes.append(f'{field} ids use all of 8 bits: if there were more than '
                     '255, some have wrapped')
    none, is_certain = find_no_id(ids, values.dtype)
    if not is_certain:
        raise ScanError(f'{path}: {field} id {none} may stand for none or be '
                        'an id like the others; store -1 for none, or 0 '
                        'and ids >= 1')
    if none is not None:
        is_none = ids == none
        ids = np.where(is_none, 0, ids + 1)
        notes.append(f'{field} ids: {none} is none ({is_none.sum():,} '
                     'points), and the others are counted from 0')
    if ids.min() < 0:
        raise ScanError(f'{path}: {field} id {ids.min()} is negative; '
                        f'use 0 for points without one')
    return ids


def read_semantic(arrays: Dict[str, np.ndarray], path: Path,
                  notes: List[str]) -> Optional[np.ndarray]:
    """(N,) int64 NYU40 ids, or None; unknown ids become 0, unlabeled."""
    if 'semantic' not in arrays:
        return None
    values = arrays['semantic']
    ids = _whole(values, 'semantic', path)
    is_unknown = (ids < 0) | (ids > MAX_NYU40_ID)
    if is_unknown.all():
        raise ScanError(f'{path}: none of the semantic ids, such as {ids[0]}, '
                        f'is a NYU40 id (0 to {MAX_NYU40_ID}); map them first')
    if is_unknown.any():
        unknown = ', '.join(map(str, np.unique(ids[is_unknown])[:5]))
        notes.append(f'{is_unknown.sum():,} points with ids that NYU40 does '
                     f'not have ({unknown}) stored as unlabeled')
        if (ids == 0).any() and np.isin(ids[is_unknown], _IGNORED).all():
            notes.append('if 0 is a class, these are class indices: map them '
                         'to NYU40 ids first')
    return np.where(is_unknown, 0, ids)


def read_regions(arrays: Dict[str, np.ndarray], path: Path,
                 notes: List[str]) -> Optional[np.ndarray]:
    """(N,) uint32 region ids up to 2^24, or None."""
    regions = read_ids(arrays, 'region', path, notes)
    if regions is None:
        return None
    try:
        return check_region_ids(regions, str(path))
    except ValueError as error:
        raise ScanError(str(error)) from error
