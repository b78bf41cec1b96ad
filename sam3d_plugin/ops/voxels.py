"""Sparse convolution on occupied voxels, in torch alone.

A voxel is an int64 key of its scene and its place, keys are sorted, and
neighbors are found by binary search. A convolution gathers, multiplies and
adds for one offset of its kernel at a time. No row is added to twice for an
offset, so that results are the same in every run, on a GPU too.

Shapes: B scenes, N points, V voxels of all scenes, K offsets of a kernel,
M pairs of an input and an output voxel, C channels.
"""
import itertools
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..store.errors import UserError
from .transfer import require

_BITS = 16  # of each coordinate in a key
_BIAS = 1 << (_BITS - 1)
_MASK = (1 << _BITS) - 1
_SHIFTS = (2 * _BITS, _BITS, 0)  # of x, y and z
# Coordinates are at most this, so that kernels of 5 stay inside their bits.
MAX_COORDINATE = _BIAS - 3
MAX_SCENES = 1 << (63 - 3 * _BITS)


class KernelMap(NamedTuple):
    """Which input voxel each offset of a kernel brings to which output.

    Pairs are one list, offset by offset. In none of them a row is twice.
    """

    in_rows: Tensor  # (M,) int64
    out_rows: Tensor  # (M,) int64
    counts: Tuple[int, ...]  # (K,) pairs of each offset
    num_in: int
    num_out: int
    # The offset that brings every voxel to itself, which needs no gathering
    identity: Optional[int] = None

    def reversed(self) -> 'KernelMap':
        """KernelMap: From outputs back to inputs."""
        return KernelMap(self.out_rows, self.in_rows, self.counts,
                         self.num_out, self.num_in, self.identity)


class VoxelGrid:
    """The occupied voxels of a batch of scenes at one resolution.

    Neighbors and coarser grids are computed once, when they are asked for.

    Args:
        keys (Tensor): (V,) int64, sorted, of :func:`voxel_keys`.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys
        self._neighborhoods: Dict[int, KernelMap] = {}
        self._coarser: Optional[Tuple['VoxelGrid', KernelMap]] = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def scenes(self) -> Tensor:
        """Tensor: (V,) int64, the scene of each voxel."""
        return self.keys >> 3 * _BITS

    @property
    def coordinates(self) -> Tensor:
        """Tensor: (V, 3) int64 x, y, z in voxels of this grid."""
        fields = [(self.keys >> shift) & _MASK for shift in _SHIFTS]
        return torch.stack(fields, 1) - _BIAS

    def neighborhood(self, size: int) -> KernelMap:
        """Voxels around each voxel, for a kernel of odd size.

        Args:
            size (int): K is ``size`` ** 3; at most 5.

        Returns:
            KernelMap: Offsets are sorted by x, then y, then z, as the
            weights of a dense convolution are.
        """
        if size not in self._neighborhoods:
            self._neighborhoods[size] = _find_neighbors(self.keys, size)
        return self._neighborhoods[size]

    def coarser(self) -> Tuple['VoxelGrid', KernelMap]:
        """The grid of twice the voxel size.

        Returns:
            Tuple[VoxelGrid, KernelMap]: A voxel at c is in the one at
            floor(c / 2); K is 8, by the voxel's place in there.
        """
        if self._coarser is None:
            self._coarser = _make_coarser(self.keys)
        return self._coarser


def voxel_keys(scenes: Tensor, coordinates: Tensor) -> Tensor:
    """Keys that sort as scene, x, y, z do.

    Args:
        scenes (Tensor): (N,) int64 in [0, ``MAX_SCENES``).
        coordinates (Tensor): (N, 3) int64, in +-``MAX_COORDINATE``.

    Returns:
        Tensor: (N,) int64.
    """
    x, y, z = (coordinates + _BIAS).unbind(1)
    return ((scenes << _BITS | x) << _BITS | y) << _BITS | z


def voxelize(points: Tensor, voxel_size: float) -> Tuple[VoxelGrid, Tensor]:
    """Find the voxels that hold points.

    Args:
        points (Tensor): (B, N, 3) xyz, meters.
        voxel_size (float): Edge of a voxel, meters.

    Returns:
        Tuple[VoxelGrid, Tensor]: The voxels, and the voxel of each point
        (B, N) int64.

    Raises:
        UserError: When points are not finite, too far from the origin, or
            of too many scenes.
    """
    if len(points) > MAX_SCENES:
        raise UserError(f'{len(points)} scenes are more than {MAX_SCENES}: '
                        'lower the batch size')
    cells = torch.floor(points / voxel_size)
    # NaN is not in range either.
    require((cells.abs() <= MAX_COORDINATE).all(), lambda: UserError(
        'points are not finite, or further than '
        f'{voxel_size * MAX_COORDINATE:.0f} m from the origin, the most for '
        f'voxels of {voxel_size} m: center the scene or raise voxel_size'))
    scenes = torch.arange(len(points), device=points.device)
    keys = voxel_keys(
        scenes.repeat_interleave(points.shape[1]),
        cells.reshape(-1, 3).long())
    keys, voxels = torch.unique(keys, return_inverse=True)
    return VoxelGrid(keys), voxels.reshape(points.shape[:2])


def _find_neighbors(keys: Tensor, size: int) -> KernelMap:
    """See :meth:`VoxelGrid.neighborhood`."""
    if size not in (1, 3, 5):
        raise UserError(f'kernels of size {size} are not supported; choose '
                        '1, 3 or 5')
    reach = range(-(size // 2), size // 2 + 1)
    # The second half of the offsets is the first one, mirrored.
    half = list(itertools.product(reach, repeat=3))[:size**3 // 2]
    steps = torch.tensor([(x << 2 * _BITS) + (y << _BITS) + z
                          for x, y, z in half],
                         dtype=torch.int64,
                         device=keys.device)
    wanted = keys + steps[:, None]
    places = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    is_there = keys[places] == wanted
    counts = is_there.sum(1).tolist()
    offsets, out_rows = is_there.nonzero(as_tuple=True)
    in_rows = places[offsets, out_rows]
    own = torch.arange(len(keys), device=keys.device)

    def mirrored(rows: Tensor) -> List[Tensor]:
        return list(rows.split(counts))[::-1]

    return KernelMap(
        torch.cat([in_rows, own, *mirrored(out_rows)]),
        torch.cat([out_rows, own, *mirrored(in_rows)]),
        (*counts, len(keys), *counts[::-1]),
        len(keys),
        len(keys),
        identity=len(half))


def _make_coarser(keys: Tensor) -> Tuple[VoxelGrid, KernelMap]:
    """See :meth:`VoxelGrid.coarser`."""
    fields = [(keys >> shift) & _MASK for shift in _SHIFTS]
    x, y, z = (field & 1 for field in fields)  # the bias is even
    # Shifts round down, also what is negative.
    places = (torch.stack(fields, 1) - _BIAS) >> 1
    coarse, parents = torch.unique(
        voxel_keys(keys >> 3 * _BITS, places), return_inverse=True)
    child, rows = (x << 2 | y << 1 | z).sort(stable=True)
    counts = torch.bincount(child, minlength=8).tolist()
    return VoxelGrid(coarse), KernelMap(rows, parents[rows], tuple(counts),
                                        len(keys), len(coarse))


class _SparseConv(Function):
    """Gather, multiply and add for each offset of the kernel."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor,
                kernel_map: KernelMap) -> Tensor:
        """See :func:`sparse_conv`."""
        ctx.save_for_backward(features, weight)
        ctx.kernel_map = kernel_map
        total = _start(features, weight, kernel_map)
        for k, in_rows, out_rows in _moving_pairs(kernel_map):
            products = features.index_select(0, in_rows) @ weight[k]
            total.index_add_(0, out_rows, products.to(total.dtype))
        return total.to(features.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tuple[Any, ...]:
        """Gradients of features and weight."""
        features, weight = ctx.saved_tensors
        grad, kernel_map = grads[0].contiguous(), ctx.kernel_map
        back, own = weight.transpose(1, 2), kernel_map.identity
        of_features = _start(grad, back, kernel_map.reversed())
        of_weight = torch.zeros_like(weight)
        if own is not None:
            torch.mm(features.t(), grad, out=of_weight[own])
        # Rows of one offset at a time stay in the cache of a CPU.
        most = max(kernel_map.counts)
        pulls = grad.new_empty(most, grad.shape[1])
        taken = features.new_empty(most, features.shape[1])
        for k, in_rows, out_rows in _moving_pairs(kernel_map):
            pull, take = pulls[:len(out_rows)], taken[:len(in_rows)]
            torch.index_select(grad, 0, out_rows, out=pull)
            torch.index_select(features, 0, in_rows, out=take)
            torch.mm(take.t(), pull, out=of_weight[k])
            if ctx.needs_input_grad[0]:
                torch.mm(pull, back[k], out=take)
                of_features.index_add_(0, in_rows, take.to(of_features.dtype))
        return of_features.to(features.dtype), of_weight, None


def _start(features: Tensor, weight: Tensor, kernel_map: KernelMap) -> Tensor:
    """What stays in place (V', C'), 0 if nothing does.

    Sums of half types are float32.
    """
    dtype = torch.promote_types(features.dtype, torch.float32)
    if kernel_map.identity is None:
        shape = (kernel_map.num_out, weight.shape[2])
        return torch.zeros(shape, dtype=dtype, device=features.device)
    return (features @ weight[kernel_map.identity]).to(dtype)


def _moving_pairs(
        kernel_map: KernelMap) -> Iterator[Tuple[int, Tensor, Tensor]]:
    """Offset, input and output rows, where there are any that move."""
    parts = zip(
        kernel_map.in_rows.split(kernel_map.counts),
        kernel_map.out_rows.split(kernel_map.counts))
    for k, (in_rows, out_rows) in enumerate(parts):
        if k != kernel_map.identity and len(in_rows):
            yield k, in_rows, out_rows


def sparse_conv(features: Tensor, weight: Tensor,
                kernel_map: KernelMap) -> Tensor:
    """Convolve the features of occupied voxels.

    Output o is the sum of ``features[i] @ weight[k]`` over the pairs (i, o)
    of all offsets k: a dense convolution of a grid that is 0 where no voxel
    is, read at the output voxels.

    Args:
        features (Tensor): (V, C) of the input voxels.
        weight (Tensor): (K, C, C').
        kernel_map (KernelMap): Of a :class:`VoxelGrid`.

    Returns:
        Tensor: (V', C') of the output voxels.
    """
    device = features.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        features, weight = features.to(dtype), weight.to(dtype)
    with torch.autocast(device, enabled=False):
        return _SparseConv.apply(features, weight, kernel_map)
