"""The operations that the benchmark measures, in every implementation."""
import sys
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, Callable, Dict, List, Mapping, NamedTuple

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import embedding_bag

from sam3d_plugin import ops
from sam3d_plugin.ops._mmcv import has_kernels, originals

Call = Callable[[], Any]


class Case(NamedTuple):
    """One operation at one size, in several implementations.

    Args:
        name (str): Operation and size.
        ours (Call): Runs the operation of this package.
        torch (Call): Runs plain torch.
        libraries (Mapping[str, Call]): Others, by name.
    """
    name: str
    ours: Call
    torch: Call
    libraries: Mapping[str, Call]


def torch_fps(points: Tensor, num_points: int) -> Tensor:
    """Sample (1, N, 3) furthest points in a loop."""
    distance = points.new_full(points.shape[1:2], 1e10)
    chosen = [torch.zeros((), dtype=torch.long, device=points.device)]
    for _ in range(num_points - 1):
        offset = points[0] - points[0, chosen[-1]]
        distance = torch.minimum(distance, (offset * offset).sum(1))
        chosen.append(distance.argmax())
    return torch.stack(chosen)[None]


def torch_ball(radius: float, num: int, xyz: Tensor,
               centers: Tensor) -> Tensor:
    """Query balls with all distances at once."""
    index = torch.arange(xyz.size(1), device=xyz.device)
    inside = torch.cdist(centers, xyz) < radius
    index = torch.where(inside, index, xyz.size(1)).topk(
        num, largest=False).values
    first = index[..., :1]
    return torch.where(index == xyz.size(1), first, index)


def torch_boxes(points: Tensor, boxes: Tensor) -> Tensor:
    """Test all points and boxes at once."""
    offset = points[:, :, None] - boxes[:, None, :, :3]
    cosine, sine = boxes[:, None, :, 6].cos(), boxes[:, None, :, 6].sin()
    half = boxes[:, None, :, 3:6] / 2
    x = offset[..., 0] * cosine + offset[..., 1] * sine
    y = offset[..., 1] * cosine - offset[..., 0] * sine
    z = offset[..., 2] - half[..., 2]
    return ((x.abs() < half[..., 0]) & (y.abs() < half[..., 1]) &
            (z.abs() <= half[..., 2])).int()


def torch_first_box(points: Tensor, boxes: Tensor) -> Tensor:
    """Find the first box of each point."""
    inside = torch_boxes(points, boxes)
    found, first = inside.max(-1)
    return torch.where(found > 0, first, -1)


def torch_knn(points: Tensor, centers: Tensor, num: int) -> Any:
    """Find neighbors with all distances at once."""
    return torch.cdist(centers, points).topk(num, largest=False)


def torch_gather(features: Tensor, index: Tensor) -> Tensor:
    """Pick (B, C, N) features by (B, ...) indices; autograd scatters back."""
    flat = index.flatten(1).long()[:, None]
    picked = features.gather(2, flat.expand(-1, features.size(1), -1))
    return picked.unflatten(2, index.shape[1:])


def torch_interpolate(features: Tensor, index: Tensor,
                      weight: Tensor) -> Tensor:
    """Mix three (B, C, M) features by (B, N, 3) indices and weights."""
    return (torch_gather(features, index) * weight[:, None]).sum(-1)


def mmcv_apply(name: str) -> Callable:
    """Return mmcv's own autograd function, for the GPU."""
    original = originals()[name]
    methods = dict(
        forward=staticmethod(original.forward),
        backward=staticmethod(original.backward))
    cls: Any = type(name, (Function, ), methods)
    return cls.apply


def backward_of(call: Callable, features: Tensor, *others: Tensor) -> Call:
    """Return a call that runs only the backward pass."""
    leaf = features.detach().clone().requires_grad_()
    output = call(leaf, *others)
    grad = torch.ones_like(output)
    return partial(torch.autograd.grad, output, leaf, grad, retain_graph=True)


@lru_cache(maxsize=None)
def load_optional(name: str) -> Any:
    """Import a library, or say that it is skipped and return None."""
    try:
        return import_module(name)
    except ImportError:
        print(f'{name} is not installed and is skipped', file=sys.stderr)
        return None


def sample(points: Tensor, num_points: int) -> Tensor:
    """Furthest points (1, G, 3) of a scene (1, N, 3)."""
    chosen = ops.furthest_point_sample(points, num_points)
    return points[:, chosen[0].long()].contiguous()


def _on_device(name: str, arguments: tuple,
               cpu: Callable[[], Dict[str, Call]]) -> Dict[str, Call]:
    """mmcv's kernel for tensors on a GPU, else the libraries for a CPU."""
    if any(torch.is_tensor(a) and a.is_cuda for a in arguments):
        return {'mmcv': partial(mmcv_apply(name), *arguments)}
    return cpu()


def sampling_case(points: Tensor, num_points: int) -> Case:
    """Sample a scene down."""

    def libraries() -> Dict[str, Call]:
        fpsample = load_optional('fpsample')
        quickfps = load_optional('torch_quickfps')
        calls: Dict[str, Call] = {}
        for height in (3, 5, 6, 7):
            settings = dict(h=height, start_idx=0)
            if fpsample and 2**height <= points.size(1):
                calls[f'fpsample bucket, h={height}'] = partial(
                    fpsample.bucket_fps_kdline_sampling, points[0].numpy(),
                    num_points, **settings)
            if quickfps and 2**height <= points.size(1):
                calls[f'torch_quickfps, h={height}'] = partial(
                    quickfps.sample_idx, points, num_points, **settings)
        return calls

    return Case(
        f'furthest_point_sample {points.size(1)}→{num_points}',
        partial(ops.furthest_point_sample, points, num_points),
        partial(torch_fps, points, num_points),
        _on_device('FurthestPointSampling', (points, num_points), libraries))


def ball_case(points: Tensor, centers: Tensor, radius: float,
              num: int) -> Case:
    """Query the balls of one set abstraction layer."""
    arguments = (0, radius, num, points, centers)

    def libraries() -> Dict[str, Call]:
        xyz, places = points[0].numpy(), centers[0].numpy()
        return {
            'scipy cKDTree, unordered':
            lambda: cKDTree(xyz, balanced_tree=False).query_ball_point(
                places, radius, workers=torch.get_num_threads())
        }

    return Case(
        f'ball_query {points.size(1)}→{centers.size(1)}×{num}, {radius} m',
        partial(ops.ball_query, *arguments),
        partial(torch_ball, radius, num, points, centers),
        _on_device('BallQuery', arguments, libraries))


def neighbor_libraries(points: Tensor, centers: Tensor,
                       num: int) -> Dict[str, Call]:
    """Return kd-trees that are built and searched scene by scene."""
    scenes = list(zip(points.numpy(), centers.numpy()))

    def scipy(balanced: bool) -> Any:
        return [
            cKDTree(xyz, balanced_tree=balanced, compact_nodes=balanced).query(
                places, num, workers=torch.get_num_threads())
            for xyz, places in scenes
        ]

    calls: Dict[str, Call] = {
        'scipy cKDTree': partial(scipy, False),
        'scipy cKDTree, balanced': partial(scipy, True)
    }
    kdtree = load_optional('pykdtree.kdtree')
    if kdtree:
        calls['pykdtree'] = lambda: [
            kdtree.KDTree(xyz).query(places, num) for xyz, places in scenes
        ]
    return calls


def knn_case(points: Tensor, centers: Tensor, num: int) -> Case:
    """Find neighbors."""
    libraries: Dict[str, Call] = {}
    if not points.is_cuda or num < 100:  # mmcv refuses more
        libraries = _on_device(
            'KNN', (num, points, centers),
            lambda: neighbor_libraries(points, centers, num))
    scenes = f'{len(points)}×' if len(points) > 1 else ''
    return Case(f'knn {scenes}{points.size(1)}→{centers.size(1)}×{num}',
                partial(ops.knn, num, points, centers),
                partial(torch_knn, points, centers, num), libraries)


def three_nn_case(targets: Tensor, sources: Tensor) -> Case:
    """Find the three nearest sources."""
    return Case(
        f'three_nn {targets.size(1)} of {sources.size(1)}',
        partial(ops.three_nn, targets, sources),
        partial(torch_knn, sources, targets, 3),
        _on_device('ThreeNN', (targets, sources),
                   lambda: neighbor_libraries(sources, targets, 3)))


def box_cases(points: Tensor, boxes: Tensor) -> List[Case]:
    """Look for points in boxes."""
    cases = []
    for name, plain in (('points_in_boxes_all', torch_boxes),
                        ('points_in_boxes_part', torch_first_box)):
        libraries: Dict[str, Call] = {}
        if points.is_cuda:
            libraries = {'mmcv': partial(originals()[name], points, boxes)}
        elif name == 'points_in_boxes_all' and has_kernels():
            from mmcv.ops import points_in_boxes_cpu
            libraries = {
                'mmcv, C++': partial(points_in_boxes_cpu, points, boxes)
            }
        cases.append(
            Case(f'{name} {points.size(1)} in {boxes.size(1)}',
                 partial(getattr(ops, name), points, boxes),
                 partial(plain, points, boxes), libraries))
    return cases


def feature_case(function: Callable, plain: Callable, mmcv_name: str,
                 features: Tensor, arguments: List[Tensor],
                 libraries: Mapping[str, Call]) -> List[Case]:
    """Compare an operation on features, forward and backward."""
    backward: Dict[str, Call] = {}
    if features.is_cuda:
        original = mmcv_apply(mmcv_name)
        libraries = {'mmcv': partial(original, features, *arguments)}
        backward = {'mmcv': backward_of(original, features, *arguments)}
    sizes = '×'.join(str(size) for size in arguments[0].shape[1:])
    name = (f'{function.__name__} {features.size(2)}→{sizes}, '
            f'{features.size(1)} channels')
    return [
        Case(name, partial(function, features, *arguments),
             partial(plain, features, *arguments), libraries),
        Case(f'{name}, backward', backward_of(function, features, *arguments),
             backward_of(plain, features, *arguments), backward)
    ]


def feature_cases(features: Tensor, indices: Tensor, three: Tensor,
                  weight: Tensor) -> List[Case]:
    """Gather, group and interpolate features.

    Args:
        features (Tensor): (1, C, N).
        indices (Tensor): (1, M, K) int32 neighborhoods.
        three (Tensor): (1, T, 3) int32 nearest sources.
        weight (Tensor): (1, T, 3).

    Returns:
        List[Case]: Forward and backward of the three operations.
    """
    single = indices[..., 0].contiguous()
    array = features[0].cpu().numpy()

    def bag() -> Tensor:
        table = features[0].T.contiguous()
        return embedding_bag(
            three[0].long(), table, mode='sum',
            per_sample_weights=weight[0]).T.contiguous()

    return [
        *feature_case(
            ops.gather_points, torch_gather, 'GatherPoints', features,
            [single],
            {'numpy take': partial(array.take, single[0].cpu(), axis=1)}),
        *feature_case(
            ops.grouping_operation, torch_gather, 'GroupingOperation',
            features, [indices],
            {'numpy take': partial(array.take, indices[0].cpu(), axis=1)}),
        *feature_case(ops.three_interpolate, torch_interpolate,
                      'ThreeInterpolate', features, [three, weight],
                      {'torch embedding_bag': bag})
    ]
