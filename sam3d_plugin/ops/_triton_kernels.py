"""Triton kernel for what plain torch does in a loop on a GPU."""
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_MAX_SAMPLING_BLOCK = 4096
_POINTS_PER_WARP = 128
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
