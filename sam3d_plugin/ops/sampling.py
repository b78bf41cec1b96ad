"""Furthest point sampling."""
from typing import Any

import torch
from torch import Tensor

from . import _cpu_ops, _mmcv, _torch_ops
from ._arrays import IndexFunction, check_points
from ._mmcv import originals


class FurthestPointSampling(IndexFunction):
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
        if chosen.numel() > 0:
            plain = _cpu_ops if backend == 'cpu' else _torch_ops
            chosen = plain.furthest_point_sample(points_xyz.float(),
                                                 num_points)
        ctx.mark_non_differentiable(chosen)
        return chosen


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
