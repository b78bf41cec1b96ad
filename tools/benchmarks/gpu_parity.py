"""Every operation on a device against the CPU's, for gpu_check.

Coordinates are multiples of 1/128 m, so squared distances are exact in
float32 however a kernel rounds, and many are equal: results must agree to the
last index, ties included.

Shapes: B scenes, N points, M centers, K neighbors, C channels, R regions.
"""
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple
from unittest import mock

import torch
from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin import ops
from sam3d_plugin.ops import _mmcv, _torch_ops
from sam3d_plugin.ops.focal_loss import sigmoid_focal_loss
from sam3d_plugin.ops.voxels import VoxelGrid, sparse_conv, voxelize

# What runs the point operations, besides the kernels of the CPU.
BACKENDS = ('mmcv', 'triton', 'torch')
_GRID = 128
_VOXEL = 0.25  # meters


class ParityCase(NamedTuple):
    """An operation and how well its results must agree.

    Attributes:
        run (Callable): From tensors to a sequence of tensors.
        inputs (Tuple[Tensor, ...]): For it, on the CPU.
        tolerance (float): Largest difference, 0 for equal results.
        backends (Tuple[str, ...]): Which of ``BACKENDS`` run it; none where
            only the device decides.
    """

    run: Callable
    inputs: Tuple[Tensor, ...]
    tolerance: float = 0.
    backends: Tuple[str, ...] = BACKENDS


def build_cases(num_points: int) -> Dict[str, ParityCase]:
    """Build a case for every operation."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def grid(*shape: int) -> Tensor:
        return (draw(*shape, 3) * 4 * _GRID).round() / _GRID

    count = num_points // 8
    points, centers = grid(2, num_points), grid(2, count)
    features = draw(2, 16, num_points)
    index = torch.randint(num_points, (2, count, 4), generator=generator).int()
    boxes = torch.cat((grid(2, 12), grid(2, 12) / 4 + 0.5, draw(2, 12, 1)), 2)
    boxes[:, ::2, 6] = 0
    return {
        'furthest_point_sample':
        ParityCase(lambda p: [ops.furthest_point_sample(p, count)],
                   (points, )),
        'ball_query':
        ParityCase(lambda p, c: [ops.ball_query(0, .3, 16, p, c)],
                   (points, centers)),
        'knn 32':
        ParityCase(lambda p, c: [ops.knn(32, p, c)], (points, centers)),
        'knn 128':
        ParityCase(lambda p, c: [ops.knn(128, p, c)], (points, centers)),
        'three_nn':
        ParityCase(lambda p, c: ops.three_nn(p, c), (points, centers), 1e-6),
        'gather_points':
        ParityCase(
            _with_gradient(lambda f, i: ops.gather_points(f, i[..., 0])),
            (features, index), 1e-5),
        'grouping_operation':
        ParityCase(
            _with_gradient(ops.grouping_operation), (features, index), 1e-5),
        'three_interpolate':
        ParityCase(
            _with_gradient(lambda f, i: ops.three_interpolate(
                f, i[..., :3],
                torch.full_like(f[0, 0, :3], 1 / 3).expand(*i.shape[:2], 3))),
            (features, index), 1e-5),
        'points_in_boxes_all':
        ParityCase(lambda p, b: [ops.points_in_boxes_all(p, b)],
                   (points, boxes), 1e-4),
        'points_in_boxes_part':
        ParityCase(lambda p, b: [ops.points_in_boxes_part(p, b)],
                   (points, boxes[:, ::2]), 0.),
        **_cases_of_the_device(points, generator)
    }


def _cases_of_the_device(points: Tensor,
                         generator: Any) -> Dict[str, ParityCase]:
    """Cases that have one implementation on a GPU."""
    ids = torch.randint(24, points.shape[:2], generator=generator)
    boxes = torch.rand(2, 20, 7, generator=generator) + 0.1
    logits = torch.randn(100, 3, generator=generator)
    labels = torch.randint(4, (100, ), generator=generator)
    tokenizers: Dict[str, Dict[str, Any]] = {
        'SAMTokenizer': dict(type='SAMTokenizer'),
        'SAMTokenizer, split':
        dict(type='SAMTokenizer', split=True, num_tokens=64),
        'KNNTokenizer':
        dict(type='KNNTokenizer', num_tokens=64, num_neighbors=16),
    }
    cases = {
        name: ParityCase(_token_runner(config), (points, ids), 1e-5, ())
        for name, config in tokenizers.items()
    }
    return dict(
        cases,
        segment_max=ParityCase(_segment_maxima, (points[0], ids[0]), 1e-6, ()),
        pairwise_giou_3d=ParityCase(lambda a: [ops.pairwise_giou_3d(a, a)],
                                    (boxes, ), 1e-4, ()),
        **_voxel_cases(points, generator),
        sigmoid_focal_loss=ParityCase(
            _with_gradient(
                lambda x, y: sigmoid_focal_loss(x, y, reduction='none')),
            (logits, labels), 1e-5, ()))


def _voxel_cases(points: Tensor, generator: Any) -> Dict[str, ParityCase]:
    """Sparse convolution between neighbors, to coarser voxels and back."""
    count = len(voxelize(points, _VOXEL)[0])
    features = torch.randn(count, 16, generator=generator)
    weight = torch.randn(27, 16, 16, generator=generator) / 16

    def convolve(weight: Tensor, features: Tensor, points: Tensor) -> Tensor:
        grid = voxelize(points, _VOXEL)[0]
        down = grid.coarser()[1]
        around = sparse_conv(features, weight, grid.neighborhood(3))
        coarse = sparse_conv(around, weight[:8], down)
        return sparse_conv(coarse, weight[:8], down.reversed())

    of_features = _with_gradient(lambda f, w, p: convolve(w, f, p))
    return {
        'voxelize':
        ParityCase(lambda p: _voxels(*voxelize(p, _VOXEL)), (points, ), 0.,
                   ()),
        'sparse_conv':
        ParityCase(of_features, (features, weight, points), 1e-5, ()),
        'sparse_conv, weight':
        ParityCase(
            _with_gradient(convolve), (weight, features, points), 1e-3, ()),
    }


def _voxels(grid: VoxelGrid, point_voxels: Tensor) -> List[Tensor]:
    around, (coarse, down) = grid.neighborhood(3), grid.coarser()
    return [
        grid.keys, point_voxels, around.in_rows, around.out_rows, coarse.keys,
        down.in_rows, down.out_rows
    ]


def _with_gradient(function: Callable) -> Callable:
    """A function of features with its result and its gradient."""

    def run(features: Tensor, *others: Tensor) -> List[Tensor]:
        leaf = features.detach().clone().requires_grad_()
        output = function(leaf, *others)
        weights = torch.linspace(
            0, 1, output.numel(), device=output.device).reshape(output.shape)
        output.backward(weights)
        return [output.detach(), leaf.grad]

    return run


def _segment_maxima(values: Tensor, ids: Tensor) -> List[Tensor]:
    order, offsets = ops.sort_by_segment(ids, 24)
    centers = ops.segment_centers(values, order, offsets)
    return [order, ops.segment_max(values[order], offsets), *centers]


def _token_runner(config: Dict[str, Any]) -> Callable:
    """Function that returns the tensors of the tokens."""
    tokenizer = MODELS.build(config)

    def run(points: Tensor, ids: Tensor) -> List[Tensor]:
        tokens = vars(tokenizer(points, ids))
        return [value for value in tokens.values() if torch.is_tensor(value)]

    return run


def backends_of(device: str) -> Dict[str, str]:
    """Say which implementations of the point operations run.

    Returns by name why it does not run, '' where it does.
    """
    if device == 'cpu':
        return dict(mmcv='needs a GPU', triton='needs a GPU', torch='')
    return dict(
        mmcv='' if _mmcv.has_cuda_kernels() else 'mmcv has no CUDA kernels',
        triton='' if _mmcv.has_triton() else 'Triton cannot start',
        torch='')


@contextmanager
def _forced(backend: str, device: str) -> Iterator[None]:
    """Let one implementation run the point operations of a device."""
    name = 'mmcv' if backend == 'mmcv' else 'torch'
    uses_triton = backend == 'triton'

    def backend_of(tensor: Tensor) -> str:
        return name if tensor.device.type == device else 'cpu'

    with mock.patch.object(_mmcv, 'backend_of', backend_of), \
            mock.patch.object(_torch_ops, 'has_triton', lambda: uses_triton):
        yield


def check(case: ParityCase, device: str) -> Dict[str, Any]:
    """Compare an operation's implementations with the CPU's.

    Args:
        case (ParityCase): The operation.
        device (str): ``'cpu'`` or ``'cuda'``.

    Returns:
        Dict[str, Any]: ``differences``, the largest one of each
        implementation, and ``not_run``, the reasons.

    Raises:
        AssertionError: When one differs by more than the tolerance.
    """
    expected = case.run(*case.inputs)
    differences: Dict[str, float] = {}
    not_run: Dict[str, str] = {}
    inputs = [tensor.to(device) for tensor in case.inputs]
    for backend in case.backends:
        reason = backends_of(device)[backend]
        if reason:
            not_run[backend] = reason
            continue
        with _forced(backend, device):
            differences[backend] = _difference(case.run(*inputs), expected)
    if not case.backends and device == 'cuda':
        differences['cuda'] = _difference(case.run(*inputs), expected)
    elif not case.backends:
        not_run['cuda'] = 'needs a GPU'
    wrong = {k: v for k, v in differences.items() if not v <= case.tolerance}
    if wrong:
        raise AssertionError(f'differs from the CPU by {wrong}, more than '
                             f'{case.tolerance:g}; compared: {differences}')
    return dict(differences=differences, not_run=not_run)


def _difference(found: List[Tensor], expected: List[Tensor]) -> float:
    """Largest difference; of integers the share of those that differ."""
    largest = 0.
    for mine, theirs in zip(found, expected, strict=True):
        mine = mine.cpu()
        if mine.shape != theirs.shape:
            return float('inf')
        if not mine.is_floating_point():
            differs = (mine != theirs).double()
        else:
            differs = (mine.double() - theirs.double()).abs()
        if differs.numel():
            value = differs.max() if mine.is_floating_point() else (
                differs.mean())
            largest = max(largest, float(value))
    return largest
