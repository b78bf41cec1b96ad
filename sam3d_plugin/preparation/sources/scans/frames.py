"""Units, axes and alignment: from a file's frame to meters with z up.

Shapes: N points, R boxes.
"""
import re
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

import numpy as np

from ....store.foreign_files import decode_text, parse_numbers
from .orientation import (UNITS, estimate_up, find_stray, may_be_hall,
                          plausible_units, robust_lengths)
from .scan import Scan, ScanError, files_beside
from .source_files import brief

# Of the name of a file with an alignment.
ALIGNMENT_ENDING = '_axis_align.txt'
#: Rows are the new axes in terms of the old: a rotation, never a mirror.
TO_Z_UP: Dict[str, np.ndarray] = {
    'z': np.eye(3),
    '-z': np.diag([1.0, -1.0, -1.0]),
    'y': np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    '-y': np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    'x': np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]]),
    '-x': np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]]),
}

# A room in meters with all its points is smaller.
_LARGEST_EXTENT = 100.0
#: float32 keeps a tenth of a millimeter up to here.
LARGEST_OFFSET = 1000.0
# What rounding leaves of the 0 and 1 of a matrix.
_NOISE = 1e-4
# Percent of the points that are measured; others are placeholders.
_MOST = 75
# Coordinates rounded to steps of as many meters are not a scan anymore, and
# from the second on a doubt.
_COARSE, _ROUGH = 0.05, 0.002
_FEW_POINTS = 100
# The same as a share of the size of a scan.
_COARSE_SHARE = 0.02
# The share of the longest side that another one has at least.
_LINE = 0.001
# Heights of most rooms, and one that few have, meters.
_ROOM_HEIGHT, _HIGHEST_ROOM = (1.9, 3.5), 4.5
# Stray points of a scan in meters are twice its longest side away.
_STRAY_EXTENTS = 2


def is_aligned(path: Path, arrays: Dict[str, np.ndarray]) -> bool:
    """Whether a scan says how it is aligned, in an array or beside it."""
    return 'axis_align_matrix' in arrays or bool(_alignment_files(path))


def _alignment_files(path: Path) -> List[Path]:
    files = files_beside(path, ALIGNMENT_ENDING)
    return [file for file in files if file.is_file()]


def read_axis_align(path: Path, arrays: Dict[str, np.ndarray],
                    notes: List[str]) -> np.ndarray:
    """(4, 4) that makes a scan's walls parallel to the axes.

    It is an array of the scan or in the file beside it, else the identity.
    ScanError when there are two, or it is not a rotation about z with a
    translation, which is all that mmdet3d's GlobalAlignment takes.
    """
    files = _alignment_files(path)
    sources = [*files, *[path] * ('axis_align_matrix' in arrays)]
    if len(sources) > 1:
        raise ScanError(f'{sources[0]} and {sources[1]} both hold an '
                        'alignment; keep one')
    if files:
        matrix, source = _read_matrix(files[0]), files[0]
        notes.append(f'alignment from {source.name}')
    elif sources:
        matrix, source = arrays['axis_align_matrix'], path
    else:
        return np.eye(4)
    # mmdet3d wants 0 and 1 exactly, and files hold 0.99999994.
    exact = np.eye(4)
    if matrix.shape == (4, 4):
        exact[:2, :2], exact[:3, 3] = matrix[:2, :2], matrix[:3, 3]
    rotation = exact[:3, :3]
    if (matrix.shape != (4, 4) or not np.isfinite(matrix).all()
            or not np.allclose(matrix, exact, rtol=0, atol=_NOISE)
            or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
            or np.linalg.det(rotation) < 0):
        raise ScanError(f'{source}: the alignment must be a 4x4 rotation '
                        'about z with a translation, which is all that '
                        'mmdet3d takes; turn the points upright first')
    if not np.isclose(np.linalg.det(rotation), 1):  # few digits
        angle = np.arctan2(rotation[1, 0], rotation[0, 0])
        cos, sin = np.cos(angle), np.sin(angle)
        rotation[:2, :2] = [[cos, -sin], [sin, cos]]
    return exact


def _read_matrix(path: Path) -> np.ndarray:
    """16 numbers, bare or as in ScanNet's ``axisAlignment = ...``."""
    try:
        text = decode_text(path.read_bytes())
        line = re.search(r'axisAlignment\s*=([^\n]*)', text)
        numbers = parse_numbers((line[1] if line else text).encode())
        return np.array(numbers).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise ScanError(f'{path} does not hold 16 numbers ({brief(error)}); '
                        'write the 4x4 matrix row by row') from error


def to_meters_z_up(scan: Scan, scale: float, up: str) -> Scan:
    """Scale and turn the coordinates and boxes of a scan.

    Args:
        scan (Scan): In the file's units and axes.
        scale (float): Meters per unit.
        up (str): Axis that points up, one of ``UP_AXES``.

    Returns:
        Scan: In meters with z up.

    Raises:
        ScanError: When the scale is not positive, the axis unknown, or the
            scan also has an alignment, which is defined for z up only.
    """
    if not 0 < scale < np.inf:
        raise ScanError(f'invalid --scale {scale:g}: must be positive')
    if up not in TO_Z_UP:
        raise ScanError(f'invalid axis {up!r} of --up: use one of '
                        f'{", ".join(TO_Z_UP)}')
    turn = TO_Z_UP[up]
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
        axis_align=axis_align,
        scale=scale,
        up=up,
        step=find_step(scan.xyz, scale))


def check_rounding(scan: Scan) -> None:
    """Check coordinates in meters for lost decimals.

    That happens where programs write large ones as float32, with six digits,
    or as integers. ScanError when they are on steps of 5 cm and more; a note
    where decimals are scarce.
    """
    if scan.step < _ROUGH:
        return
    text = f'coordinates are rounded to steps of {scan.step:.2g} m'
    if scan.step >= _COARSE:
        raise ScanError(f'{scan.path}: {text}; export them in double '
                        'precision, or with the offset subtracted')
    scan.notes.append(text)


def check_steps(xyz: np.ndarray, scale: float, path: Path) -> None:
    """Check points for coarse rounding.

    Args:
        xyz (np.ndarray): (N, 3) as in the file.
        scale (float): Meters per unit.
        path (Path): The file, for the error.

    Raises:
        ScanError: When the steps are large for the size of the scan.
    """
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    step = find_step(xyz, scale)
    if step > 0 and step > _COARSE_SHARE * scale * np.median(
            robust_lengths(xyz)):
        raise ScanError(f'{path}: coordinates are rounded to steps of '
                        f'{step:.2g} m; export them in double precision, or '
                        'with the offset subtracted')


def find_step(xyz: np.ndarray, scale: float) -> float:
    """The step to which (N, 3) coordinates are rounded, meters; 0 if
    unknown."""
    if len(xyz) < _FEW_POINTS:
        return 0.
    steps = [rounding_step(values) for values in xyz.T]
    # Near the origin, a wall may stand at x = 2 exactly.
    far = np.percentile(np.abs(xyz), _MOST, axis=0) * scale > LARGEST_OFFSET
    return scale * max(min(steps), *np.where(far, steps, 0.))


def rounding_step(values: np.ndarray) -> float:
    """The step to which numbers were rounded.

    Args:
        values (np.ndarray): (N,) numbers.

    Returns:
        float: The largest of 1 for integers, 0.1 for those with one
        decimal, and the precision of float16 or float32 for such numbers; 0
        if unknown.
    """
    values = np.asarray(values)
    exact = values.astype(np.float64)
    steps = [0.]
    for step in (1., .1):
        if np.allclose(exact / step, np.round(exact / step), 0, 1e-6):
            steps.append(step)
    high = np.percentile(np.abs(exact), _MOST)
    for kind in (np.float16, np.float32):
        if high < np.finfo(kind).max and (exact.astype(kind) == exact).all():
            steps.append(float(np.spacing(high.astype(kind))))
    return max(steps)


def check_units(scan: Scan) -> None:
    """ScanError unless a scan can be a room in meters.

    Gets a note if other units are as likely as meters.
    """
    lengths = robust_lengths(scan.xyz)
    size = float(lengths.max())
    if np.median(lengths) < _LINE * size:
        raise ScanError(f'{scan.path}: its lengths are '
                        f'{" x ".join(f"{x:.2g}" for x in lengths)}; if x and '
                        'y are degrees, project them to meters (--scale 1 if '
                        'these are meters)')
    units = plausible_units(scan.xyz)
    stray = find_stray(scan.xyz, _STRAY_EXTENTS, units != [1.0])
    size = float(robust_lengths(scan.xyz[~stray]).max())
    if plausible_units(scan.xyz[~stray]) != [1.0]:
        hint = ' or '.join(f'--scale {u * scan.scale:g} ({UNITS[u]})'
                           for u in units)
        raise ScanError(f'{scan.path}: extent {size:.4g}, which no room has '
                        f'in meters; add {hint or "--scale X"} (--scale 1 if '
                        'these are meters)')
    reach = float(np.ptp(scan.xyz, axis=0).max())
    if stray.any() and reach > _LARGEST_EXTENT:
        raise ScanError(
            f'{scan.path}: {stray.sum():,} of {len(scan.xyz):,} points are up '
            f'to {reach:,.0f} m away from the others, which span {size:.2f} '
            'm; remove them (--scale 1 keeps them)')
    if may_be_hall(scan.xyz):
        scan.notes.append('higher than rooms are: a hall or a house, or '
                          'another unit (feet: --scale 0.3048, decimeters: '
                          '--scale 0.1)?')


def move_near_origin(scan: Scan) -> Scan:
    """Take a large offset out of coordinates before they become float32.

    Coordinates of maps, such as UTM, are so large that float32 keeps half a
    meter of them. An integer number of meters is subtracted, which ``offset``
    and ``aligned_offset`` hold and a note says.
    """
    if np.abs(scan.xyz).max() <= LARGEST_OFFSET:
        return scan
    offset = np.round(np.median(scan.xyz, axis=0))
    aligned = scan.aligned_xyz
    aligned_offset = np.round(np.median(aligned, axis=0)) * (
        np.abs(aligned).max() > LARGEST_OFFSET)
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
    """ScanError unless the floor is at the low end of z, or if another axis is
    as long as rooms are high and z is much longer; a note if nothing can be
    told. All name axes of the file."""
    up = estimate_up(scan.xyz)
    if up is None:
        _doubt_up_axis(scan)
    elif up != 'z':
        up = name_of_axis(TO_Z_UP[up][2] @ TO_Z_UP[scan.up])
        raise ScanError(f'{scan.path}: the floor seems to be at the low end '
                        f'of axis {up}; add --up={up} (--up={scan.up} if '
                        f'{scan.up} points up)')


def _doubt_up_axis(scan: Scan) -> None:
    """Compare the lengths of a scan, meters, with the height of a room."""
    lengths = robust_lengths(scan.xyz)
    low, high = _ROOM_HEIGHT
    is_height = (lengths >= low) & (lengths <= high)
    if is_height[2] and lengths[:2].min() > lengths[2]:
        return
    if lengths[2] > _HIGHEST_ROOM and is_height.sum() == 1:
        axis = name_of_axis(np.eye(3)[is_height.argmax()] @ TO_Z_UP[scan.up])
        axis = axis.lstrip('-')
        raise ScanError(
            f'{scan.path}: the room would be {lengths[2]:.1f} m high, but is '
            f'{lengths[is_height][0]:.1f} m along {axis}; add --up={axis} or '
            f'--up=-{axis} (--up={scan.up} if {scan.up} points up)')
    scan.notes.append(f'cannot tell what points up; it has to be {scan.up}, '
                      'see --up')


def note_size(scan: Scan) -> None:
    """Note that a scan, meters, is smaller or larger than rooms are."""
    if plausible_units(scan.xyz) != [1.0]:
        scan.notes.append(
            f'its longest side is {robust_lengths(scan.xyz).max():.2g} m at '
            f'--scale {scan.scale:g}, which no room has')


def name_of_axis(vector: np.ndarray) -> str:
    """The name, such as ``'-y'``, of a (3,) vector along an axis."""
    axis = int(np.abs(vector).argmax())
    return '-' * bool(vector[axis] < 0) + 'xyz'[axis]
