"""Time and peak memory of the point operations, and what is built on them.

Compares every operation, at the sizes of VoteNet and GroupFree3D on a made-up
room, with plain torch and with the fastest library found (on a GPU with
mmcv's kernels), and times the tokenizers and the prediction of both detectors
with random weights. Each of these groups runs in a process of its own.

Times are the shortest of several runs; medians are given too. Memory is the
growth of the peak during one call; for the detectors it is the peak of the
whole process, libraries included. On one thread of a CPU, times are those of
the processor, which other programs hardly change.
"""
import argparse
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import torch
from torch import Tensor

from sam3d_plugin import ops
from sam3d_plugin.ops.random_state import seeded
from tools.benchmarks import measuring
from tools.benchmarks import ops_cases as cases

DETECTORS = dict(
    votenet_40k_s=('votenet/votenet_8xb8_scannet-3d.py', 40_000),
    groupfree3d_50k_s=(
        'groupfree3d/groupfree3d_head-L6-O256_4xb8_scannet-seg.py', 50_000))
# Set abstraction of both detectors: centers, radius in meters, neighbors.
LAYERS = ((2048, 0.2, 64), (1024, 0.4, 32), (512, 0.8, 16), (256, 1.2, 16))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option of this part."""
    parser.add_argument(
        '--only', choices=tuple(PARTS), help='one group, in this process')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Figures of all groups, or of one."""
    if args.only:
        return {args.only: PARTS[args.only](args)}
    return {part: measuring.measure_apart(args, part) for part in PARTS}


def sample_room(num_points: int, device: str) -> Dict[str, Tensor]:
    """A scene of a room with furniture, always the same.

    Returns ``xyz`` (1, N, 3) in meters, z up, and ``regions`` (1, N),
    >= 1.
    """
    rng = np.random.default_rng(num_points)
    surface = rng.integers(0, 60, num_points)
    xyz = rng.uniform(0, 1, (num_points, 3)) * [8, 6, 2.5]
    for axis in range(3):
        xyz[surface == axis, axis] = 0
    corners = rng.uniform(0, 1, (60, 3)) * [7, 5, 0]
    stands = surface > 2  # furniture of 1×1×1 m
    xyz[stands] = corners[surface[stands]] + xyz[stands] / [8, 6, 2.5]
    return dict(
        xyz=torch.tensor(xyz, dtype=torch.float32, device=device)[None],
        regions=torch.tensor(surface + 1, device=device)[None])


def build_cases(device: str, is_quick: bool) -> List[cases.Case]:
    """Build all cases, largest first; quick ones are twenty times smaller."""
    shrink = 20 if is_quick else 1
    points, more, few = (
        sample_room(count // shrink, device)['xyz']
        for count in (40_000, 50_000, 20_000))
    found = [cases.sampling_case(more, 2048 // shrink)]
    levels = [points]
    for num_centers, radius, num in LAYERS:
        found.append(cases.sampling_case(points, num_centers // shrink))
        centers = cases.sample(points, num_centers // shrink)
        found.append(cases.ball_case(points, centers, radius, num))
        levels.append(centers)
        points = centers
    _, first, second, third, fourth = levels
    places = cases.sample(few, 512 // shrink)
    # Turned scenes, so that a batch holds different points.
    scenes, targets = (
        torch.cat([tensor, tensor[..., [1, 0, 2]]] * 2)
        for tensor in (few, places))
    found += [
        cases.ball_case(second, fourth, 0.3, 16),
        *(cases.knn_case(few, places, num) for num in (32, 64, 128)),
        cases.knn_case(scenes, targets, 64),
        cases.knn_case(levels[0], second, 32),
        cases.three_nn_case(levels[0][:, :8192 // shrink].contiguous(),
                            second),
        cases.three_nn_case(second, third),
        cases.three_nn_case(third, fourth)
    ]
    boxes = torch.cat([fourth, torch.ones_like(fourth)], -1)
    boxes = torch.nn.functional.pad(boxes, (0, 1))
    found += cases.box_cases(more, boxes)
    features = torch.randn(1, 256, second.size(1), device=device)
    index = ops.ball_query(0, 0.8, 16, second, third)
    distance, three = ops.three_nn(first, second)
    weight = torch.softmax(-distance, -1)
    return found + cases.feature_cases(features, index, three, weight)


def measure_ops(args: argparse.Namespace) -> Dict[str, Any]:
    """Measure every operation.

    Returns results by the name of the operation for its largest case, and by
    name and size for the others.
    """
    results: Dict[str, Any] = {}
    for case in build_cases(args.device, args.quick):
        name, _, size = case.name.partition(' ')
        key = case.name if name in results else name
        results[key] = dict(size=size, **measure_case(case, args))
    return results


def measure_case(case: cases.Case, args: argparse.Namespace) -> Dict[str, Any]:
    """Measure all implementations of a case.

    Returns seconds and megabytes of ours, plain torch and the fastest
    library, None where there is none; and under ``seconds`` of every
    implementation the shortest and the median run.
    """
    calls = {'ours': case.ours, 'torch': case.torch, **case.libraries}
    is_single = args.device == 'cpu' and torch.get_num_threads() == 1
    times = measuring.run_times(
        calls, args.device, args.rounds, 3,
        time.process_time if is_single else time.perf_counter)
    memory = {
        name: measuring.added_bytes(call, args.device) / 1e6
        for name, call in calls.items()
    }
    best = {name: min(runs) for name, runs in times.items()}
    library = min(case.libraries, key=best.__getitem__, default='')
    return dict(
        ours_s=best['ours'],
        torch_s=best['torch'],
        library_s=best.get(library),
        library=library or None,
        ours_mb=memory['ours'],
        torch_mb=memory['torch'],
        library_mb=memory.get(library),
        seconds={
            name: [min(runs), statistics.median(runs)]
            for name, runs in times.items()
        })


def measure_detectors(args: argparse.Namespace) -> Dict[str, Any]:
    """Measure prediction of VoteNet and GroupFree3D, batch 1."""
    shrink = 20 if args.quick else 1
    result: Dict[str, Any] = {}
    for key, (name, num_points) in DETECTORS.items():
        predict = build_detector(name, max(num_points // shrink, 2048),
                                 args.device)
        result[key] = min(
            measuring.run_times({'': predict}, args.device, args.rounds)[''])
    result['peak_memory_gb'] = measuring.peak_bytes(args.device) / 1e9
    return result


def build_detector(name: str, num_points: int,
                   device: str) -> Callable[[], Any]:
    """A call that predicts a scene with one of mmdet3d's own configs."""
    import mmdet3d
    from mmdet3d.registry import MODELS
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    ops.install()
    folder = Path(mmdet3d.__file__).parent / '.mim' / 'configs'
    with seeded(0), DefaultScope.overwrite_default_scope('mmdet3d'):
        model = MODELS.build(Config.fromfile(folder / name).model)
    model.to(device).eval()
    points = sample_room(num_points, device)['xyz'][0]
    if model.backbone.SA_modules[0].mlps[0][0].in_channels == 4:
        height = points[:, 2:] - points[:, 2].min()
        points = torch.cat([points, height], 1)
    scene = Det3DDataSample()
    scene.set_metainfo(dict(box_type_3d=DepthInstance3DBoxes))
    data = dict(inputs=dict(points=[points]), data_samples=[scene])
    return torch.no_grad()(lambda: model.test_step(data))


def measure_tokenizers(args: argparse.Namespace) -> Dict[str, float]:
    """Measure 256 tokens of 20,000 points, and their embedding."""
    from sam3d_plugin.models.backbones import PointPatchEmbed
    from sam3d_plugin.models.tokenizers import KNNTokenizer, SAMTokenizer
    scene = sample_room(2_000 if args.quick else 20_000, args.device)
    embed = PointPatchEmbed().to(args.device).eval()
    result = {}
    for name, tokenizer in (('sam', SAMTokenizer(split=True, num_tokens=256)),
                            ('sam_one_per_region',
                             SAMTokenizer()), ('knn', KNNTokenizer(256, 128))):
        with torch.no_grad():
            tokens = tokenizer(scene['xyz'], scene['regions'])
            times = measuring.run_times(
                {
                    f'{name}_s':
                    lambda: tokenizer(scene['xyz'], scene['regions']),
                    f'{name}_embed_s': lambda: embed(scene['xyz'], tokens)
                }, args.device, args.rounds)
        result.update({key: min(runs) for key, runs in times.items()})
    return result


PARTS: Dict[str, Callable[[argparse.Namespace], Dict[str, Any]]] = dict(
    ops=measure_ops, detectors=measure_detectors, tokenize=measure_tokenizers)
