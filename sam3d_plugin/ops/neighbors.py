"""Ball query, k nearest neighbors and the three nearest sources."""
from typing import Any, Optional, Tuple

from torch import Tensor

from ..store.errors import UserError
from . import _cpu_ops, _mmcv, _torch_ops
from ._arrays import IndexFunction, check_points
from ._mmcv import originals

_PLAIN = dict(cpu=_cpu_ops, torch=_torch_ops)
# mmcv's CUDA kernel keeps its heap in an array of this size.
_MMCV_MAX_NEIGHBORS = 100


class BallQuery(IndexFunction):
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
        members = _PLAIN[backend].ball_query(min_radius, max_radius,
                                             sample_num, xyz.float(),
                                             center_xyz.float())
        ctx.mark_non_differentiable(members)
        return members


class KNN(IndexFunction):
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
        plain = _cpu_ops if backend == 'cpu' else _torch_ops
        neighbors = plain.knn(k, xyz.float(), center_xyz.float())
        ctx.mark_non_differentiable(neighbors)
        return neighbors


class ThreeNN(IndexFunction):
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
        distances, indices = _PLAIN[backend].three_nn(target.float(),
                                                      source.float())
        ctx.mark_non_differentiable(indices)
        return distances, indices


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

    Which of equally far points is kept, or comes first, is not specified, but
    the same at every call. Points at 100 km or beyond, or without finite
    coordinates, are never neighbors. With fewer than K points, index 0 fills
    the end.

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

    The order of equally far sources is not specified, but the same at every
    call. With fewer than three sources the missing ones have distance
    infinity and index 0.

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
