"""IoU of rotated rectangles and generalized IoU of 3D boxes.

Axes: M and N boxes. A box is (x, y, z, size_x, size_y, size_z) of its
geometric center, with a seventh number when it is rotated: yaw in radians,
counterclockwise seen from above. Sizes are not negative. The enclosing volume
is that of the axis-aligned box around both, as in 3DETR.
"""
from typing import Tuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..store.errors import UserError
from . import _mmcv

# Divisors are kept away from zero by these (meters, cubic meters). Their
# squares, which appear in gradients, are still normal float32 numbers.
_MIN_LENGTH = 1e-8
_MIN_VOLUME = 1e-12


def paired_giou_3d(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalized IoU of boxes with those at the same place.

    Args:
        boxes (Tensor): (..., 6) or (..., 7), meters and radians, float32 or
            float64.
        others (Tensor): As many columns, a shape that broadcasts.

    Returns:
        Tensor: (...) in [-1, 1]. Boxes without volume have IoU 0.

    Raises:
        ValueError: If the columns are neither 6 nor 7, or differ.
    """
    _check(boxes, others)
    boxes, others = torch.broadcast_tensors(boxes, others)
    extents, other_extents = _extents(boxes), _extents(others)
    lower = torch.minimum(boxes[..., :3] - extents,
                          others[..., :3] - other_extents)
    upper = torch.maximum(boxes[..., :3] + extents,
                          others[..., :3] + other_extents)
    enclosing = (upper - lower).prod(-1)
    shared = _shared_volume(boxes, others)
    union = boxes[..., 3:6].prod(-1) + others[..., 3:6].prod(-1) - shared
    iou = shared / union.clamp(min=_MIN_VOLUME)
    return iou - (enclosing - union) / enclosing.clamp(min=_MIN_VOLUME)


def pairwise_giou_3d(boxes: Tensor,
                     others: Tensor,
                     max_pairs: int = 1 << 19) -> Tensor:
    """Generalized IoU of every box with every other one.

    Args:
        boxes (Tensor): (..., M, 6) or (..., M, 7), meters and radians.
        others (Tensor): (..., N, 6) or (..., N, 7).
        max_pairs (int): Pairs that are looked at together, which bounds the
            memory, also of the backward pass. Defaults to 2^19, about 0.5 GB
            for rotated boxes.

    Returns:
        Tensor: (..., M, N) in [-1, 1].

    Raises:
        ValueError: If the columns are neither 6 nor 7, or differ.
    """
    _check(boxes, others)
    pairs_per_box = max(1, others[..., 0].numel())
    step = max(1, max_pairs // pairs_per_box)
    if boxes.shape[-2] <= step:
        return paired_giou_3d(boxes[..., :, None, :], others[..., None, :, :])
    chunks = []
    for chunk in boxes.split(step, dim=-2):
        # The backward pass of a chunk computes it again, so that only one
        # chunk's intermediate results are in memory.
        chunks.append(
            checkpoint(
                paired_giou_3d,
                chunk[..., :, None, :],
                others[..., None, :, :],
                use_reentrant=False))
    return torch.cat(chunks, dim=-2)


@torch.no_grad()
def box_iou_rotated(bboxes1: Tensor,
                    bboxes2: Tensor,
                    mode: str = 'iou',
                    aligned: bool = False,
                    clockwise: bool = True,
                    max_pairs: int = 1 << 19) -> Tensor:
    """Overlap of rotated rectangles, with mmcv's signature.

    Args:
        bboxes1 (Tensor): (M, 5) center x and y, width, height and angle in
            radians.
        bboxes2 (Tensor): (N, 5), likewise; (M, 5) when ``aligned``.
        mode (str): ``iou``, or ``iof`` to divide by the area of ``bboxes1``.
        aligned (bool): Compare rectangles at the same place only.
        clockwise (bool): Whether angles turn from x to y.
        max_pairs (int): Pairs that are compared together, which bounds the
            memory. Defaults to 2^19, about 0.2 GB.

    Returns:
        Tensor: (M, N), or (M,) when ``aligned``; without a gradient.

    Raises:
        ValueError: If ``mode`` is invalid.
    """
    if _mmcv.backend_of(bboxes1) == 'mmcv':
        return _mmcv.originals()['box_iou_rotated'](bboxes1, bboxes2, mode,
                                                    aligned, clockwise)
    if mode not in ('iou', 'iof'):
        raise UserError(f'mode must be iou or iof, got {mode}')
    if not clockwise:
        mirror = bboxes1.new_tensor([1, 1, 1, 1, -1])
        bboxes1, bboxes2 = bboxes1 * mirror, bboxes2 * mirror
    if aligned:
        return _overlap(bboxes1, bboxes2, mode)
    step = max(1, max_pairs // max(1, len(bboxes2)))
    return torch.cat([
        _overlap(chunk[:, None], bboxes2, mode)
        for chunk in bboxes1.split(step)
    ])


def _overlap(rectangles: Tensor, others: Tensor, mode: str) -> Tensor:
    """Shared area (...) of rectangles (..., 5), relative."""
    shared = _shared_area(rectangles, others)
    area = rectangles[..., 2:4].prod(-1)
    if mode == 'iou':
        area = area + others[..., 2:4].prod(-1) - shared
    return shared / area.clamp(min=_MIN_VOLUME)


def _check(boxes: Tensor, others: Tensor) -> None:
    columns = boxes.shape[-1], others.shape[-1]
    if columns not in ((6, 6), (7, 7)):
        raise UserError('boxes must both have 6 columns, or 7 with a yaw, '
                        f'got {columns[0]} and {columns[1]}')


def _extents(boxes: Tensor) -> Tensor:
    """Half sizes (..., 3) of the axis-aligned boxes around the boxes."""
    half = boxes[..., 3:6] / 2
    if boxes.shape[-1] == 6:
        return half
    cos, sin = boxes[..., 6].cos().abs(), boxes[..., 6].sin().abs()
    x, y, z = half.unbind(-1)
    return torch.stack((x * cos + y * sin, x * sin + y * cos, z), dim=-1)


def _shared_volume(boxes: Tensor, others: Tensor) -> Tensor:
    """Volume (...) of the intersections."""
    is_aligned = boxes.shape[-1] == 6
    axes = slice(0, 3) if is_aligned else slice(2, 3)
    half, other_half = boxes[..., 3:6] / 2, others[..., 3:6] / 2
    lengths = (
        torch.minimum(boxes[..., :3] + half, others[..., :3] + other_half) -
        torch.maximum(boxes[..., :3] - half, others[..., :3] - other_half))
    volume = lengths[..., axes].clamp(min=0).prod(-1)
    if is_aligned:
        return volume
    return volume * _shared_area(
        _seen_from_above(boxes), _seen_from_above(others))


def _seen_from_above(boxes: Tensor) -> Tensor:
    """Rectangles (..., 5) of boxes (..., 7)."""
    return torch.cat((boxes[..., :2], boxes[..., 3:5], boxes[..., 6:]), dim=-1)


def _shared_area(boxes: Tensor, others: Tensor) -> Tensor:
    """Area (...) that two rotated rectangles (..., 5) share.

    In the frame of the second rectangle, which is axis-aligned there, the
    area is the contour integral of -y dx around the first one, with x limited
    to the second's width and y clamped to its height: every vertical line
    contributes the length of its overlap. Nothing has to be sorted or
    clipped, and touching edges need no special case.
    """
    starts, edges = _contour(boxes, others)
    half = others[..., None, 2:4] / 2
    # Where each edge enters and leaves the band, as fractions of the edge.
    safe = torch.where(edges.abs() < _MIN_LENGTH,
                       torch.full_like(edges, _MIN_LENGTH), edges)
    first, second = (-half - starts) / safe, (half - starts) / safe
    enter, leave = torch.minimum(first, second), torch.maximum(first, second)
    begin, end = enter[..., 0].clamp(0, 1), leave[..., 0].clamp(0, 1)
    # Between these the edge is inside the height, before and after clamped.
    rise = torch.minimum(torch.maximum(enter[..., 1], begin), end)
    fall = torch.minimum(torch.maximum(leave[..., 1], begin), end)
    height = half[..., 1]
    y_rise = _clamp(starts[..., 1] + rise * edges[..., 1], height)
    y_fall = _clamp(starts[..., 1] + fall * edges[..., 1], height)
    both = rise + fall
    mean_y = (y_rise * (both - 2 * begin) + y_fall * (2 * end - both)) / 2
    return -(mean_y * edges[..., 0]).sum(-1).clamp(max=0)


def _clamp(values: Tensor, limit: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(values, -limit), limit)


def _contour(boxes: Tensor, others: Tensor) -> Tuple[Tensor, Tensor]:
    """Corners and edges of the first rectangles in the second's frame.

    Returns:
        Tuple[Tensor, Tensor]: (..., 4, 2) corners, counterclockwise, and
        (..., 4, 2) vectors to the next corner.
    """
    cos, sin = others[..., 4].cos(), others[..., 4].sin()
    x, y = (boxes[..., :2] - others[..., :2]).unbind(-1)
    center = torch.stack((x * cos + y * sin, y * cos - x * sin), dim=-1)
    yaw = boxes[..., 4] - others[..., 4]
    cos, sin = yaw.cos(), yaw.sin()
    along = torch.stack((cos, sin), dim=-1) * boxes[..., 2:3]
    across = torch.stack((-sin, cos), dim=-1) * boxes[..., 3:4]
    corner = center + (along + across) / 2
    starts = torch.stack(
        (corner, corner - along, corner - along - across, corner - across),
        dim=-2)
    return starts, torch.stack((-along, -across, along, across), dim=-2)
