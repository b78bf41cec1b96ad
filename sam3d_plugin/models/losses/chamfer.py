"""Chamfer distances of point sets, in plain torch.

Shapes: M pairs of sets, K and L points of a set.
"""
import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn


@torch.no_grad()
def nearest(sources: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """Nearest target of every source point.

    Args:
        sources (Tensor): (M, K, 3).
        targets (Tensor): (M, L, 3).
        chunk (int): Sets compared at a time, to bound memory.

    Returns:
        Tensor: (M, K) int64 index into the targets of the same set.
    """
    return torch.cat([
        torch.cdist(s, t,
                    compute_mode='donot_use_mm_for_euclid_dist').argmin(-1)
        for s, t in zip(sources.split(chunk), targets.split(chunk))
    ])


def _to_nearest(sources: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """Squared distances (M, K) of source points to their nearest target."""
    indices = nearest(sources, targets, chunk)[..., None].expand_as(sources)
    return (sources - targets.gather(1, indices)).square().sum(-1)


def chamfer_l2(first: Tensor, second: Tensor, chunk: int = 1024) -> Tensor:
    """Chamfer distance of squared lengths, both directions added.

    The pairing has no gradient, so no K x L matrix is kept for backward.

    Args:
        first (Tensor): (M, K, 3) float32.
        second (Tensor): (M, L, 3) float32.
        chunk (int): See :func:`nearest`. Defaults to 1024.

    Returns:
        Tensor: (M,) square meters; 0 for equal sets in any order.
    """
    return _to_nearest(first, second, chunk).mean(-1) + _to_nearest(
        second, first, chunk).mean(-1)


def chamfer_l1(first: Tensor, second: Tensor, chunk: int = 1024) -> Tensor:
    """Chamfer distance of lengths, the mean of both directions.

    Args:
        first (Tensor): (M, K, 3) float32.
        second (Tensor): (M, L, 3) float32.
        chunk (int): See :func:`nearest`. Defaults to 1024.

    Returns:
        Tensor: (M,) meters; 0 for equal sets in any order, with gradient 0.
    """
    ways = [
        _to_nearest(a, b, chunk).clamp(min=1e-24).sqrt().mean(-1)
        for a, b in ((first, second), (second, first))
    ]
    return (ways[0] + ways[1]) / 2


@MODELS.register_module()
class ChamferLoss(nn.Module):
    """Chamfer distance of every pair of sets.

    Args:
        norm (str): ``'l2'`` for :func:`chamfer_l2`, ``'l1'`` for
            :func:`chamfer_l1`. Defaults to ``'l2'``.
    """

    def __init__(self, norm: str = 'l2') -> None:
        super().__init__()
        self.distance = dict(l1=chamfer_l1, l2=chamfer_l2)[norm]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances (M,) of sets (M, K, 3) and (M, L, 3)."""
        return self.distance(first, second)
