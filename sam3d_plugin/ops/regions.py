"""Segment and region primitives that the tokenizers are built from.

A *segment* is a run of rows: segment ``s`` covers the rows
``offsets[s]:offsets[s + 1]``. CPU tensors are worked on by the numba kernels
of ``_region_kernels``, CUDA tensors by torch; both give the same answer.
"""
from typing import Any, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from . import _mmcv
from . import _region_kernels as kernels
from .transfer import to_device


def sort_by_segment(segments: Tensor,
                    num_segments: int) -> Tuple[Tensor, Tensor]:
    """Sort rows by the segment they belong to, stably.

    Args:
        segments (Tensor): (P,) int64 in [0, num_segments).
        num_segments (int): Number of segments S, some of which may be empty.

    Returns:
        Tuple[Tensor, Tensor]: The order (P,) int64 that sorts the rows, and
        the offsets (S + 1,) int64 of the segments in it.
    """
    if _mmcv.backend_of(segments) == 'cpu':
        order, offsets = kernels.counting_sort(segments.numpy(), num_segments)
        return torch.from_numpy(order), torch.from_numpy(offsets)
    # bincount would wait for the GPU.
    counts = segments.new_zeros(num_segments).scatter_add(
        0, segments, torch.ones_like(segments))
    order = torch.sort(segments, stable=True).indices
    return order, torch.cat((counts.new_zeros(1), counts.cumsum(0)))


def segment_ids(offsets: Tensor, num_rows: int) -> Tensor:
    """Return the segment of every row.

    Args:
        offsets (Tensor): (S + 1,) int64.
        num_rows (int): Number of rows P, equal to ``offsets[-1]``.

    Returns:
        Tensor: (P,) int64.
    """
    counts = offsets[1:] - offsets[:-1]
    return torch.repeat_interleave(counts, output_size=num_rows)


class _SegmentMax(Function):
    """Maximum over rows with numba on CPU tensors."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: Tensor) -> Tensor:
        # numba has no bfloat16; the maximum of a cast is the cast maximum.
        rows = features.detach().float().contiguous()
        values, winners = kernels.segment_max(rows.numpy(), offsets.numpy())
        winners = torch.from_numpy(winners)
        ctx.save_for_backward(winners)
        ctx.num_rows = len(features)
        return torch.from_numpy(values).to(features.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, None]:
        (winners, ) = ctx.saved_tensors
        spread = kernels.segment_max_backward(
            grad.float().contiguous().numpy(), winners.numpy(), ctx.num_rows)
        return torch.from_numpy(spread).to(grad.dtype), None


def segment_max(features: Tensor, offsets: Tensor) -> Tensor:
    """Channel-wise maximum over the rows of each segment.

    The gradient goes to the first row that holds the maximum (CPU) or is
    shared by all rows that do (CUDA).

    Args:
        features (Tensor): (P, C), rows sorted by segment.
        offsets (Tensor): (S + 1,) int64.

    Returns:
        Tensor: (S, C); zero for an empty segment.
    """
    if _mmcv.backend_of(features) == 'cpu':
        return _SegmentMax.apply(features, offsets)
    maxima = torch.segment_reduce(
        features.float(), 'max', offsets=offsets, axis=0)
    is_empty = offsets[1:] == offsets[:-1]
    return maxima.masked_fill(is_empty[:, None], 0).to(features.dtype)


def segment_mean(features: Tensor, offsets: Tensor) -> Tensor:
    """Mean over the rows of each segment.

    Args:
        features (Tensor): (P, C), rows sorted by segment.
        offsets (Tensor): (S + 1,) int64.

    Returns:
        Tensor: (S, C) float32; zero for an empty segment.
    """
    sums = torch.segment_reduce(
        features.float(), 'sum', offsets=offsets, axis=0, initial=0)
    counts = offsets[1:] - offsets[:-1]
    return sums / counts.clamp(min=1)[:, None]


def segment_centers(points: Tensor, order: Tensor,
                    offsets: Tensor) -> Tuple[Tensor, Tensor]:
    """Mean position of each segment and the point nearest to it.

    Args:
        points (Tensor): (P, 3) float32 positions, meters.
        order (Tensor): (P,) int64, the order that sorts them by segment.
        offsets (Tensor): (S + 1,) int64.

    Returns:
        Tuple[Tensor, Tensor]: Centers (S, 3), zero for an empty segment, and
        the index (S,) int64 of the point nearest to the center, the first of
        equally near ones; 0 for an empty segment.
    """
    if _mmcv.backend_of(points) == 'cpu':
        centers, anchors = kernels.segment_centers(points.contiguous().numpy(),
                                                   order.numpy(),
                                                   offsets.numpy())
        return torch.from_numpy(centers), torch.from_numpy(anchors)
    points = points[order]
    segments = segment_ids(offsets, len(points))
    counts = offsets[1:] - offsets[:-1]
    sums = points.new_zeros(
        (len(counts), 3),
        dtype=torch.float64).index_add(0, segments, points.double())
    centers = (sums / counts.clamp(min=1)[:, None]).to(points.dtype)
    distances = (points - centers[segments]).square().sum(1)
    rows = _segment_argmin(distances, segments, len(counts))
    return centers, order[rows].masked_fill(counts == 0, 0)


def _segment_argmin(values: Tensor, segments: Tensor,
                    num_segments: int) -> Tensor:
    """Return the first row (S,) that holds each segment's minimum."""
    minima = values.new_full(
        (num_segments, ), float('inf')).scatter_reduce(0, segments, values,
                                                       'amin')
    rows = torch.arange(len(values), device=values.device)
    rows = torch.where(values == minima[segments], rows, len(values))
    first = rows.new_full((num_segments, ),
                          len(values)).scatter_reduce(0, segments, rows,
                                                      'amin')
    return torch.where(first < len(values), first, 0)


def split_segments(points: Tensor, segments: Tensor,
                   num_parts: Tensor) -> Tensor:
    """Cut each segment into compact parts by furthest point sampling.

    Inside a segment the first point is the first center, each further one is
    the point furthest from the centers so far (the first of equally far ones,
    never one twice), and every point joins its nearest center (the earlier of
    equally near ones). A center belongs to its own part, so that no part is
    empty.

    Args:
        points (Tensor): (P, 3) float32 positions, meters.
        segments (Tensor): (P,) int64 in [0, S).
        num_parts (Tensor): (S,) int64, on the CPU; at most the points of the
            segment, and at least one where there are any.

    Returns:
        Tensor: (P,) int64, the part of each point within its segment.
    """
    if _mmcv.backend_of(points) == 'cpu':
        parts = kernels.split_segments(points.contiguous().numpy(),
                                       segments.numpy(), num_parts.numpy())
        return torch.from_numpy(parts)
    return _split_segments_torch(points, segments, num_parts)


def _split_segments_torch(points: Tensor, segments: Tensor,
                          num_parts: Tensor) -> Tensor:
    """Cut all segments at once, one center of each a round."""
    if len(points) == 0:
        return torch.zeros_like(segments)
    order, offsets = sort_by_segment(segments, len(num_parts))
    points, segments = points[order], segments[order]
    num_rounds = int(num_parts.max())
    num_parts = to_device(num_parts, points.device)
    parts = torch.zeros_like(segments)
    distances = points.new_full((len(points), ), float('inf'))
    centers = offsets[:-1].clamp(max=len(points) - 1)
    rows = torch.arange(len(points), device=points.device)
    for part in range(num_rounds):
        # No boolean index, which would wait for the GPU every round.
        is_active = (num_parts > part)[segments]
        middle = centers[segments]
        offset = points - points[middle]
        new = (
            offset[:, 0].square() + offset[:, 1].square() +
            offset[:, 2].square())
        closer = (new < distances) & is_active
        distances = torch.where(closer, new, distances)
        parts = torch.where(closer, part, parts)
        is_center = (rows == middle) & is_active
        distances = distances.masked_fill(is_center, -1.)
        parts = parts.masked_fill(is_center, part)
        centers = _segment_argmin(-distances, segments, len(centers))
    return torch.empty_like(parts).scatter(0, order, parts)


def allocate_parts(counts: np.ndarray, total: int) -> np.ndarray:
    """Give every region one token and share out the others.

    The others go one by one to the region with most points per token, ties
    to the first (docs/method.md, "Tokens").

    Args:
        counts (np.ndarray): (R,) int64 points of each region, all positive.
        total (int): Tokens to give, at least R and at most the points.

    Returns:
        np.ndarray: (R,) int64 tokens of each region.
    """
    assert len(counts) <= total <= counts.sum()
    return kernels.allocate_parts(counts, total)
