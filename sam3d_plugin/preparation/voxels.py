"""Voxels of a grid as single integers.

Shapes: N points.
"""
import numpy as np

from ..store.errors import FrameError

# Voxel coordinates of 21 bits each in one int64.
_BITS = 21
_LIMIT = 1 << (_BITS - 1)


def voxel_keys(xyz: np.ndarray, voxel: float) -> np.ndarray:
    """(N,) int64, equal for points of one voxel; FrameError for points beyond
    1,000 km from the origin (voxels of 1 m; smaller in proportion)."""
    cells = np.floor(xyz / voxel).astype(np.int64) + _LIMIT
    if cells.size and (cells.min() < 0 or cells.max() >= 2 * _LIMIT):
        raise FrameError('points are too far from the origin for voxels of '
                         f'{voxel:g} m; check the poses')
    return (cells[:, 0] << (2 * _BITS)) | (cells[:, 1] << _BITS) | cells[:, 2]
