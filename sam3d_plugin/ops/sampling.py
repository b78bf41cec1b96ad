"""Furthest point sampling."""
import math
from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd import Function

from . import _mmcv, _torch_ops
from ._arrays import as_float_array, build_trees, check_points
from ._mmcv import originals
from ._numba import run_in_chunks
from ._sampling_kernel import sample_by_scan, sample_by_tree

# mmcv's largest thread block.
_MAX_BLOCK_BITS = 10
# Up to this many points, looking at all of them is faster than a tree.
_MAX_SCAN = 3000
# Nanoseconds until one more point is chosen, roughly.
_SAMPLE_STEPS = 1000


class FurthestPointSampling(Function):
    """Stands in for mmcv's class of this name; see the function below."""

    @staticmethod
    def forward(ctx: Any, points_xyz: Tensor, num_points: int) -> Tensor:
        """Choose the points.

        Args:
            ctx (Any): Autograd's context.
            points_xyz (Tensor): (B, N, 3).
            num_points (int): Number of points to choose.

        Returns:
            Tensor: (B, num_points) int32.
        """
        check_points('points_xyz', points_xyz, num_points > 0)
        backend = _mmcv.backend_of(points_xyz)
        if backend == 'mmcv':
            return originals()['FurthestPointSampling'].forward(
                ctx,
                points_xyz.float().contiguous(), num_points)
        chosen = torch.empty((points_xyz.size(0), num_points),
                             dtype=torch.int32,
                             device=points_xyz.device)
        if chosen.numel() > 0 and backend == 'torch':
            chosen = _torch_ops.furthest_point_sample(points_xyz.float(),
                                                      num_points)
        elif chosen.numel() > 0:
            _sample(points_xyz, chosen)
        ctx.mark_non_differentiable(chosen)
        return chosen

    @staticmethod
    def backward(ctx: Any, grad: Optional[Tensor] = None) -> Tuple[None, None]:
        """Give no gradient: indices have none.

        Args:
            ctx (Any): Autograd's context.
            grad (Optional[Tensor]): Ignored.

        Returns:
            Tuple[None, None]: Nothing for each argument of ``forward``.
        """
        return None, None


def _sample(points_xyz: Tensor, chosen: Tensor) -> None:
    num_all = points_xyz.size(1)
    bits = min(int(math.log(num_all) / math.log(2)), _MAX_BLOCK_BITS)
    output = chosen.numpy()
    points = as_float_array(points_xyz)
    if num_all <= _MAX_SCAN:
        columns = as_float_array(points_xyz.transpose(1, 2))
    else:
        trees = build_trees(points)

    def sample(start: int, stop: int) -> None:
        for scene in range(start, stop):
            if num_all <= _MAX_SCAN:
                sample_by_scan(columns[scene], bits, output[scene])
            else:
                sample_by_tree(trees[scene], points[scene], bits,
                               output[scene])

    run_in_chunks(sample, len(output), chosen.numel() * _SAMPLE_STEPS)


def furthest_point_sample(points_xyz: Tensor, num_points: int) -> Tensor:
    """Choose points one by one, each the furthest from those before.

    The first one is index 0. Among equally far points the choice is that of
    mmcv's CUDA kernel: with T = the largest power of 2 up to min(N, 1024),
    the point ``i`` whose ``i % T`` is first in bit-reversed order, then the
    lowest ``i``. When ``num_points`` exceeds the number of different points,
    index 0 repeats.

    Args:
        points_xyz (Tensor): (B, N, 3), any frame; compared in float32.
        num_points (int): Number of points to choose.

    Returns:
        Tensor: (B, num_points) int32 indices.

    Raises:
        ValueError: If there are no points to choose from.
    """
    return FurthestPointSampling.apply(points_xyz, num_points)
