"""Detection of the up axis and the unit of a point cloud.

Shares of areas and of points, never extremes, so that neither a street seen
through a window nor one stray point decides. What cannot be told is None.

Shapes: N points, C columns along an axis, L levels of 5 cm.
"""
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np

# Points are thinned to voxels of this edge; levels are as thick, meters.
_LEVEL = 0.05
_POINTS = 60_000
# Points outside these percentiles by more than the margin is left out.
_PERCENTILES, _MARGIN = (4, 96), 0.3
# A floor is under so much of the scan.
_FLOOR = 0.5
# Nothing along the other axes, and nothing at the other end, is as full.
_WALLS, _OPPOSITE = 0.7, 0.5
# Levels above a floor in which furniture stands (0.2 to 1.1 m), how full they
# are, and how much fuller than those below a ceiling.
_FURNITURE, _FULL, _FULLER = slice(4, 22), 0.05, 1.15
# Rooms are rarely as high as the first; upside-down ones are at least as high,
# long and wide as the second, meters.
_HIGHEST, _LOWEST = 3.2, 1.8
# Degrees in which a tilted floor is looked for.
_TURNS = range(0, 90, 5)

#: Meters per unit, and what it is called.
UNITS: Dict[float, str] = {
    0.001: 'millimeters',
    0.01: 'centimeters',
    0.0254: 'inches',
    0.3048: 'feet'
}
# Longest side of a scan in meters, and height of a room that shows its unit.
_LONGEST, _ROOM_HEIGHT = (0.5, 100.0), (1.9, 4.5)
# Shortest side of a scan whose unit is named, meters.
_SHORTEST = 0.3
# Height from which a scan is rather a room in another unit than a hall, and
# length that it has then.
_HALL_HEIGHT, _HALL_LENGTH = 6.5, 9.0
# Share of the points outside which stray points are looked for: of a few, and
# of many.
_INNER, _INNERMOST = (2, 98), (10, 90)


@dataclass(frozen=True)
class _End:
    """Statistics of one end of an axis."""
    cover: float  # Share of the columns that the fullest level meets
    # Mean share of the levels that furniture would fill, counted from the
    # fullest level
    above: float
    end: float  # The same, counted from the end of the axis


def estimate_up(xyz: np.ndarray) -> Optional[str]:
    """The up axis of a scan (N, 3) in meters, such as ``'-y'``, or None.

    A floor is a level under at least half of the scan, with furniture above
    it, while nothing of the kind is at the other end or along the other axes.
    If the other end is as full (a ceiling), or if the answer is -z, the side
    with the furniture is down. An answer other than z and -z needs a scan that
    is longer along z than rooms are high, since one view of a wall looks like
    a floor.
    """
    if len(xyz) < 100 or not np.isfinite(xyz).all():
        return None
    points = _thin_out(np.asarray(xyz, dtype=np.float64))
    lengths = np.ptp(points, axis=0)
    if lengths.max() > _LONGEST[1]:
        return None
    ends: Dict[str, _End] = {}
    for i, axis in enumerate('xyz'):
        ends[axis], ends[f'-{axis}'] = _ends(points, i)
    up = max(ends, key=lambda name: ends[name].cover)
    other = up[1:] if up[0] == '-' else f'-{up}'
    beside = max(end.cover for name, end in ends.items() if name[-1] != up[-1])
    if ends[up].cover < _FLOOR or beside > _WALLS * ends[up].cover:
        return None
    if ends[other].cover > _OPPOSITE * ends[up].cover or up == '-z':
        sides = [(up, other), (other, up)]
        up = next(
            (this for this, that in sides
             if ends[this].cover >= _FLOOR and ends[this].above >= _FULLER *
             ends[that].end), '')
    if not up or ends[up].above < _FULL:
        return None
    if (up == '-z' and lengths.min() < _LOWEST) or (up[-1] != 'z'
                                                    and lengths[2] < _HIGHEST):
        return None
    return up if up[-1] == 'z' or _is_fuller(points, ends, up) else None


def _is_fuller(xyz: np.ndarray, ends: Dict[str, _End], up: str) -> bool:
    """Whether furniture stands on this end rather than on one beside it.

    A room that is tilted about the normal of a wall has that wall along an
    axis, while its floor is along none. Its floor is found by turning.
    """
    i = 'xyz'.index(up[-1])
    this, that = ends[up], ends[up[1:] if up[0] == '-' else f'-{up}']
    if that.cover <= _OPPOSITE * this.cover:
        return True
    best = (0.0, 0.0)
    for angle in _TURNS:
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        turned = xyz[:, [(i + 1) % 3, (i + 2) % 3, i]]
        turned[:, :2] = turned[:, :2] @ [[cos, -sin], [sin, cos]]
        pairs = [_ends(turned, axis) for axis in (0, 1)]
        full = [(a, b) for low, high in pairs
                for a, b in ((low, high), (high, low)) if a.cover >= _FLOOR]
        if full:
            best = max(
                best,
                (sum(a.cover
                     for a, _ in full), max(_furniture(a, b)
                                            for a, b in full)))
    return _furniture(this, that) > best[1]


def _furniture(this: _End, that: _End) -> float:
    """Difference in fill above one end and below the other."""
    return this.above / max(that.end, 1e-9)


def _thin_out(xyz: np.ndarray) -> np.ndarray:
    """Centers of the voxels that are not far from all others."""
    xyz = xyz[::max(-(-len(xyz) // _POINTS), 1)]
    _, first = np.unique(
        np.floor(xyz / _LEVEL).astype(np.int64), axis=0, return_index=True)
    xyz = xyz[first]
    low, high = np.percentile(xyz, _PERCENTILES, axis=0)
    is_near = ((xyz >= low - _MARGIN) & (xyz <= high + _MARGIN)).all(axis=1)
    return xyz[is_near]


def _ends(xyz: np.ndarray, axis: int) -> Tuple[_End, _End]:
    """The low and the high end of an axis of thinned points, meters."""
    x, y, z = lengths = np.ptp(xyz, axis=0) + _LEVEL
    spacing = np.sqrt(2 * (x * y + y * z + z * x) / len(xyz))
    cell = max(2 * _LEVEL, 2 * spacing)
    low = xyz.min(axis=0)
    cells = np.floor((xyz - low) / cell).astype(np.int64)
    cells[:, axis] = 0
    columns = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
    levels = np.floor((xyz[:, axis] - low[axis]) / _LEVEL).astype(np.int64)
    is_filled = np.zeros((levels.max() + 2, columns.max() + 1), dtype=bool)
    is_filled[levels, columns] = True
    fill = (is_filled[:-1] | is_filled[1:]).mean(axis=1)
    count = max(int((lengths[axis] / 4 + _MARGIN) / _LEVEL), 1)
    return _end(fill, count), _end(fill[::-1], count)


def _end(fill: np.ndarray, count: int) -> _End:
    """Interpret the first of (L,) shares of filled columns."""
    floor = int(fill[:count].argmax())
    above = fill[floor:][_FURNITURE]
    end = fill[_FURNITURE]
    return _End(
        float(fill[floor]),
        float(above.mean()) if len(above) else 0.0,
        float(end.mean()) if len(end) else 0.0)


def robust_lengths(xyz: np.ndarray) -> np.ndarray:
    """Lengths of a scan along the axes without stray points.

    Args:
        xyz (np.ndarray): (N, 3).

    Returns:
        np.ndarray: (3,) in the unit of the scan, between the 2nd and the 98th
        percentile.
    """
    return np.ptp(np.percentile(xyz, _INNER, axis=0), axis=0)


def plausible_units(xyz: np.ndarray) -> List[float]:
    """Meters per unit that would make a scan a room.

    Args:
        xyz (np.ndarray): (N, 3) in any unit.

    Returns:
        List[float]: ``[1.0]`` for a scan that can be in meters. Otherwise the
        ``UNITS`` that give one of the lengths the height of a room; without
        any, those that give a plausible size.
    """
    lengths = robust_lengths(xyz)
    longest = float(lengths.max())
    if _LONGEST[0] <= longest <= _LONGEST[1]:
        return [1.0]
    low, high = _ROOM_HEIGHT
    fits = [
        u for u in UNITS
        if 1 <= longest * u <= _LONGEST[1] / 3 and lengths.min() *
        u >= _SHORTEST
    ]
    rooms = [u for u in fits if low <= u * lengths.min() <= high]
    return rooms or fits


def may_be_hall(xyz: np.ndarray) -> bool:
    """Whether a scan is higher than rooms are.

    Args:
        xyz (np.ndarray): (N, 3), z up.

    Returns:
        bool: True for what is a hall or a house in meters, or a room in feet
        or decimeters. They look the same, so this is a doubt.
    """
    x, y, z = robust_lengths(xyz)
    return bool(z >= _HALL_HEIGHT and min(x, y) >= _HALL_LENGTH)


def find_stray(xyz: np.ndarray,
               extents: float,
               are_many: bool = False) -> np.ndarray:
    """Points far from all others.

    Args:
        xyz (np.ndarray): (N, 3).
        extents (float): How far, in longest sides of the scan between the
            2nd and the 98th percentile.
        are_many (bool): Whether to take the 10th and the 90th percentile.

    Returns:
        np.ndarray: (N,) bool.
    """
    low, high = np.percentile(xyz, _INNERMOST if are_many else _INNER, axis=0)
    reach = extents * max(float((high - low).max()), 1e-9)
    return np.maximum(low - xyz, xyz - high).max(axis=1) > reach
