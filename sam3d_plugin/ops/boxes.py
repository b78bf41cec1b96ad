"""Tests of points for boxes."""
import numpy as np
import torch
from torch import Tensor

from ..store.errors import UserError
from . import _mmcv, _torch_ops
from ._arrays import as_float_array
from ._box_kernels import mark_all, mark_first
from ._mmcv import originals
from ._numba import run_in_chunks


def _check(points: Tensor, boxes: Tensor) -> None:
    if points.dim() != 3 or points.size(2) != 3 or boxes.dim() != 3 \
            or boxes.size(2) != 7 or points.size(0) != boxes.size(0):
        raise UserError('points must be (B, M, 3) and boxes (B, T, 7), got '
                        f'{tuple(points.shape)} and {tuple(boxes.shape)}.')


def points_in_boxes_all(points: Tensor, boxes: Tensor) -> Tensor:
    """Find all boxes that contain each point.

    Points on the top and bottom face are inside, points on the four sides
    are not, as in mmcv's kernels.

    Args:
        points (Tensor): (B, M, 3), LiDAR or depth frame, meters.
        boxes (Tensor): (B, T, 7): x, y and z of the bottom center, sizes,
            rotation about z in radians.

    Returns:
        Tensor: (B, M, T) int32, 1 where the point is in the box, else 0.
        On the CPU the points are innermost in memory, as in mmcv's
        ``points_in_boxes_cpu``.

    Raises:
        ValueError: If the shapes are others.
    """
    _check(points, boxes)
    backend = _mmcv.backend_of(points)
    if backend == 'mmcv':
        return originals()['points_in_boxes_all'](points.float(),
                                                  boxes.float())
    if backend == 'torch':
        return _torch_ops.points_in_boxes_all(points.float(), boxes.float())
    # numpy asks the system for huge pages, torch does not: the output is
    # large and the first touch of its pages takes most of the time.
    output = np.empty((points.size(0), boxes.size(1), points.size(1)),
                      np.int32)
    xyz = as_float_array(points.transpose(1, 2))
    box_array = as_float_array(boxes)
    for scene in range(len(output)):
        run_in_chunks(
            lambda start, stop: mark_all(xyz[scene], box_array[scene],
                                         start, stop, output[scene]),
            boxes.size(1), output[scene].size // 2)
    return torch.from_numpy(output).transpose(1, 2)


def points_in_boxes_part(points: Tensor, boxes: Tensor) -> Tensor:
    """Find the first box that contains each point.

    Args:
        points (Tensor): (B, M, 3), as in :func:`points_in_boxes_all`.
        boxes (Tensor): (B, T, 7), likewise.

    Returns:
        Tensor: (B, M) int32, the lowest index of the boxes around the point,
        -1 when it is in none.

    Raises:
        ValueError: If the shapes are others.
    """
    _check(points, boxes)
    backend = _mmcv.backend_of(points)
    if backend == 'mmcv':
        return originals()['points_in_boxes_part'](points.float(),
                                                   boxes.float())
    if backend == 'torch':
        return _torch_ops.points_in_boxes_part(points.float(), boxes.float())
    first = torch.full(points.shape[:2], -1, dtype=torch.int32)
    xyz = as_float_array(points.transpose(1, 2))
    box_array = as_float_array(boxes)
    output = first.numpy()
    for scene in range(len(output)):
        run_in_chunks(
            lambda start, stop: mark_first(xyz[scene], box_array[scene],
                                           start, stop, output[scene]),
            points.size(1),
            points.size(1) * boxes.size(1))
    return first
