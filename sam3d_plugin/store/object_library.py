"""Surfaces of objects that can be put into frames.

    objects.npz    names (K,) str, what each object is
                   points (K, M, 3) float32, samples of its surface, meters,
                   z up; it stands on z = 0, the middle of its extent along
                   x and y is on the z axis
"""
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from .atomic import atomic_write
from .errors import StoreError
from .files import BackendArgs, PathLike, read_bytes
from .npz import is_finite, is_text, read_npz

FILE = 'objects.npz'
_ARRAYS = ('names', 'points')
_TOOL = 'tools/preparation/make_objects.py'
# What stands on the floor may be rounded by so much, meters.
_TOLERANCE = 0.01
# Samples end so far from the middle, as a share of the size.
_OFF_AXIS = 0.1
# What is larger is in other units, meters.
_LARGEST = 10.


@dataclass(frozen=True)
class ObjectLibrary:
    """Surfaces of K objects."""
    names: Sequence[str]
    points: np.ndarray  # (K, M, 3) float32


def write_objects(path: PathLike, library: ObjectLibrary) -> None:
    """Write the file."""
    with atomic_write(str(path), 'wb') as file:
        np.savez_compressed(
            file,
            names=np.array(library.names),
            points=library.points.astype(np.float32))


def read_objects(path: PathLike,
                 backend_args: BackendArgs = None) -> ObjectLibrary:
    """Read the file.

    Raises FileNotFoundError if it is missing.
    Raises StoreError if it is damaged or something else.
    """
    try:
        arrays, _ = read_npz(read_bytes(path, backend_args), _ARRAYS)
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing; run {_TOOL} first') from None
    except ValueError as error:
        raise StoreError(
            f'{path}: {error}; delete it and run {_TOOL}') from error
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise StoreError(f'{path} has no {missing[0]}: it is not a library of '
                         f'objects; delete it and run {_TOOL}')
    names, points = arrays['names'], arrays['points']
    if (not is_text(names, 1) or points.shape[2:] != (3, ) or not points.size
            or len(points) != len(names) or not is_finite(points)):
        raise StoreError(f'{path} must have finite points (objects, samples, '
                         f'3) for its {names.size} names, not an array of '
                         f'shape {points.shape}; delete it and run {_TOOL}')
    low, high = points.min(1), points.max(1)
    size = (high - low).max(1)
    middles = np.abs(low + high)[:, :2].max(1) / 2
    for is_wrong, rule in ((np.abs(low[:, 2])
                            > _TOLERANCE, 'stand on z = 0, with z up'),
                           (middles > _OFF_AXIS * size,
                            'have their middle on the z axis'),
                           (size > _LARGEST,
                            f'be in meters, at most {_LARGEST:.0f}')):
        if is_wrong.any():
            raise StoreError(
                f'{path}: {names[is_wrong.argmax()]} must {rule}; '
                'change its points')
    return ObjectLibrary(names.tolist(), points.astype(np.float32))
