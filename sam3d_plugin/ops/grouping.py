"""Gathering features by index, and interpolating them."""
from functools import partial
from typing import Any, Optional, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from ..store.errors import UserError
from . import _mmcv, _torch_ops
from ._interpolation_kernel import mix_three
from ._mmcv import originals
from ._numba import run_in_chunks

# Types that mmcv's CUDA kernels know.
_MMCV_TYPES = (torch.float16, torch.float32, torch.float64)


def _for_mmcv(features: Tensor) -> Tensor:
    """Return contiguous features of a type that mmcv's kernels know."""
    if features.dtype not in _MMCV_TYPES:
        features = features.float()
    return features.contiguous()


def _gather(features: Tensor, indices: Tensor) -> Tensor:
    """Pick columns of (B, C, N) by (B, M) indices."""
    channels = features.size(1)
    wide = indices.long().unsqueeze(1).expand(-1, channels, -1)
    return features.gather(2, wide)


def _scatter_add(grad: Tensor, indices: Tensor, num_points: int) -> Tensor:
    """Sum (B, C, M) into (B, C, N) by (B, M) indices."""
    wide = indices.long().unsqueeze(1).expand(-1, grad.size(1), -1)
    total = grad.new_zeros((*grad.shape[:2], num_points))
    return total.scatter_add_(2, wide, grad)


def _interpolate(features: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Mix (B, C, M) features by (B, N, 3); half types count in float32."""
    is_double = features.dtype == torch.float64
    dtype = torch.float64 if is_double else torch.float32
    if _mmcv.backend_of(features) == 'torch':
        mixed = _torch_ops.interpolate(
            features.to(dtype), indices, weight.to(dtype))
        return mixed.to(features.dtype)
    sources, weights = (
        tensor.detach().to(dtype).contiguous().numpy()
        for tensor in (features, weight))
    corners = indices.contiguous().numpy()
    mixed = torch.empty((*features.shape[:2], indices.size(1)), dtype=dtype)
    output = mixed.numpy()
    for scene in range(len(output)):
        run_in_chunks(
            partial(_mix_channels, sources[scene],
                    corners[scene], weights[scene], output[scene]),
            features.size(1), output[scene].size)
    return mixed.to(features.dtype)


def _mix_channels(sources: np.ndarray, corners: np.ndarray,
                  weights: np.ndarray, output: np.ndarray, start: int,
                  stop: int) -> None:
    mix_three(sources, corners, weights, start, stop, output)


class GatherPoints(Function):
    """Stands in for mmcv's class of this name; see :func:`gather_points`."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, indices: Tensor) -> Tensor:
        """Pick the features.

        Args:
            ctx (Any): Autograd's context.
            features (Tensor): (B, C, N).
            indices (Tensor): (B, M).

        Returns:
            Tensor: (B, C, M).
        """
        if _mmcv.backend_of(features) == 'mmcv':
            return originals()['GatherPoints'].forward(
                ctx, _for_mmcv(features),
                indices.int().contiguous()).to(features.dtype)
        ctx.save_for_backward(indices)
        ctx.num_points = features.size(2)
        return _gather(features, indices)

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> Tuple[Tensor, None]:
        """Sum the gradients of each point.

        Args:
            ctx (Any): Autograd's context.
            grad_out (Tensor): (B, C, M).

        Returns:
            Tuple[Tensor, None]: Gradient of the features (B, C, N), none for
            the indices.
        """
        if _mmcv.backend_of(grad_out) == 'mmcv':
            grad, _ = originals()['GatherPoints'].backward(
                ctx, _for_mmcv(grad_out))
            return grad.to(grad_out.dtype), None
        indices, = ctx.saved_tensors
        return _scatter_add(grad_out, indices, ctx.num_points), None


class GroupingOperation(Function):
    """Stands in for mmcv's class; see :func:`grouping_operation`."""

    @staticmethod
    def forward(ctx: Any,
                features: Tensor,
                indices: Tensor,
                features_batch_cnt: Optional[Tensor] = None,
                indices_batch_cnt: Optional[Tensor] = None) -> Tensor:
        """Pick the features.

        Args:
            ctx (Any): Autograd's context.
            features (Tensor): (B, C, N).
            indices (Tensor): (B, M, K).
            features_batch_cnt (Optional[Tensor]): mmcv's stacked form, GPU
                only.
            indices_batch_cnt (Optional[Tensor]): Likewise.

        Returns:
            Tensor: (B, C, M, K).
        """
        if _mmcv.backend_of(features) == 'mmcv':
            return originals()['GroupingOperation'].forward(
                ctx, _for_mmcv(features),
                indices.int().contiguous(), features_batch_cnt,
                indices_batch_cnt).to(features.dtype)
        if features_batch_cnt is not None or indices_batch_cnt is not None:
            raise UserError(
                'grouping_operation of stacked scenes needs CUDA kernels of '
                'mmcv; give scenes of equal size as (B, C, N).')
        ctx.save_for_backward(indices)
        ctx.num_points = features.size(2)
        return _gather(features,
                       indices.flatten(1)).unflatten(2, indices.shape[1:])

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> Tuple[Optional[Tensor], ...]:
        """Sum the gradients of each point.

        Args:
            ctx (Any): Autograd's context.
            grad_out (Tensor): (B, C, M, K).

        Returns:
            Tuple[Optional[Tensor], ...]: Gradient of the features (B, C, N),
            none for the others.
        """
        if _mmcv.backend_of(grad_out) == 'mmcv':
            grad = originals()['GroupingOperation'].backward(
                ctx, _for_mmcv(grad_out))[0].to(grad_out.dtype)
        else:
            indices, = ctx.saved_tensors
            grad = _scatter_add(
                grad_out.flatten(2), indices.flatten(1), ctx.num_points)
        return grad, None, None, None


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
