"""Triton kernels for what plain torch does in a loop on a GPU."""
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_MAX_SAMPLING_BLOCK = 4096
_POINTS_PER_WARP = 128
_HEAP_BLOCK = 1024
# Fused multiplications would round distances otherwise than on the CPU.
LAUNCH_OPTIONS = dict(enable_fp_fusion=False)


@triton.jit
def sampling_kernel(columns, distances, chosen, num_points, num_chosen,
                    BLOCK: tl.constexpr):
    """Sample one scene per program; the first of equally far ones is chosen.

    Args:
        columns (tl.tensor): (B, 3, N) float32.
        distances (tl.tensor): (B, N) float32, infinity; work space.
        chosen (tl.tensor): (B, num_chosen) int64, filled in place.
        num_points (int): N.
        num_chosen (int): Points to choose.
        BLOCK (tl.constexpr): Points to look at together, a power of 2.
    """
    scene = tl.program_id(0).to(tl.int64)
    columns += scene * 3 * num_points
    distances += scene * num_points
    chosen += scene * num_chosen
    lane = tl.arange(0, BLOCK)
    position = 0
    for number in range(num_chosen):
        tl.store(chosen + number, position)
        x = tl.load(columns + position)
        y = tl.load(columns + num_points + position)
        z = tl.load(columns + 2 * num_points + position)
        furthest = tl.full((BLOCK, ), -1., tl.float32)
        places = tl.zeros((BLOCK, ), tl.int32)
        for start in range(0, num_points, BLOCK):
            place = start + lane
            is_point = place < num_points
            dx = tl.load(columns + place, is_point, 0.) - x
            dy = tl.load(columns + num_points + place, is_point, 0.) - y
            dz = tl.load(columns + 2 * num_points + place, is_point, 0.) - z
            square = dx * dx + dy * dy + dz * dz
            old = tl.load(distances + place, is_point, -1.)
            square = tl.where(square < old, square, old)
            tl.store(distances + place, square, is_point)
            places = tl.where(square > furthest, place, places)
            furthest = tl.where(square > furthest, square, furthest)
        is_furthest = furthest == tl.max(furthest)
        position = tl.min(tl.where(is_furthest, places, num_points))
        # The next round may read a distance on another thread.
        tl.debug_barrier()


def sample_positions(columns: Tensor, num_points: int) -> Tensor:
    """Sample points, each the furthest from those before.

    Args:
        columns (Tensor): (B, 3, N) float32; the first point is chosen first.
        num_points (int): Number of points to choose.

    Returns:
        Tensor: (B, num_points) int64 places.
    """
    chosen = torch.empty((len(columns), num_points),
                         dtype=torch.long,
                         device=columns.device)
    distances = torch.full_like(columns[:, 0], math.inf)
    block = min(triton.next_power_of_2(columns.size(2)), _MAX_SAMPLING_BLOCK)
    sampling_kernel[(len(columns), )](
        columns,
        distances,
        chosen,
        columns.size(2),
        num_points,
        BLOCK=block,
        num_warps=max(1, block // _POINTS_PER_WARP),
        **LAUNCH_OPTIONS)
    return chosen


@triton.jit
def _sink(heap, items, node, value, item):
    """Put a value in the place of a heap's top."""
    hole = item * 0
    is_sinking = item == item
    while is_sinking:
        left = tl.max(tl.where(node == 2 * hole + 1, heap, -float('inf')))
        right = tl.max(tl.where(node == 2 * hole + 2, heap, -float('inf')))
        best = tl.maximum(left, right)
        child = 2 * hole + tl.where(right > left, 2, 1)
        is_sinking = value <= best
        moved = tl.max(tl.where(node == child, items, 0))
        heap = tl.where(node == hole, tl.where(is_sinking, best, value), heap)
        items = tl.where(node == hole, tl.where(is_sinking, moved, item),
                         items)
        hole = tl.where(is_sinking, child, hole)
    return heap, items


@triton.jit
def heap_kernel(square, is_tied, neighbors, num_points, k, limit,
                SIZE: tl.constexpr, BLOCK: tl.constexpr):
    """Run mmcv's unstable heap over one tied row per program.

    Args:
        square (tl.tensor): (rows, N) float32 squared distances.
        is_tied (tl.tensor): (rows,) bool; other rows are left alone.
        neighbors (tl.tensor): (rows, K) int32, filled in place.
        num_points (int): N.
        k (int): K.
        limit (float): Squared distance that a point must stay below.
        SIZE (tl.constexpr): A power of 2 from K on.
        BLOCK (tl.constexpr): Points to look at together, a power of 2.
    """
    row = tl.program_id(0).to(tl.int64)
    if tl.load(is_tied + row):
        lane = tl.arange(0, BLOCK)
        node = tl.arange(0, SIZE)
        heap = tl.where(node < k, limit, -float('inf'))
        items = tl.zeros((SIZE, ), tl.int32)
        for start in range(0, num_points, BLOCK):
            distance = tl.load(square + row * num_points + start + lane,
                               start + lane < num_points, float('inf'))
            is_waiting = distance < tl.max(heap)
            while tl.max(is_waiting.to(tl.int32)) > 0:
                first = tl.min(tl.where(is_waiting, lane, BLOCK))
                value = tl.min(tl.where(lane == first, distance, float('inf')))
                heap, items = _sink(heap, items, node, value, start + first)
                is_waiting = is_waiting & (lane > first) & (
                    distance < tl.max(heap))
        for step in range(0, k):
            last = k - 1 - step
            top = tl.max(tl.where(node == 0, items, 0))
            tl.store(neighbors + row * k + last, top)
            value = tl.max(tl.where(node == last, heap, -float('inf')))
            item = tl.max(tl.where(node == last, items, 0))
            heap = tl.where(node == last, -float('inf'), heap)
            heap, items = _sink(heap, items, node, value, item)


def replay_heap(square: Tensor, is_tied: Tensor, neighbors: Tensor,
                limit: float) -> Tensor:
    """Replace the neighbors of tied rows by those of mmcv's heap.

    Args:
        square (Tensor): (B, M, N) float32 squared distances.
        is_tied (Tensor): (B, M) bool.
        neighbors (Tensor): (B, M, K) int32, contiguous, changed in place.
        limit (float): Squared distance that a point must stay below.

    Returns:
        Tensor: The neighbors.
    """
    k = neighbors.size(2)
    heap_kernel[(is_tied.numel(), )](
        square,
        is_tied,
        neighbors,
        square.size(2),
        k,
        limit,
        SIZE=triton.next_power_of_2(k),
        BLOCK=_HEAP_BLOCK,
        num_warps=4,
        **LAUNCH_OPTIONS)
    return neighbors
