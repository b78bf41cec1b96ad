"""Surfaces of objects that can be put into frames.

    objects.npz    names (K,) str, what each object is
                   points (K, M, 3) float32, samples of its surface, meters,
                   z up; it stands on z = 0, its middle is on the z axis
"""
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Union

import numpy as np

from .atomic import atomic_write
from .errors import StoreError
from .npz import read_npz

FILE = 'objects.npz'
_ARRAYS = ('names', 'points')
_TOOL = 'tools/preparation/make_objects.py'
# What stands on the floor may be rounded by so much, meters.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class ObjectLibrary:
    """Surfaces of K objects."""
    names: Sequence[str]
    points: np.ndarray  # (K, M, 3) float32


def write_objects(path: Union[str, Path], library: ObjectLibrary) -> None:
    """Write the file."""
    with atomic_write(str(path), 'wb') as file:
        np.savez_compressed(
            file,
            names=np.array(library.names),
            points=library.points.astype(np.float32))


def read_objects(path: Union[str, Path]) -> ObjectLibrary:
    """Read the file.

    Raises FileNotFoundError if it is missing.
    Raises StoreError if it is damaged or something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} is missing; run {_TOOL} first')
    try:
        arrays, _ = read_npz(str(path), _ARRAYS)
    except ValueError as error:
        raise StoreError(f'{path}: {error}; run {_TOOL} again') from error
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise StoreError(f'{path} has no {missing[0]}: it is not a library of '
                         f'objects; write it with {_TOOL}')
    names, points = arrays['names'].tolist(), arrays['points']
    if (points.ndim != 3 or points.shape[2:] != (3, ) or not points.size
            or len(points) != len(names) or not np.isfinite(points).all()):
        raise StoreError(f'{path} must have finite points (objects, samples, '
                         f'3) for its {len(names)} names, not an array of '
                         f'shape {points.shape}; run {_TOOL} again')
    if (np.abs(points[..., 2].min(1)) > _TOLERANCE).any():
        raise StoreError(f'{path}: objects must stand on z = 0, with z up, in '
                         'meters')
    return ObjectLibrary(names, points.astype(np.float32))
