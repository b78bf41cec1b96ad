"""Units, axes and alignment: from a file's frame to metres with z up.

Axis legend: N points, R boxes.
"""
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

import numpy as np

from .orientation import (UNITS, estimate_up, find_stray, may_be_hall,
                          plausible_units, robust_lengths)
from .scan import Scan, ScanError
from .source_files import brief

# Rows are the new axes in terms of the old: a rotation, never a mirror.
_TO_Z_UP: Dict[str, np.ndarray] = {
    'z': np.eye(3),
    '-z': np.diag([1.0, -1.0, -1.0]),
    'y': np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    '-y': np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    'x': np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]]),
    '-x': np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]]),
}

# A room in metres with all its points is smaller.
_LARGEST_EXTENT = 100.0
# float32 keeps a tenth of a millimetre up to here.
_LARGEST_OFFSET = 1000.0
# Stray points of a scan in metres are twice its longest side away.
_STRAY_EXTENTS = 2


def alignment_file(path: Path) -> Path:
    """Where the alignment of a scan's file may lie."""
    return path.with_name(f'{path.stem}_axis_align.txt')


def read_axis_align(path: Path, arrays: Dict[str, np.ndarray],
                    notes: List[str]) -> np.ndarray:
    """The matrix that makes a scan's walls parallel to the axes.

    Args:
        path (Path): File of the scan.
        arrays (Dict[str, np.ndarray]): Its arrays;
            ``axis_align_matrix`` is used if present.
        notes (List[str]): Gets a line when a matrix is found beside it.

    Returns:
        np.ndarray: (4, 4), the identity for scans without.

    Raises:
        ScanError: When it is no rotation about z with a translation, which
            is all that mmdet3d's GlobalAlignment takes.
    """
    beside = alignment_file(path)
    if 'axis_align_matrix' in arrays:
        matrix, source = arrays['axis_align_matrix'], path
    elif beside.is_file():
        matrix, source = _read_matrix(beside), beside
        notes.append(f'alignment from {beside.name}')
    else:
        return np.eye(4)
    rotation = np.eye(3)
    if matrix.shape == (4, 4):
        rotation[:2, :2] = matrix[:2, :2]
    if (matrix.shape != (4, 4) or not np.isfinite(matrix).all()
            or (matrix[:3, :3] != rotation).any()
            or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
            or not np.isclose(np.linalg.det(rotation), 1)):
        raise ScanError(f'{source}: the alignment must be a 4x4 rotation '
                        'about z with a translation, which is all that '
                        'mmdet3d takes; turn the points upright first')
    return np.asarray(matrix, dtype=np.float64)


def _read_matrix(path: Path) -> np.ndarray:
    """16 numbers, bare or as in ScanNet's ``axisAlignment = ...``."""
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
        values = [float(word) for word in text.split('=')[-1].split()]
        return np.array(values).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise ScanError(f'{path} does not hold 16 numbers ({brief(error)}); '
                        'write the 4x4 matrix row by row') from error


def to_metres_z_up(scan: Scan, scale: float, up: str) -> Scan:
    """Scale and turn the coordinates and boxes of a scan.

    Args:
        scan (Scan): In the file's units and axes.
        scale (float): Metres per unit.
        up (str): Axis that points up, one of ``UP_AXES``.

    Returns:
        Scan: In metres with z up.

    Raises:
        ScanError: When the scan also has an alignment, which is defined for
            z up only.
    """
    if not 0 < scale < np.inf:
        raise ScanError(f'--scale {scale:g} is no number of metres; give a '
                        'positive one')
    turn = _TO_Z_UP[up]
    axis_align = scan.axis_align.copy()
    if up != 'z' and (axis_align != np.eye(4)).any():
        raise ScanError(f'{scan.path} has an alignment, which turns about z; '
                        f'it cannot be combined with --up {up}')
    axis_align[:3, 3] *= scale
    boxes = scan.boxes
    if boxes is not None:
        boxes = scale * np.concatenate(
            [boxes[:, :3] @ turn.T, boxes[:, 3:] @ np.abs(turn).T], axis=1)
    return replace(
        scan,
        xyz=scale * (scan.xyz @ turn.T),
        boxes=boxes,
        axis_align=axis_align)


def check_units(scan: Scan) -> None:
    """Refuse a scan that cannot be a room in metres.

    Args:
        scan (Scan): With the coordinates as they would be stored; gets a
            note if other units are as likely as metres.

    Raises:
        ScanError: When its size or stray points say so.
    """
    units = plausible_units(scan.xyz)
    stray = find_stray(scan.xyz, _STRAY_EXTENTS, units != [1.0])
    size = float(robust_lengths(scan.xyz[~stray]).max())
    if plausible_units(scan.xyz[~stray]) != [1.0]:
        hint = ' or '.join(f'--scale {u:g} ({UNITS[u]})' for u in units)
        raise ScanError(f'{scan.path}: extent {size:.4g}, which no room has '
                        f'in metres; add {hint or "--scale X"} (--scale 1 if '
                        'these are metres)')
    reach = float(np.ptp(scan.xyz, axis=0).max())
    if stray.any() and reach > _LARGEST_EXTENT:
        raise ScanError(
            f'{scan.path}: {stray.sum():,} of {len(scan.xyz):,} points '
            f'lie up to {reach:,.0f} m away from the others, which '
            f'span {size:.2f} m; remove them (--scale 1 keeps '
            'them)')
    if may_be_hall(scan.xyz):
        scan.notes.append('higher than rooms are: a hall or a house, or '
                          'another unit (feet: --scale 0.3048, decimeters: '
                          '--scale 0.1)?')


def move_near_origin(scan: Scan) -> Scan:
    """Take a large offset out of coordinates before they become float32.

    Coordinates of maps, such as UTM, are so large that float32 keeps half a
    metre of them.

    Args:
        scan (Scan): Coordinates in float64, metres.

    Returns:
        Scan: As given, or with a whole number of metres subtracted, which
        ``offset`` and ``aligned_offset`` hold and a note says.
    """
    if np.abs(scan.xyz).max() <= _LARGEST_OFFSET:
        return scan
    offset = np.round(np.median(scan.xyz, axis=0))
    aligned = scan.aligned_xyz
    aligned_offset = np.round(np.median(aligned, axis=0)) * (
        np.abs(aligned).max() > _LARGEST_OFFSET)
    axis_align, boxes = scan.axis_align.copy(), scan.boxes
    axis_align[:3, 3] += axis_align[:3, :3] @ offset - aligned_offset
    if boxes is not None:
        boxes = boxes - np.append(aligned_offset, np.zeros(3))
    x, y, z = offset
    note = (f'moved by ({-x:.0f}, {-y:.0f}, {-z:.0f}) m before rounding to '
            'float32, which is too coarse that far from the origin')
    return replace(
        scan,
        xyz=scan.xyz - offset,
        axis_align=axis_align,
        boxes=boxes,
        offset=scan.offset + offset,
        aligned_offset=scan.aligned_offset + aligned_offset,
        notes=[*scan.notes, note])


def check_up_axis(scan: Scan) -> None:
    """Refuse a scan whose floor lies along another axis than z.

    Args:
        scan (Scan): With the coordinates as they would be stored; gets a
            note if nothing can be told.

    Raises:
        ScanError: When :func:`estimate_up` finds another axis.
    """
    up = estimate_up(scan.xyz)
    if up is None:
        scan.notes.append('cannot tell what points up; it has to be z, see '
                          '--up')
    elif up != 'z':
        raise ScanError(f'{scan.path}: the floor seems to lie at the low end '
                        f'of axis {up}; add --up={up} (--up=z if z points '
                        'up)')
