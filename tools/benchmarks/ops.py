"""Time and peak memory of the point operations, and what is built on them.

``python tools/benchmarks/ops.py --json FILE`` compares every
operation, at the sizes of VoteNet and GroupFree3D, with plain torch and with
the fastest library found (on ``--device cuda`` with mmcv's kernels), and
times the tokenizers and prediction of both detectors with random weights.
Each of these parts runs in a process of its own.

Times are the shortest of several runs; medians are in the JSON. Memory is the
growth of the peak resident set (VmHWM of /proc/self/status) during one call;
on a GPU, of the allocated memory. For the detectors it is the peak of the
whole process, libraries included.

Scenes are the real scan of ../shared/data/scannet_scene0000 when it is there,
else a generated room; the JSON says which.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
# Lets a script started as a file find the tool beside it.
sys.path.insert(0, str(ROOT))

from sam3d_plugin import ops
from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.store import provenance
from tools.benchmarks import ops_cases as cases

SCAN = (
    ROOT.parent / 'shared' / 'data' / 'scannet_scene0000' /
    'scene0000_00_labelled.npz')
VOTENET = 'votenet/votenet_8xb8_scannet-3d.py'
GROUPFREE3D = 'groupfree3d/groupfree3d_head-L6-O256_4xb8_scannet-seg.py'
# Set abstraction of both detectors: centres, radius in metres, neighbours.
LAYERS = ((2048, 0.2, 64), (1024, 0.4, 32), (512, 0.8, 16), (256, 1.2, 16))
# Implementations take turns, so that a busy moment hits all of them. In a turn
# each runs several times: the first run finds the caches of another.
RUNS_IN_A_ROW = 3


def load_room() -> Dict[str, np.ndarray]:
    """Return xyz (N, 3) in metres, z up, and a region id per point (N,)."""
    if SCAN.exists():
        scan = np.load(SCAN)
        return dict(
            xyz=scan['xyz_aligned'].astype(np.float32),
            regions=scan['sam3d_ensemble_group'].astype(np.int64) + 1)
    rng = np.random.default_rng(0)
    surface = rng.integers(0, 60, 80_000)
    xyz = rng.uniform(0, 1, (len(surface), 3)) * [8, 6, 2.5]
    for axis in range(3):
        xyz[surface == axis, axis] = 0
    corners = rng.uniform(0, 1, (60, 3)) * [7, 5, 0]
    stands = surface > 2  # furniture of 1×1×1 m
    xyz[stands] = corners[surface[stands]] + xyz[stands] / [8, 6, 2.5]
    return dict(xyz=xyz.astype(np.float32), regions=surface + 1)


def sample_room(room: Dict[str, np.ndarray], num_points: int,
                device: str) -> Dict[str, Tensor]:
    """Return a batch of one scene with some points, always the same."""
    rng = np.random.default_rng(num_points)
    chosen = rng.permutation(len(room['xyz']))[:num_points]
    return {
        key: torch.tensor(array[chosen], device=device)[None]
        for key, array in room.items()
    }


def build_cases(device: str, is_quick: bool) -> List[cases.Case]:
    """Build all cases, largest first."""
    shrink = 20 if is_quick else 1
    room = load_room()
    points = sample_room(room, 40_000 // shrink, device)['xyz']
    more = sample_room(room, 50_000 // shrink, device)['xyz']
    found = [cases.sampling_case(more, 2048 // shrink)]
    levels = [points]
    for num_centers, radius, num in LAYERS:
        found.append(cases.sampling_case(points, num_centers // shrink))
        chosen = ops.furthest_point_sample(points, num_centers // shrink)
        centers = points[:, chosen[0].long()].contiguous()
        found.append(cases.ball_case(points, centers, radius, num))
        levels.append(centers)
        points = centers
    _, first, second, third, fourth = levels
    few = sample_room(room, 20_000 // shrink, device)['xyz']
    chosen = ops.furthest_point_sample(few, 512 // shrink)
    places = few[:, chosen[0].long()].contiguous()
    # Turned scenes, so that a batch holds different points.
    scenes, targets = (
        torch.cat([tensor, tensor[..., [1, 0, 2]]] * 2)
        for tensor in (few, places))
    found += [
        cases.ball_case(second, fourth, 0.3, 16),
        cases.knn_case(few, places, 32),
        cases.knn_case(few, places, 64),
        cases.knn_case(few, places, 128),
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


def choose_clock(device: str) -> Callable[[], float]:
    """Return the process's own time where it is that of one thread.

    Other programs then hardly change what is measured.
    """
    is_single = device == 'cpu' and torch.get_num_threads() == 1
    return time.process_time if is_single else time.perf_counter


def run_once(call: cases.Call, device: str) -> float:
    """Return the seconds of one call."""
    clock = choose_clock(device)
    start = clock()
    call()
    if device == 'cuda':
        torch.cuda.synchronize()
    return clock() - start


def resident_bytes(key: str) -> int:
    """Return a size of /proc/self/status, such as VmRSS or VmHWM."""
    status = Path('/proc/self/status').read_text()
    line = next(line for line in status.splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def added_bytes(call: cases.Call, device: str) -> int:
    """Return by how much one call raises the peak of the memory."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    # Memory that was freed but kept would hide what the call needs.
    ctypes.CDLL(None).malloc_trim(0)
    Path('/proc/self/clear_refs').write_text('5')  # VmHWM back to VmRSS
    before = resident_bytes('VmRSS')
    call()
    return max(0, resident_bytes('VmHWM') - before)


def measure_case(case: cases.Case, device: str, repeat: int) -> dict:
    """Measure all implementations of a case.

    Args:
        case (cases.Case): What to measure.
        device (str): ``cpu`` or ``cuda``.
        repeat (int): Number of turns.

    Returns:
        dict: Seconds and megabytes of ours, plain torch and the fastest
        library, None where there is no library; and under ``seconds`` of
        every implementation the shortest and the median run.
    """
    calls = {'ours': case.ours, 'torch': case.torch, **case.libraries}
    times: Dict[str, List[float]] = {name: [] for name in calls}
    memory = {}
    for name, call in calls.items():
        call()  # compiles, fills caches
        memory[name] = added_bytes(call, device) / 1e6
    for _ in range(repeat):
        for name, call in calls.items():
            for _ in range(RUNS_IN_A_ROW):
                times[name].append(run_once(call, device))
    best = {name: min(runs) for name, runs in times.items()}
    library = min(case.libraries, key=best.__getitem__, default=None)
    return dict(
        ours_s=best['ours'],
        torch_s=best['torch'],
        library_s=None if library is None else best[library],
        library=library,
        ours_mb=memory['ours'],
        torch_mb=memory['torch'],
        library_mb=None if library is None else memory[library],
        seconds={
            name: [min(runs), statistics.median(runs)]
            for name, runs in times.items()
        })


def measure_ops(device: str, repeat: int, is_quick: bool) -> dict:
    """Measure every operation.

    Args:
        device (str): ``cpu`` or ``cuda``.
        repeat (int): Number of timed runs.
        is_quick (bool): Whether to shrink all sizes twenty times.

    Returns:
        dict: Results by the name of the operation for its largest case, and
        by name and size for the others.
    """
    results: Dict[str, dict] = {}
    for case in build_cases(device, is_quick):
        name, _, size = case.name.partition(' ')
        key = case.name if name in results else name
        results[key] = dict(size=size, **measure_case(case, device, repeat))
    return results


def build_detector(name: str, num_points: int,
                   device: str) -> Callable[[], Any]:
    """Build one of mmdet3d's detectors and a scene for it."""
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
    points = sample_room(load_room(), num_points, device)['xyz'][0]
    if model.backbone.SA_modules[0].mlps[0][0].in_channels == 4:
        height = points[:, 2:] - points[:, 2].min()
        points = torch.cat([points, height], 1)
    scene = Det3DDataSample()
    scene.set_metainfo(dict(box_type_3d=DepthInstance3DBoxes))
    data = dict(inputs=dict(points=[points]), data_samples=[scene])
    return lambda: model.test_step(data)


def measure_detectors(device: str, repeat: int, is_quick: bool) -> dict:
    """Measure prediction of VoteNet and GroupFree3D, batch 1."""
    shrink = 20 if is_quick else 1
    result: Dict[str, Any] = {}
    for key, name, num_points in (('votenet_40k_s', VOTENET, 40_000),
                                  ('groupfree3d_50k_s', GROUPFREE3D, 50_000)):
        predict = build_detector(name, max(num_points // shrink, 2048), device)
        with torch.no_grad():
            predict()
            result[key] = min(run_once(predict, device) for _ in range(repeat))
    result['peak_memory_gb'] = (torch.cuda.max_memory_allocated() if device
                                == 'cuda' else resident_bytes('VmHWM')) / 1e9
    return result


def measure_tokenizers(device: str, repeat: int, is_quick: bool) -> dict:
    """Measure 256 tokens of 20,000 points, and their embedding."""
    from sam3d_plugin.models.backbones import PointPatchEmbed
    from sam3d_plugin.models.tokenizers import KNNTokenizer, SAMTokenizer
    scene = sample_room(load_room(), 2_000 if is_quick else 20_000, device)
    embed = PointPatchEmbed().to(device).eval()
    result = {}
    for name, tokenizer in (('sam', SAMTokenizer(split=True, num_tokens=256)),
                            ('sam_one_per_region',
                             SAMTokenizer()), ('knn', KNNTokenizer(256, 128))):
        with torch.no_grad():
            tokens = tokenizer(scene['xyz'], scene['regions'])
            calls = {
                f'{name}_s':
                lambda t=tokenizer: t(scene['xyz'], scene['regions']),
                f'{name}_embed_s': lambda t=tokens: embed(scene['xyz'], t)
            }
            for key, call in calls.items():
                call()
                result[key] = min(
                    run_once(call, device) for _ in range(repeat))
    return result


PARTS: Dict[str, Callable[[str, int, bool], dict]] = dict(
    ops=measure_ops, detectors=measure_detectors, tokenize=measure_tokenizers)


def run_part(part: str, args: argparse.Namespace) -> dict:
    """Measure one part in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'part.json'
        command = [
            sys.executable, __file__, '--only', part, '--json',
            str(file), '--device', args.device, '--repeat',
            str(args.repeat)
        ] + ['--quick'] * args.quick
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(file.read_text())[part]


WHO = ('ours', 'torch', 'library')


def print_table(result: dict) -> None:
    """Print what was measured."""

    def cell(value: Optional[float], factor: float) -> str:
        return '–' if value is None else f'{value * factor:.4g}'

    if 'ops' in result:
        print(f'{"operation":55}{"ours":>9}{"torch":>9}{"library":>9} ms'
              f'{"ours":>9}{"torch":>9}{"library":>9} MB  best library')
    for name, entry in result.get('ops', {}).items():
        times = [cell(entry[f'{who}_s'], 1e3) for who in WHO]
        sizes = [cell(entry[f'{who}_mb'], 1) for who in WHO]
        print(f'{name.split()[0] + " " + entry["size"]:55}' +
              ''.join(f'{text:>9}' for text in times) + '   ' +
              ''.join(f'{text:>9}'
                      for text in sizes) + f'     {entry["library"] or "–"}')
    for part in ('detectors', 'tokenize', 'machine'):
        for key, value in result.get(part, {}).items():
            text = f'{value:.4g}' if isinstance(value, float) else value
            print(f'{part} {key}: {text}')


def main(argv: Optional[List[str]] = None) -> None:
    """Run the benchmark."""
    parser = ToolParser(__doc__.split('\n')[0])
    parser.add_argument('--json', type=Path, help='file for the results')
    parser.add_argument(
        '--repeat', type=int, default=5, help='turns of timed runs')
    parser.add_argument(
        '--quick', action='store_true', help='small scenes, to try it out')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--only', choices=tuple(PARTS), help='run one part, in this process')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU; leave --device out')
    if args.only:
        part = PARTS[args.only](args.device, args.repeat, args.quick)
        result = {args.only: part}
    else:
        result = {part: run_part(part, args) for part in PARTS}
    result['machine'] = provenance.machine(
        args.device,
        threads=torch.get_num_threads(),
        clock=choose_clock(args.device).__name__,
        load_before=round(os.getloadavg()[0], 1),
        scan='scene0000_00' if SCAN.exists() else 'generated room')
    print_table(result)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
    main()
