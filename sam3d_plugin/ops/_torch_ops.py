"""The point operations in plain torch, for GPUs without mmcv's kernels.

Axes: B scenes, N points, M centers, K neighbors, T boxes. Results are those
of the CPU kernels, ties included: squared distances are summed axis by axis,
since a matrix product or a fused multiplication rounds differently. All work
stays on the tensors' device, in chunks of centers that bound the memory.
"""
import math
from typing import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ._mmcv import has_triton

# Pairs of a center and a point that are looked at together.
_MAX_PAIRS = 1 << 24
# Squared distance from which mmcv's knn no longer sees a point.
_KNN_LIMIT = 1e10
_INDEX_MASK = 0x7fffffff
# mmcv's largest thread block.
_MAX_BLOCK_BITS = 10


def _chunks(centers: Tensor, num_others: int) -> Iterator[slice]:
    """Cut (B, M, ...) centers into slices of M."""
    size = max(1, _MAX_PAIRS // max(1, len(centers) * num_others))
    for start in range(0, centers.size(1), size):
        yield slice(start, start + size)


def _square_distances(centers: Tensor, points: Tensor) -> Tensor:
    """Return (B, M, N) squared distances of (B, M, 3) and (B, N, 3)."""
    x, y, z = ((centers[:, :, None, axis] - points[:, None, :, axis]).square()
               for axis in range(3))
    return x + y + z


def _key(distance: float) -> int:
    """Return the lowest key of a squared distance."""
    return int(np.float32(distance).view(np.int32)) << 32


def _lowest_keys(square: Tensor, size: int, limit: float) -> Tensor:
    """Return (B, M, size) keys, ascending, of the nearest points.

    A key holds the bit pattern of a squared distance, which has the order of
    the distances, above the index of the point: no two are equal. Points from
    ``limit`` on count as index 0 at that distance.
    """
    index = torch.arange(square.size(2), device=square.device)
    keys = square.view(torch.int32).long() << 32 | index
    keys = torch.where(square < limit, keys, _key(limit))
    keys = keys.topk(min(size, square.size(2)), largest=False).values
    return pad(keys, (0, size - keys.size(2)), value=_key(limit))


def three_nn(target: Tensor, source: Tensor) -> tuple:
    """Find the three nearest sources; see ``neighbors.three_nn``.

    Args:
        target (Tensor): (B, N, 3) float32.
        source (Tensor): (B, M, 3) float32.

    Returns:
        tuple: Distances (B, N, 3) float32 and indices (B, N, 3) int32.
    """
    keys = torch.empty(target.shape, dtype=torch.long, device=target.device)
    for part in _chunks(target, source.size(1)):
        square = _square_distances(target[:, part], source)
        keys[:, part] = _lowest_keys(square, 3, math.inf)
    # In double precision, since torch's float32 root is not exact on the CPU.
    square = (keys >> 32).int().view(torch.float32).double()
    return square.sqrt().float(), (keys & _INDEX_MASK).int()


def knn(k: int, xyz: Tensor, center_xyz: Tensor) -> Tensor:
    """Find the nearest points of each center; see ``neighbors.knn``.

    Args:
        k (int): Number of neighbors K.
        xyz (Tensor): (B, N, 3) float32.
        center_xyz (Tensor): (B, M, 3) float32.

    Returns:
        Tensor: (B, K, M) int32.
    """
    neighbors = torch.empty((*center_xyz.shape[:2], k),
                            dtype=torch.int32,
                            device=xyz.device)
    for part in _chunks(center_xyz, xyz.size(1)):
        square = _square_distances(center_xyz[:, part], xyz)
        # One more than asked for shows whether the last one has equals.
        keys = _lowest_keys(square, k + 1, _KNN_LIMIT)
        found = (keys[..., :k] & _INDEX_MASK).int()
        is_tied = ((keys[..., 1:] >> 32 == keys[..., :-1] >> 32) &
                   (keys[..., :-1] < _key(_KNN_LIMIT))).any(-1)
        neighbors[:, part] = _settle_ties(square, is_tied, found)
    return neighbors.transpose(1, 2).contiguous()


def _settle_ties(square: Tensor, is_tied: Tensor, found: Tensor) -> Tensor:
    """Replace the tied rows of (B, M, K) neighbors by those of mmcv's heap.

    Where several points are equally far, which of them stay and in which
    order depends on all that passed through that heap.
    """
    if has_triton():
        from ._triton_kernels import replay_heap
        return replay_heap(square, is_tied, found, _KNN_LIMIT)
    rows = square[is_tied]
    if len(rows) > 0:
        found[is_tied] = _replay_heap(rows, found.size(2))
    return found


def _replay_heap(square: Tensor, k: int) -> Tensor:
    """Run mmcv's unstable heap over (R, N) distances; returns (R, K)."""
    num_rows, num_points = square.shape
    # Nodes below the heap are lower than any distance. Rows that nothing
    # enters write to the node after it, which has no parent there.
    heap = square.new_full((num_rows, 4 * k + 5), -math.inf)
    heap[:, :k] = _KNN_LIMIT
    items = torch.zeros(heap.shape, dtype=torch.int32, device=square.device)
    start, stop = 0, k
    while start < num_points:
        block = square[:, start:stop]
        waiting = block < heap[:, :1]
        order = waiting.logical_not().int().sort(stable=True).indices
        for place in order[:, :int(waiting.sum(1).max())].unbind(1):
            place = place[:, None]
            _sink(heap, items, k, block.gather(1, place), start + place.int())
        # Half of what a heap keeps of n points comes from the next n.
        start, stop = stop, 2 * stop
    ordered = torch.empty((num_rows, k),
                          dtype=torch.int32,
                          device=square.device)
    for last in range(k - 1, -1, -1):
        ordered[:, last] = items[:, 0]
        value, item = heap[:, last:last + 1].clone(), items[:, last:last + 1]
        heap[:, 0] = math.inf
        heap[:, last] = -math.inf
        _sink(heap, items, k, value, item.clone())
    return ordered


def _sink(heap: Tensor, items: Tensor, k: int, value: Tensor,
          item: Tensor) -> None:
    """Replace the tops of heaps by smaller (R, 1) values.

    Going down, a value changes places with an equal child.
    """
    hole = torch.where(value < heap[:, :1], 0, 2 * k + 1)
    sides = torch.arange(1, 3, device=heap.device)
    for _ in range(k.bit_length()):
        children = 2 * hole + sides
        left, right = heap.gather(1, children).split(1, 1)
        best = torch.maximum(left, right)
        child = 2 * hole + torch.where(right > left, 2, 1)
        sinks = value <= best
        heap.scatter_(1, hole, torch.where(sinks, best, value))
        items.scatter_(1, hole, torch.where(sinks, items.gather(1, child),
                                            item))
        hole = torch.where(sinks, child, hole)


def ball_query(min_radius: float, max_radius: float, sample_num: int,
               xyz: Tensor, center_xyz: Tensor) -> Tensor:
    """Find the first points in each ball; see ``neighbors.ball_query``.

    Args:
        min_radius (float): Smallest radius.
        max_radius (float): Largest radius.
        sample_num (int): Points per ball K.
        xyz (Tensor): (B, N, 3) float32.
        center_xyz (Tensor): (B, M, 3) float32.

    Returns:
        Tensor: (B, M, K) int32.
    """
    lower, upper = (
        float(np.float32(radius) * np.float32(radius))
        for radius in (min_radius, max_radius))
    num_points = xyz.size(1)
    members = torch.empty((*center_xyz.shape[:2], sample_num),
                          dtype=torch.int32,
                          device=xyz.device)
    index = torch.arange(num_points, dtype=torch.int32, device=xyz.device)
    for part in _chunks(center_xyz, num_points):
        square = _square_distances(center_xyz[:, part], xyz)
        is_inside = (square < upper) & ((square >= lower) | (square == 0))
        found = torch.where(is_inside, index, num_points).topk(
            min(sample_num, num_points), largest=False).values
        found = pad(found, (0, sample_num - found.size(2)), value=num_points)
        first = found[..., :1] % num_points  # 0 for an empty ball
        members[:, part] = torch.where(found == num_points, first, found)
    return members


def interpolate(features: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Mix three sources of each target; see ``grouping.three_interpolate``.

    Args:
        features (Tensor): (B, C, M), float32 or float64.
        indices (Tensor): (B, N, 3).
        weight (Tensor): (B, N, 3) in the features' type.

    Returns:
        Tensor: (B, C, N).
    """
    wide = indices.long()[:, None].expand(-1, features.size(1), -1, -1)
    first, second, third = (
        weight[:, None, :, corner] * features.gather(2, wide[..., corner])
        for corner in range(3))
    return first + second + third


def _boxes_around(points: Tensor, boxes: Tensor) -> Tensor:
    """Return whether (B, M, 3) points are in (B, T, 7) boxes: (B, M, T)."""
    x, y, z = (
        points[:, :, None, axis] - boxes[:, None, :, axis]
        for axis in range(3))
    half_x, half_y, half_z = (boxes[:, None, :, 3:6] * 0.5).unbind(-1)
    cosine, sine = boxes[:, None, :, 6].cos(), boxes[:, None, :, 6].sin()
    local_x = x * cosine + y * sine
    local_y = y * cosine - x * sine
    return (((z - half_z).abs() <= half_z) & (local_x.abs() < half_x) &
            (local_y.abs() < half_y))


def points_in_boxes_all(points: Tensor, boxes: Tensor) -> Tensor:
    """Find all boxes of each point; see ``boxes.points_in_boxes_all``.

    Args:
        points (Tensor): (B, M, 3) float32.
        boxes (Tensor): (B, T, 7) float32.

    Returns:
        Tensor: (B, M, T) int32.
    """
    found = torch.empty((*points.shape[:2], boxes.size(1)),
                        dtype=torch.int32,
                        device=points.device)
    for part in _chunks(points, boxes.size(1)):
        found[:, part] = _boxes_around(points[:, part], boxes)
    return found


def points_in_boxes_part(points: Tensor, boxes: Tensor) -> Tensor:
    """Find the first box of each point; see ``boxes.points_in_boxes_part``.

    Args:
        points (Tensor): (B, M, 3) float32.
        boxes (Tensor): (B, T, 7) float32.

    Returns:
        Tensor: (B, M) int32, -1 for a point in no box.
    """
    first = torch.empty(
        points.shape[:2], dtype=torch.int32, device=points.device)
    for part in _chunks(points, boxes.size(1)):
        is_inside = _boxes_around(points[:, part], boxes)
        # argmax returns the first of equal values; an extra box ends the row.
        place = pad(is_inside.int(), (0, 1), value=1).argmax(-1)
        first[:, part] = torch.where(place < boxes.size(1), place, -1)
    return first


def _order_of_preference(num_points: int, device: torch.device) -> Tensor:
    """Order (N,) equally far points as mmcv's block reduction does.

    mmcv gives point ``i`` to thread ``i % 2**bits``. A thread keeps its first
    point, and of two threads the tree reduction keeps the one whose lowest
    differing bit is 0, which orders threads by their reversed bits.
    """
    bits = min(int(math.log(num_points) / math.log(2)), _MAX_BLOCK_BITS)
    index = torch.arange(num_points, device=device)
    rank = index >> bits
    for bit in range(bits):
        rank += (index >> bit & 1) << (bits - 1 - bit + 32)
    return rank.argsort()


def furthest_point_sample(points: Tensor, num_points: int) -> Tensor:
    """Choose the furthest points; see ``sampling.furthest_point_sample``.

    Args:
        points (Tensor): (B, N, 3) float32, N at least 1.
        num_points (int): Number of points to choose.

    Returns:
        Tensor: (B, num_points) int32.
    """
    order = _order_of_preference(points.size(1), points.device)
    columns = points[:, order].transpose(1, 2).contiguous()
    if has_triton():
        from ._triton_kernels import sample_positions
        positions = sample_positions(columns, num_points)
    else:
        positions = _sample_positions(columns, num_points)
    return order[positions].int()


def _sample_positions(columns: Tensor, num_points: int) -> Tensor:
    """Sample (B, 3, N) points; the first of equally far ones is chosen.

    Returns:
        Tensor: (B, num_points) int64.
    """
    chosen = torch.empty((len(columns), num_points),
                         dtype=torch.long,
                         device=columns.device)
    distances = torch.full_like(columns[:, 0], math.inf)
    position = torch.zeros_like(chosen[:, :1])
    for number in range(num_points):
        chosen[:, number:number + 1] = position
        center = columns.gather(2, position[:, None].expand(-1, 3, -1))
        x, y, z = (columns - center).square().unbind(1)
        square = x + y + z
        distances = torch.where(square < distances, square, distances)
        position = distances.argmax(1, keepdim=True)
    return chosen
