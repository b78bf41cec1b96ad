"""Time and peak memory of detectors and segmentors, and of generalised IoU.

    python tools/benchmarks/downstream.py --data data/NAME \\
        --json docs/results/benchmark_downstream.json

Takes the first scene of a prepared data set through the pipeline of every
config, with random weights, and measures a training step (forward, backward,
optimizer) and a prediction. Times are medians after one warm-up. Memory is
the growth of the peak resident set (VmHWM) during one call, on a GPU of the
allocated memory. Every config runs in a process of its own. For 3DETR,
``assignment`` is its Hungarian assignment with all costs, and ``set_losses``
the rest of its losses, forward only, of the same step. A segmentor predicts
the whole scan, in samples and with votes as its config says.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch
from mmengine.config import DictAction

ROOT = Path(__file__).resolve().parents[2]
# Lets a script started as a file find the tools beside it.
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.ops import pairwise_giou_3d
from sam3d_plugin.ops.random_state import seeded
from sam3d_plugin.store import provenance
from tools.benchmarks import giou_pairs
from tools.benchmarks import ops as benchmark_ops

CONFIGS = ('votenet_scannet', 'votenet_scannet_pointnet2',
           'groupfree3d_scannet', 'groupfree3d_scannet_pointnet2',
           'three_detr_scannet', 'three_detr_scannet_vanilla',
           'three_detr_m_scannet', 'segmentor_scannet', 'votenet_scannet_mini',
           'groupfree3d_scannet_mini', 'three_detr_scannet_mini',
           'segmentor_scannet_mini')
# Scenes, queries and true boxes of the comparison, and how many of the pairs
# plain Python computes.
GIOU_SIZES = (8, 256, 64)
PYTHON_PAIRS = 4096


def median_seconds(call: Callable[[], Any], device: str, repeat: int) -> float:
    """Median time of a call.

    Returns seconds.
    """
    call()
    return statistics.median(
        benchmark_ops.run_once(call, device) for _ in range(repeat))


def measure_giou(device: str, repeat: int) -> Dict[str, float]:
    """Compare the vectorised generalised IoU with a loop over pairs.

    Returns the seconds of both and their ratio; Python's are scaled up from
    ``PYTHON_PAIRS`` pairs.
    """
    scenes, queries, boxes = GIOU_SIZES
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> torch.Tensor:
        drawn = torch.rand(scenes, count, 7, generator=generator)
        return drawn * torch.tensor([4., 4, 2, 2, 2, 1, 6.28])

    first, second = draw(queries), draw(boxes)
    rows = first[0].tolist(), second[0].tolist()
    pairs = [(a, b) for a in rows[0] for b in rows[1]][:PYTHON_PAIRS]
    begin = time.perf_counter()
    for a, b in pairs:
        giou_pairs.giou_of_pair(a, b)
    slow = (time.perf_counter() - begin) / len(pairs)
    slow *= scenes * queries * boxes
    first, second = first.to(device), second.to(device)
    fast = median_seconds(lambda: pairwise_giou_3d(first, second), device,
                          repeat)
    return dict(
        vectorised_s=fast, python_loop_s=slow, speedup=round(slow / fast, 1))


def load_model(name: str, data: str, options: Dict[str, Any], device: str,
               batch_size: int) -> Dict[str, Any]:
    """Build a model and its batches.

    Returns ``model``, ``optimizer``, ``train`` and ``val`` batches.
    """
    from mmdet3d.registry import MODELS
    from mmdet3d.utils import register_all_modules
    from mmengine.optim import build_optim_wrapper
    from mmengine.runner import Runner

    from sam3d_plugin.engine.options import read_config
    register_all_modules()
    cfg = read_config(
        str(ROOT / 'configs' / 'sam3d' / f'{name}.py'),
        dict(options, data_root=data))
    with seeded(0):
        model = MODELS.build(cfg.model)
        model.init_weights()
    batches = {}
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.batch_size = batch_size if split == 'train' else 1
        batches[split] = next(iter(Runner.build_dataloader(loader, seed=0)))
    model.to(device)
    return dict(
        batches,
        model=model,
        optimizer=build_optim_wrapper(model, cfg.optim_wrapper))


def measure_config(args: argparse.Namespace) -> Dict[str, Any]:
    """Measure one config in this process.

    Returns the seconds and megabytes.
    """
    parts = load_model(args.only, args.data, args.cfg_options, args.device,
                       args.batch_size)
    model, optimizer = parts['model'], parts['optimizer']

    def step() -> None:
        model.train_step(parts['train'], optimizer)

    def predict() -> None:
        with torch.no_grad():
            model.val_step(parts['val'])

    result: Dict[str, Any] = {}
    for name, call in (('train', step), ('predict', predict)):
        model.train(name == 'train')
        seconds = median_seconds(call, args.device, args.repeat)
        peak = benchmark_ops.added_bytes(call, args.device) / 2**20
        result.update({f'{name}_s': seconds, f'{name}_mb': round(peak)})
    points = parts['val']['inputs']['points'][0]
    result.update(points=len(points), scenes_per_step=args.batch_size)
    if hasattr(getattr(model, 'bbox_head', None), 'assigner'):
        result.update(measure_set_losses(parts, args.device, args.repeat))
    return result


def measure_set_losses(parts: Dict[str, Any], device: str,
                       repeat: int) -> Dict[str, float]:
    """Time the assignment and the losses of 3DETR.

    Returns ``assignment_s`` and ``set_losses_s``.
    """
    model = parts['model'].train()
    head = model.bbox_head
    data = model.data_preprocessor(parts['train'], True)
    caught: List[tuple] = []
    original = head.loss_by_feat

    def catch(*inputs: Any) -> Dict[str, torch.Tensor]:
        caught.append(inputs)
        return original(*inputs)

    head.loss_by_feat = catch
    model(**data, mode='loss')
    head.loss_by_feat = original
    inputs = caught[0]
    assignment = median_seconds(lambda: head._assign(*inputs), device, repeat)
    both = median_seconds(lambda: original(*inputs), device, repeat)
    return dict(assignment_s=assignment, set_losses_s=both - assignment)


def run_config(name: str, args: argparse.Namespace) -> Dict[str, Any]:
    """Measure one config in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'result.json'
        command = [
            sys.executable, __file__, '--only', name, '--json',
            str(file), '--data', args.data, '--device', args.device,
            '--repeat',
            str(args.repeat), '--batch-size',
            str(args.batch_size)
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(file.read_text())


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--data', required=True, help='prepared data set')
    parser.add_argument('--batch-size', type=int, default=1)
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='what to change in the config of --only')
    parser.add_argument('--only', help='measure one config in this process')
    parser.add_argument('--json', type=Path, help='where to write the figures')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU; leave --device out')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    if args.only:
        result = measure_config(args)
    else:
        result = dict(
            giou=measure_giou(args.device, args.repeat),
            configs={name: run_config(name, args)
                     for name in CONFIGS},
            machine=provenance.machine(
                args.device, threads=torch.get_num_threads(), data=args.data))
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
