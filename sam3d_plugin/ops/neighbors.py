"""Ball query, k nearest neighbors and the three nearest sources."""
from functools import partial
from typing import Any, Optional, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from ..store.errors import UserError
from . import _mmcv, _torch_ops
from ._arrays import as_float_array, build_trees, check_points
from ._ball_kernels import query_by_scan, query_by_tree
from ._mmcv import originals
from ._neighbor_kernels import (find_neighbors, find_three_by_scan,
                                find_three_by_tree)
from ._numba import run_in_chunks
from ._tree import arrange

# Up to this many points, looking at all of them is faster than a tree.
_MAX_BALL_SCAN = 1024
_MAX_THREE_SCAN = 2048
# Nanoseconds of one search in a tree, and of looking at five points.
_SEARCH_STEPS = 2000
_POINTS_PER_STEP = 5
# mmcv's CUDA kernel keeps its heap in an array of this size.
_MMCV_MAX_NEIGHBORS = 100


class BallQuery(Function):
    """Stands in for mmcv's class of this name; see :func:`ball_query`."""

    @staticmethod
    def forward(ctx: Any,
                min_radius: float,
                max_radius: float,
                sample_num: int,
                xyz: Tensor,
                center_xyz: Tensor,
                xyz_batch_cnt: Optional[Tensor] = None,
                center_xyz_batch_cnt: Optional[Tensor] = None) -> Tensor:
        """Find the points in each ball.

        Args:
            ctx (Any): Autograd's context.
            min_radius (float): Smallest radius.
            max_radius (float): Largest radius.
            sample_num (int): Points per ball.
            xyz (Tensor): (B, N, 3).
            center_xyz (Tensor): (B, M, 3).
            xyz_batch_cnt (Optional[Tensor]): mmcv's stacked form, GPU only.
            center_xyz_batch_cnt (Optional[Tensor]): Likewise.

        Returns:
            Tensor: (B, M, K) int32.
        """
        backend = _mmcv.backend_of(xyz)
        if backend == 'mmcv':
            return originals()['BallQuery'].forward(
                ctx, min_radius, max_radius, sample_num,
                xyz.float().contiguous(),
                center_xyz.float().contiguous(), xyz_batch_cnt,
                center_xyz_batch_cnt)
        if xyz_batch_cnt is not None or center_xyz_batch_cnt is not None:
            raise UserError(
                'ball_query of stacked scenes needs CUDA kernels of mmcv; '
                'give scenes of equal size as (B, N, 3).')
        if not min_radius < max_radius:
            raise UserError(f'min_radius {min_radius} must be below '
                            f'max_radius {max_radius}.')
        check_points('center_xyz', center_xyz, False)
        check_points('xyz', xyz, center_xyz.size(1) > 0)
        batch_size, num_centers = center_xyz.shape[:2]
        members = torch.empty((batch_size, num_centers, sample_num),
                              dtype=torch.int32,
                              device=xyz.device)
        if members.numel() > 0 and backend == 'torch':
            members = _torch_ops.ball_query(min_radius, max_radius, sample_num,
                                            xyz.float(), center_xyz.float())
        elif members.numel() > 0:
            _query_balls(min_radius, max_radius, xyz, center_xyz, members)
        ctx.mark_non_differentiable(members)
        return members

    @staticmethod
    def backward(ctx: Any, grad: Optional[Tensor] = None) -> Tuple[None, ...]:
        """Give no gradient: indices have none.

        Args:
            ctx (Any): Autograd's context.
            grad (Optional[Tensor]): Ignored.

        Returns:
            Tuple[None, ...]: Nothing for each argument of ``forward``.
        """
        return (None, ) * 7


def _query_balls(min_radius: float, max_radius: float, xyz: Tensor,
                 center_xyz: Tensor, members: Tensor) -> None:
    points = as_float_array(xyz)
    centers = as_float_array(center_xyz)
    places = np.arange(points.shape[1])
    blocks = [arrange(scene, places) for scene in points]
    radii = torch.tensor([min_radius, max_radius]).numpy()
    output = members.numpy()
    use_scan = points.shape[1] <= _MAX_BALL_SCAN
    trees = None if use_scan else build_trees(points)

    def query(scene: int, start: int, stop: int) -> None:
        arrays = blocks[scene], centers[scene], radii
        if trees is None:
            query_by_scan(*arrays, start, stop, output[scene])
        else:
            query_by_tree(trees[scene], *arrays, start, stop, output[scene])

    steps = points.shape[1] // _POINTS_PER_STEP if use_scan else _SEARCH_STEPS
    for scene in range(len(points)):
        run_in_chunks(
            partial(query, scene), centers.shape[1], centers.shape[1] * steps)


class KNN(Function):
    """Stands in for mmcv's class of this name; see :func:`knn`."""

    @staticmethod
    def forward(ctx: Any,
                k: int,
                xyz: Tensor,
                center_xyz: Optional[Tensor] = None,
                transposed: bool = False) -> Tensor:
        """Find the neighbors.

        Args:
            ctx (Any): Autograd's context.
            k (int): Number of neighbors.
            xyz (Tensor): (B, N, 3), or (B, 3, N) when transposed.
            center_xyz (Optional[Tensor]): (B, M, 3), or (B, 3, M) when
                transposed; ``xyz`` when missing.
            transposed (bool): Whether the axes of both are swapped.

        Returns:
            Tensor: (B, K, M) int32.
        """
        center_xyz = xyz if center_xyz is None else center_xyz
        if transposed:
            xyz = xyz.transpose(1, 2)
            center_xyz = center_xyz.transpose(1, 2)
        if k < 1:
            raise UserError(f'k must be at least 1, got {k}.')
        check_points('center_xyz', center_xyz, False)
        check_points('xyz', xyz, center_xyz.size(1) > 0)
        backend = _mmcv.backend_of(xyz)
        if backend == 'mmcv' and k < _MMCV_MAX_NEIGHBORS:
            return originals()['KNN'].forward(ctx, k,
                                              xyz.float().contiguous(),
                                              center_xyz.float().contiguous())
        if backend == 'cpu':
            neighbors = _knn_by_tree(k, xyz, center_xyz)
        else:
            neighbors = _torch_ops.knn(k, xyz.float(), center_xyz.float())
        ctx.mark_non_differentiable(neighbors)
        return neighbors

    @staticmethod
    def backward(ctx: Any, grad: Optional[Tensor] = None) -> Tuple[None, ...]:
        """Give no gradient: indices have none.

        Args:
            ctx (Any): Autograd's context.
            grad (Optional[Tensor]): Ignored.

        Returns:
            Tuple[None, ...]: Nothing for each argument of ``forward``.
        """
        return (None, ) * 4


def _knn_by_tree(k: int, xyz: Tensor, center_xyz: Tensor) -> Tensor:
    batch_size, num_centers = center_xyz.shape[:2]
    neighbors = torch.empty((batch_size, k, num_centers), dtype=torch.int32)
    if neighbors.numel() == 0:
        return neighbors
    points = as_float_array(xyz)
    centers = as_float_array(center_xyz)
    output = neighbors.numpy()
    steps = num_centers * (_SEARCH_STEPS + 150 * k)
    for scene, tree in enumerate(build_trees(points)):
        run_in_chunks(
            lambda start, stop: find_neighbors(tree, points[scene], centers[
                scene], start, stop, output[scene]), num_centers, steps)
    return neighbors


class ThreeNN(Function):
    """Stands in for mmcv's class of this name; see :func:`three_nn`."""

    @staticmethod
    def forward(ctx: Any, target: Tensor,
                source: Tensor) -> Tuple[Tensor, Tensor]:
        """Find the three nearest sources.

        Args:
            ctx (Any): Autograd's context.
            target (Tensor): (B, N, 3).
            source (Tensor): (B, M, 3).

        Returns:
            Tuple[Tensor, Tensor]: Distances (B, N, 3) float32 and indices
            (B, N, 3) int32.
        """
        check_points('target', target, False)
        check_points('source', source, target.size(1) > 0)
        backend = _mmcv.backend_of(target)
        if backend == 'mmcv':
            return originals()['ThreeNN'].forward(ctx,
                                                  target.float().contiguous(),
                                                  source.float().contiguous())
        if backend == 'torch':
            distances, indices = _torch_ops.three_nn(target.float(),
                                                     source.float())
        else:
            distances = torch.empty(target.shape)
            indices = torch.empty(target.shape, dtype=torch.int32)
            if indices.numel() > 0:
                _find_three(target, source, distances, indices)
        ctx.mark_non_differentiable(indices)
        return distances, indices

    @staticmethod
    def backward(ctx: Any,
                 grad_distance: Optional[Tensor] = None,
                 grad_index: Optional[Tensor] = None) -> Tuple[None, None]:
        """Give no gradient, as mmcv does: weights count as constants.

        Args:
            ctx (Any): Autograd's context.
            grad_distance (Optional[Tensor]): Ignored.
            grad_index (Optional[Tensor]): Ignored.

        Returns:
            Tuple[None, None]: Nothing for each argument of ``forward``.
        """
        return None, None


def _group_by_four(sources: np.ndarray) -> np.ndarray:
    """Arrange (B, M, 3) sources as (B, groups, 3, 4), filled with infinity."""
    batch_size, num_sources = sources.shape[:2]
    num_groups = (num_sources + 3) // 4
    filled = np.full((batch_size, 4 * num_groups, 3), np.inf, np.float32)
    filled[:, :num_sources] = sources
    grouped = filled.reshape(batch_size, num_groups, 4, 3)
    return np.ascontiguousarray(grouped.transpose(0, 1, 3, 2))


def _find_three(target: Tensor, source: Tensor, distances: Tensor,
                indices: Tensor) -> None:
    targets = as_float_array(target)
    sources = as_float_array(source)
    outputs = distances.numpy(), indices.numpy()
    use_scan = sources.shape[1] <= _MAX_THREE_SCAN
    trees = None if use_scan else build_trees(sources)
    groups = _group_by_four(sources) if use_scan else sources

    def find(scene: int, start: int, stop: int) -> None:
        output = outputs[0][scene], outputs[1][scene]
        if trees is None:
            find_three_by_scan(groups[scene], targets[scene], start, stop,
                               *output)
        else:
            find_three_by_tree(trees[scene], targets[scene], start, stop,
                               *output)

    steps = sources.shape[1] // _POINTS_PER_STEP if use_scan else _SEARCH_STEPS
    for scene in range(len(targets)):
        run_in_chunks(
            partial(find, scene), targets.shape[1], targets.shape[1] * steps)


def ball_query(min_radius: float, max_radius: float, sample_num: int,
               xyz: Tensor, center_xyz: Tensor) -> Tensor:
    """Find the first K points, in index order, inside each ball.

    A point is inside when its squared distance is 0 or in
    [min_radius², max_radius²). A ball with fewer than K points repeats its
    first one; a ball without any holds index 0.

    Args:
        min_radius (float): Smallest distance, in the unit of ``xyz``.
        max_radius (float): Distance that no point reaches.
        sample_num (int): K, points per ball.
        xyz (Tensor): (B, N, 3), compared in float32.
        center_xyz (Tensor): (B, M, 3), in the frame of ``xyz``.

    Returns:
        Tensor: (B, M, K) int32 indices into the N points.

    Raises:
        ValueError: If there are balls but no points, or the radii are in
            the wrong order.
    """
    return BallQuery.apply(min_radius, max_radius, sample_num, xyz, center_xyz)


def knn(k: int,
        xyz: Tensor,
        center_xyz: Optional[Tensor] = None,
        transposed: bool = False) -> Tensor:
    """Find the K nearest points of each center, nearest first.

    Among equally far points, those are kept, in that order, that the heap of
    mmcv's CUDA kernel keeps when it sees the points in index order. With
    fewer than K points, index 0 fills the end.

    Args:
        k (int): Number of neighbors.
        xyz (Tensor): (B, N, 3), compared in float32.
        center_xyz (Optional[Tensor]): (B, M, 3); ``xyz`` when missing.
        transposed (bool): Whether both are (B, 3, N) and (B, 3, M) instead.

    Returns:
        Tensor: (B, K, M) int32 indices into the N points.

    Raises:
        ValueError: If k is below 1, or there are centers but no points.
    """
    return KNN.apply(k, xyz, center_xyz, transposed)


def three_nn(target: Tensor, source: Tensor) -> Tuple[Tensor, Tensor]:
    """Find the three nearest sources of each target, nearest first.

    Equally far sources come in index order. With fewer than three sources
    the missing ones have distance infinity and index 0.

    Args:
        target (Tensor): (B, N, 3), compared in float32.
        source (Tensor): (B, M, 3), in the frame of ``target``.

    Returns:
        Tuple[Tensor, Tensor]: Distances (B, N, 3) float32, not squared,
        without gradient; and (B, N, 3) int32 indices into the M sources.

    Raises:
        ValueError: If there are targets but no sources.
    """
    return ThreeNN.apply(target, source)
