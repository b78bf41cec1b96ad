"""The point operations in plain torch, for GPUs without mmcv's kernels.

Shapes: B scenes, N points, M centers, K neighbors, T boxes. Squared distances
are summed axis by axis, as on the CPU, since a matrix product or a fused
multiplication rounds differently. All work stays on the tensors' device, in
chunks of centers that bound the memory.
"""
import math
from typing import Iterator, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ._mmcv import has_triton

# Pairs of a center and a point that are looked at together.
_MAX_PAIRS = 1 << 24
# Squared distance from which mmcv's knn no longer sees a point.
KNN_LIMIT = 1e10
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


def _nearest(centers: Tensor, points: Tensor, k: int,
             limit: float) -> Tuple[Tensor, Tensor]:
    """Find the K nearest points of each center.

    Args:
        centers (Tensor): (B, M, 3) float32.
        points (Tensor): (B, N, 3) float32.
        k (int): Number of neighbors.
        limit (float): Squared distance that a neighbor must stay below.

    Returns:
        Tuple[Tensor, Tensor]: Squared distances (B, M, K) float32 and indices
        (B, M, K) int32; infinity and 0 where there are fewer points.
    """
    shape = (*centers.shape[:2], k)
    squares = centers.new_full(shape, math.inf)
    indices = torch.zeros(shape, dtype=torch.int32, device=centers.device)
    found = min(k, points.size(1))
    index = torch.arange(points.size(1), device=points.device)
    for part in _chunks(centers, points.size(1)):
        square = _square_distances(centers[:, part], points)
        square = square.where(square < limit, math.inf)  # NaN, too
        # Bit patterns have the order of the distances; with the index below
        # them, no two keys are equal.
        keys = square.view(torch.int32).long() << 32 | index
        keys = keys.topk(found, largest=False).values
        values = (keys >> 32).int().view(torch.float32)
        squares[:, part, :found] = values
        indices[:, part, :found] = keys.int().where(values < limit, 0)
    return squares, indices


def three_nn(target: Tensor, source: Tensor) -> tuple:
    """Find the three nearest sources; see ``neighbors.three_nn``.

    Args:
        target (Tensor): (B, N, 3) float32.
        source (Tensor): (B, M, 3) float32.

    Returns:
        tuple: Distances (B, N, 3) float32 and indices (B, N, 3) int32.
    """
    squares, indices = _nearest(target, source, 3, math.inf)
    # In double precision: torch's float32 root is not exact on the CPU.
    return squares.double().sqrt().float(), indices


def knn(k: int, xyz: Tensor, center_xyz: Tensor) -> Tensor:
    """Find the nearest points of each center; see ``neighbors.knn``.

    Args:
        k (int): Number of neighbors K.
        xyz (Tensor): (B, N, 3) float32.
        center_xyz (Tensor): (B, M, 3) float32.

    Returns:
        Tensor: (B, K, M) int32.
    """
    indices = _nearest(center_xyz, xyz, k, KNN_LIMIT)[1]
    return indices.transpose(1, 2).contiguous()


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


def order_of_preference(num_points: int, device: torch.device) -> Tensor:
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
    order = order_of_preference(points.size(1), points.device)
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
