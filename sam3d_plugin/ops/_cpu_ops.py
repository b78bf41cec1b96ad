"""The point operations on CPU tensors: scipy's kd-tree and compiled loops.

Shapes: B scenes, N points, M centers, K neighbors. The functions have the
arguments and results of those in :mod:`._torch_ops`.
"""
import math
from functools import partial
from typing import Tuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ._arrays import as_float_array
from ._numba import jit, run_in_chunks
from ._torch_ops import KNN_LIMIT, order_of_preference

# Where points without finite coordinates go, and centers on the other side.
_FAR = 1e15
# Points that a ball query compares at once, with vector instructions.
_BLOCK = 64


def _nearest(points: Tensor, centers: Tensor, k: int,
             limit: float) -> Tuple[Tensor, Tensor]:
    """Find the K nearest points of each center in one scene.

    Args:
        points (Tensor): (N, 3).
        centers (Tensor): (M, 3).
        k (int): Number of neighbors.
        limit (float): Distance that a neighbor must stay below.

    Returns:
        Tuple[Tensor, Tensor]: Distances (M, K) float32 and indices (M, K)
        int32; infinity and 0 where there are fewer points.
    """
    tree = cKDTree(
        _finite(points, _FAR), balanced_tree=False, compact_nodes=False)
    distances, indices = tree.query(
        _finite(centers, -_FAR),
        range(1, k + 1),
        distance_upper_bound=limit,
        workers=torch.get_num_threads())
    indices[indices == len(points)] = 0
    return torch.from_numpy(distances).float(), torch.from_numpy(indices).int()


def _finite(points: Tensor, filler: float) -> np.ndarray:
    """Replace points without finite coordinates, which scipy refuses."""
    xyz = as_float_array(points)
    return np.where(np.isfinite(xyz).all(1, keepdims=True), xyz, filler)


def three_nn(target: Tensor, source: Tensor) -> tuple:
    """Find the three nearest sources; see ``neighbors.three_nn``."""
    distances = torch.empty(target.shape)
    indices = torch.empty(target.shape, dtype=torch.int32)
    for scene, (points, centers) in enumerate(zip(source, target)):
        distances[scene], indices[scene] = _nearest(points, centers, 3,
                                                    _FAR / 2)
    return distances, indices


def knn(k: int, xyz: Tensor, center_xyz: Tensor) -> Tensor:
    """Find the nearest points of each center; see ``neighbors.knn``."""
    limit = math.sqrt(KNN_LIMIT)
    neighbors = torch.empty((len(xyz), k, center_xyz.size(1)),
                            dtype=torch.int32)
    for scene, (points, centers) in enumerate(zip(xyz, center_xyz)):
        neighbors[scene] = _nearest(points, centers, k, limit)[1].T
    return neighbors


@jit
def _query_balls(columns, centers, lower, upper, members, start, stop):
    """Fill the rows ``start`` to ``stop`` of one scene's (M, K) members."""
    size = members.shape[1]
    square = np.empty(_BLOCK, np.float32)
    for i in range(start, stop):
        x, y, z = centers[i]
        count = 0
        for begin in range(0, columns.shape[1], _BLOCK):
            xs = columns[0, begin:begin + _BLOCK]
            ys = columns[1, begin:begin + _BLOCK]
            zs = columns[2, begin:begin + _BLOCK]
            num_near = 0
            for j in range(xs.shape[0]):
                dx, dy, dz = x - xs[j], y - ys[j], z - zs[j]
                square[j] = dx * dx + dy * dy + dz * dz
                num_near += square[j] < upper
            if num_near == 0:
                continue
            for j in range(xs.shape[0]):
                if square[j] < upper and count < size and (square[j] >= lower
                                                           or square[j] == 0):
                    members[i, count] = begin + j
                    count += 1
            if count == size:
                break
        members[i, count:] = members[i, 0] if count > 0 else 0


def ball_query(min_radius: float, max_radius: float, sample_num: int,
               xyz: Tensor, center_xyz: Tensor) -> Tensor:
    """Find the first points in each ball; see ``neighbors.ball_query``."""
    lower, upper = np.square(np.array([min_radius, max_radius], np.float32))
    columns = as_float_array(xyz.transpose(1, 2))
    centers = as_float_array(center_xyz)
    members = torch.empty((*centers.shape[:2], sample_num), dtype=torch.int32)
    for points, places, output in zip(columns, centers, members.numpy()):
        run_in_chunks(
            partial(_query_balls, points, places, lower, upper, output),
            len(places),
            len(places) * points.shape[1])
    return members


@jit
def _sample_positions(columns, chosen):
    """Sample one scene; the first of equally far points is chosen."""
    num_points = columns.shape[1]
    distances = np.full(num_points, np.float32(np.inf))
    # Bit patterns have the order of the distances, and compilers find the
    # largest of integers with vector instructions.
    pattern = distances.view(np.int32)
    position = 0
    for number in range(chosen.shape[0]):
        chosen[number] = position
        x, y, z = columns[:, position]
        for i in range(num_points):
            dx = columns[0, i] - x
            dy = columns[1, i] - y
            dz = columns[2, i] - z
            square = dx * dx + dy * dy + dz * dz
            old = distances[i]
            distances[i] = square if square < old else old
        largest = np.int32(0)
        for i in range(num_points):
            largest = max(largest, pattern[i])
        position = 0
        while pattern[position] != largest:
            position += 1


def furthest_point_sample(points: Tensor, num_points: int) -> Tensor:
    """Choose furthest points; see ``sampling.furthest_point_sample``."""
    order = order_of_preference(points.size(1), points.device)
    columns = as_float_array(points[:, order].transpose(1, 2))
    chosen = torch.empty((len(points), num_points), dtype=torch.long)
    output = chosen.numpy()

    def sample(start: int, stop: int) -> None:
        for scene in range(start, stop):
            _sample_positions(columns[scene], output[scene])

    run_in_chunks(sample, len(output), chosen.numel() * points.size(1))
    return order[chosen].int()
