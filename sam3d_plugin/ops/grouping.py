"""Gathering features by index, and interpolating them."""
from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import embedding_bag

from ..store.errors import UserError
from . import _mmcv
from ._mmcv import originals

# Types that mmcv's CUDA kernels know.
_MMCV_TYPES = (torch.float16, torch.float32, torch.float64)


def _for_mmcv(features: Tensor) -> Tensor:
    """Return contiguous features of a type that mmcv's kernels know."""
    if features.dtype not in _MMCV_TYPES:
        features = features.float()
    return features.contiguous()


def _scatter_add(grad: Tensor, indices: Tensor, num_points: int) -> Tensor:
    """Sum (B, C, M) into (B, C, N) by (B, M) indices."""
    wide = indices.long().unsqueeze(1).expand(-1, grad.size(1), -1)
    total = grad.new_zeros((*grad.shape[:2], num_points))
    return total.scatter_add_(2, wide, grad)


def _interpolate(features: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Mix (B, C, M) features by (B, N, 3); half types count in float32."""
    is_double = features.dtype == torch.float64
    dtype = torch.float64 if is_double else torch.float32
    if len(features) == 0:
        return features.new_zeros(*features.shape[:2], indices.size(1))
    mixed = torch.stack([
        embedding_bag(corners, table, mode='sum', per_sample_weights=weights)
        for table, corners, weights in zip(
            features.mT.to(dtype).contiguous(), indices, weight.to(dtype))
    ])
    return mixed.mT.to(features.dtype)


def _gathering(name: str) -> Any:
    """The class that stands in for one of mmcv's that pick columns."""

    def forward(ctx: Any, features: Tensor, indices: Tensor, *counts:
                Optional[Tensor]) -> Tensor:
        """Pick columns of (B, C, N) by (B, ...): (B, C, ...)."""
        if _mmcv.backend_of(features) == 'mmcv':
            return originals()[name].forward(ctx, _for_mmcv(features),
                                             indices.int().contiguous(),
                                             *counts).to(features.dtype)
        if any(count is not None for count in counts):
            raise UserError(
                f'{name} of stacked scenes needs CUDA kernels of mmcv; give '
                'scenes of equal size as (B, C, N).')
        ctx.save_for_backward(indices)
        ctx.num_points = features.size(2)
        wide = indices.long().flatten(1)[:, None]
        picked = features.gather(2, wide.expand(-1, features.size(1), -1))
        return picked.unflatten(2, indices.shape[1:])

    def backward(ctx: Any, grad_out: Tensor) -> Tuple[Optional[Tensor], ...]:
        """Sum the gradients of each point."""
        if _mmcv.backend_of(grad_out) == 'mmcv':
            grad = originals()[name].backward(ctx, _for_mmcv(grad_out))[0].to(
                grad_out.dtype)
        else:
            indices, = ctx.saved_tensors
            grad = _scatter_add(
                grad_out.flatten(2), indices.flatten(1), ctx.num_points)
        return (grad, *[None] * (len(ctx.needs_input_grad) - 1))

    methods = dict(
        forward=staticmethod(forward), backward=staticmethod(backward))
    return type(name, (Function, ), methods)


GatherPoints = _gathering('GatherPoints')
GroupingOperation = _gathering('GroupingOperation')


class ThreeInterpolate(Function):
    """Stands in for mmcv's class; see :func:`three_interpolate`."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, indices: Tensor,
                weight: Tensor) -> Tensor:
        """Interpolate the features.

        Args:
            ctx (Any): Autograd's context.
            features (Tensor): (B, C, M).
            indices (Tensor): (B, N, 3).
            weight (Tensor): (B, N, 3).

        Returns:
            Tensor: (B, C, N), in the features' type.
        """
        if _mmcv.backend_of(features) == 'mmcv':
            known = _for_mmcv(features)
            return originals()['ThreeInterpolate'].forward(
                ctx, known,
                indices.int().contiguous(),
                weight.to(known.dtype).contiguous()).to(features.dtype)
        ctx.save_for_backward(indices, weight)
        ctx.num_sources = features.size(2)
        return _interpolate(features, indices, weight)

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> Tuple[Tensor, None, None]:
        """Sum the weighted gradients of each source.

        Args:
            ctx (Any): Autograd's context.
            grad_out (Tensor): (B, C, N).

        Returns:
            Tuple[Tensor, None, None]: Gradient of the features (B, C, M),
            none for the others: mmcv, too, takes the weights as constants.
        """
        if _mmcv.backend_of(grad_out) == 'mmcv':
            grad = originals()['ThreeInterpolate'].backward(
                ctx, _for_mmcv(grad_out))[0]
            return grad.to(grad_out.dtype), None, None
        indices, weight = ctx.saved_tensors
        weighted = grad_out.unsqueeze(-1) * weight.unsqueeze(1)
        grad = _scatter_add(
            weighted.flatten(2), indices.flatten(1), ctx.num_sources)
        return grad.to(grad_out.dtype), None, None


def gather_points(features: Tensor, indices: Tensor) -> Tensor:
    """Pick the features of some points.

    Args:
        features (Tensor): (B, C, N).
        indices (Tensor): (B, M) integers below N.

    Returns:
        Tensor: (B, C, M), in the features' type.
    """
    return GatherPoints.apply(features, indices)


def grouping_operation(features: Tensor, indices: Tensor) -> Tensor:
    """Pick the features of each neighborhood's points.

    Args:
        features (Tensor): (B, C, N).
        indices (Tensor): (B, M, K) integers below N.

    Returns:
        Tensor: (B, C, M, K), in the features' type.
    """
    return GroupingOperation.apply(features, indices)


def three_interpolate(features: Tensor, indices: Tensor,
                      weight: Tensor) -> Tensor:
    """Mix the features of three sources for each target.

    Args:
        features (Tensor): (B, C, M) of the sources.
        indices (Tensor): (B, N, 3) integers below M, from :func:`three_nn`.
        weight (Tensor): (B, N, 3), treated as a constant.

    Returns:
        Tensor: (B, C, N), in the features' type.
    """
    return ThreeInterpolate.apply(features, indices, weight)
