"""The point of an upright scene that becomes its origin.

Frames of pre-training, whole scans for segmentation, token positions of
detection and scans of one's own all take it from here, so that an encoder
sees scenes where it learned to see them.
"""
import numpy as np
from torch import Tensor

from ..store.errors import UserError

CENTERS = ('floor', 'mean', 'none')
# Percentile of z that is the floor; as mmdet3d's heights.
_FLOOR_PERCENTILE = 0.99


def check_center(center: str) -> None:
    """Raise an error for an unknown name.

    Args:
        center (str): See :func:`find_origin`.

    Raises:
        ValueError: When it is none of ``CENTERS``.
    """
    if center not in CENTERS:
        raise UserError(f'center {center!r} is unknown; choose one of '
                        f'{", ".join(CENTERS)}')


def find_origin(xyz: np.ndarray, center: str) -> np.ndarray:
    """The point of an upright cloud that becomes its origin.

    Args:
        xyz (np.ndarray): (N, 3) z up, meters.
        center (str): ``'floor'``, ``'mean'`` or ``'none'``.

    Returns:
        np.ndarray: (3,).
    """
    if center == 'none':
        return np.zeros(3)
    origin = xyz.mean(axis=0)
    if center == 'floor':
        place = int(_FLOOR_PERCENTILE / 100 * (len(xyz) - 1))
        origin[2] = np.partition(xyz[:, 2], place)[place]
    return origin


def find_origins(xyz: Tensor, center: str) -> Tensor:
    """Batched :func:`find_origin`.

    Args:
        xyz (Tensor): (B, N, 3) z up, meters.
        center (str): ``'floor'``, ``'mean'`` or ``'none'``.

    Returns:
        Tensor: (B, 3).
    """
    if center == 'none':
        return xyz.new_zeros(len(xyz), 3)
    origin = xyz.mean(dim=1)
    if center == 'floor':
        place = int(_FLOOR_PERCENTILE / 100 * (xyz.shape[1] - 1))
        origin[:, 2] = xyz[..., 2].sort(dim=1).values[:, place]
    return origin
