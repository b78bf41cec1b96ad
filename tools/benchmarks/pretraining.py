"""Time, memory and arithmetic of pre-training's steps.

    python tools/benchmarks/pretraining.py \\
        --json docs/results/benchmark_pretraining.json

trains both stages on SAM and on kNN tokens, in fp32 and bf16, for a few steps
on a prepared data set (data/synthrooms; --data), the teacher of stage 2 with
random weights, and splits the time of a step. A CPU takes the mini configs
and some steps of --full-batch frames of 20,000 points, a GPU the full ones,
64 x 20,000 points. Every step is a real one: loader, forward, backward,
optimizer.

Two comparisons on made-up frames follow: mixed numbers of regions against
equal ones, and the student's encoder with and without masking. The end says
which targets are met. The share of the matmul rate is the arithmetic of the
matrix products over the time of the step, as part of what one large product
in the same type reaches on this machine.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from mmdet3d.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.store import provenance
from tools.benchmarks import pretraining_ratios as ratios
from tools.benchmarks import pretraining_steps as steps

CONFIGS = ROOT / 'configs' / 'sam3d'
BUDGETS: Dict[str, Dict[str, Any]] = dict(
    mini=dict(suffix='_mini', tokens=64, neighbors=64),
    full=dict(suffix='', tokens=256, neighbors=128))
MATMUL_SIZE = dict(cpu=1024, cuda=8192)
# Asked of the full size on a GPU.
MOST_MEMORY_GB, MOST_WAITING = 24., 0.05
FULL_BATCH = 64
# Frames of a step at full size, on a machine of a mini budget.
CPU_BATCH = 4


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line; what is left out follows from the others."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--config', nargs='+', help='instead of the two stages')
    parser.add_argument('--data', default='data/synthrooms')
    parser.add_argument('--device', choices=tuple(MATMUL_SIZE))
    parser.add_argument('--budget', choices=tuple(BUDGETS))
    parser.add_argument(
        '--dtype',
        nargs='+',
        choices=tuple(steps.DTYPES),
        default=list(steps.DTYPES))
    parser.add_argument('--batch-size', type=int)
    parser.add_argument('--points', type=int, help='of a frame')
    parser.add_argument('--workers', type=int, help='default: the config')
    parser.add_argument('--steps', type=int, default=5, help='measured')
    parser.add_argument('--json', type=Path, help='where to write the figures')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU; leave --device out')
    if args.device is None:
        args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if args.budget is None:
        args.budget = 'full' if args.device == 'cuda' else 'mini'
    return args


def load_configs(args: argparse.Namespace, budget: str) -> List[Config]:
    """Read the configs to measure."""
    suffix = BUDGETS[budget]['suffix']
    names = args.config or [
        str(CONFIGS / f'stage{stage}_synthrooms{suffix}.py')
        for stage in (1, 2)
    ]
    root = args.data.rstrip('/') + '/'
    return [read_config(name, dict(data_root=root)) for name in names]


def with_knn(cfg: Config, budget: str) -> Config:
    """The config with kNN tokens."""
    cfg = Config(cfg.to_dict())
    size = BUDGETS[budget]
    cfg.model.backbone.tokenizer = dict(
        type='KNNTokenizer',
        num_tokens=size['tokens'],
        num_neighbors=size['neighbors'])
    return cfg


def measure_config(cfg: Config, args: argparse.Namespace, num_points: int,
                   batch_size: int,
                   matmul: Dict[str, float]) -> Iterator[Dict[str, Any]]:
    """Train some steps in every type."""
    workers = args.workers
    if workers is None:
        workers = min(cfg.train_dataloader.num_workers, os.cpu_count() or 1)
        workers = workers if args.device == 'cuda' else 0
    loader = steps.build_loader(cfg, num_points, batch_size, workers)
    batches = iter(loader)
    flops = None
    for dtype in args.dtype:
        case = steps.build_case(cfg, args.device, dtype,
                                loader.dataset.metainfo)
        if flops is None:
            flops = steps.count_flops(case, next(batches))
        yield dict(
            stage=steps.stage_of(cfg),
            tokenizer=case.model.backbone.tokenizer.summary(),
            dtype=dtype,
            batch_size=batch_size,
            points=num_points,
            workers=workers,
            **measure_steps(case, batches, args.steps, batch_size, flops,
                            matmul[dtype]))


def measure_steps(case: steps.Case, batches: Iterator[Any], count: int,
                  batch_size: int, flops: int,
                  matmul: float) -> Dict[str, Any]:
    """Train some steps, after one that is not measured.

    Args:
        case (steps.Case): What is trained.
        batches (Iterator[Any]): Of the loader.
        count (int): Steps to measure.
        batch_size (int): Frames of a batch.
        flops (int): Floating point operations of a step.
        matmul (float): The machine's, per second.

    Returns:
        Dict[str, Any]: Speed, times, memory and arithmetic.
    """
    clock = steps.StepClock(case.device)
    steps.watch(case.model, clock)
    for i in range(count + 1):
        if i == 1:
            clock.clear()
            steps.reset_peak_memory(case.device)
        clock.begin()
        steps.train_step(case, next(batches), clock)
    spent = clock.medians()
    seconds = spent['step'] / 1000
    return dict(
        samples_per_s=batch_size / seconds,
        step_ms=spent.pop('step'),
        parts_ms=spent,
        peak_memory_gb=steps.peak_memory(case.device),
        tflop=flops / 1e12,
        matmul_floor_ms=flops / matmul * 1000,
        matmul_share=flops / seconds / matmul)


def frame_size(cfg: Config, args: argparse.Namespace) -> Tuple[int, int]:
    """Points of a frame and frames of a batch."""
    return (args.points or steps.points_of(cfg), args.batch_size
            or cfg.train_dataloader.batch_size)


def measure_rows(args: argparse.Namespace,
                 matmul: Dict[str, float]) -> List[Dict[str, Any]]:
    """Measure stages, tokenizers and types, one after the other."""
    cases = []
    for cfg in load_configs(args, args.budget):
        size = frame_size(cfg, args)
        cases += [(cfg, *size), (with_knn(cfg, args.budget), *size)]
    if args.budget == 'mini' and not args.config:
        for cfg in load_configs(args, 'full'):
            cases.append((cfg, steps.points_of(cfg), CPU_BATCH))
    rows = []
    for cfg, num_points, frames in cases:
        for row in measure_config(cfg, args, num_points, frames, matmul):
            print(describe(row), flush=True)
            rows.append(row)
    return rows


def describe(row: Dict[str, Any]) -> str:
    """One line on a row."""
    parts = ' '.join(f'{part} {value:.1f}'
                     for part, value in row['parts_ms'].items())
    return (f'{row["stage"]}, {row["tokenizer"]}, {row["dtype"]}, '
            f'{row["batch_size"]} x {row["points"]:,}: '
            f'{row["samples_per_s"]:.1f} frames/s, step '
            f'{row["step_ms"]:.0f} ms ({parts}), {row["peak_memory_gb"]:.2f} '
            f'GB, {row["matmul_share"]:.0%} of the matmul rate')


def measure_ratios(args: argparse.Namespace) -> Dict[str, Any]:
    """Measure what padding costs and masking saves.

    Returns ``padding`` per stage, ``masking`` of stage 2.
    """
    result: Dict[str, Any] = dict(padding=[], masking=None)
    for cfg in load_configs(args, args.budget):
        points, frames = frame_size(cfg, args)
        # Every region keeps the points that a token needs at least.
        most = max(min(ratios.MOST, points // 16), 2)
        counts = ratios.mixed_counts(
            args.batch_size or max(frames, ratios.FRAMES),
            min(ratios.FEWEST, most // 2), most)
        options = (cfg, counts, points, args.device, args.dtype[0],
                   args.steps * 2)
        result['padding'].append(ratios.measure_padding(*options))
        if 'mask_ratio' in cfg.model:
            result['masking'] = ratios.measure_masking(*options)
    return result


def full_size_verdicts(rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Hold stage 1 at full size on a GPU against what is asked of it."""
    found = []
    for row in rows:
        if row['stage'] == 'stage 1' and row['batch_size'] >= FULL_BATCH:
            name = f'stage 1, {row["tokenizer"]}, {row["dtype"]}'
            waiting = row['parts_ms']['data'] / row['step_ms']
            found += [
                ratios.verdict(f'{name}: GB', row['peak_memory_gb'],
                               MOST_MEMORY_GB),
                ratios.verdict(
                    f'{name}: share of the step that waits for '
                    'data', waiting, MOST_WAITING)
            ]
    return found


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Measure what the command line asks for."""
    machine = provenance.machine(
        args.device,
        threads=torch.get_num_threads(),
        load_before=round(os.getloadavg()[0], 1))
    matmul = {
        dtype:
        steps.measure_matmul(args.device, dtype, MATMUL_SIZE[args.device], 10)
        for dtype in args.dtype
    }
    rows = measure_rows(args, matmul)
    compared = measure_ratios(args)
    targets = full_size_verdicts(rows) if args.device == 'cuda' else []
    if compared['masking'] is not None:
        targets += ratios.verdicts(compared['padding'], compared['masking'])
    return dict(
        rows=rows,
        matmul_tflops={
            dtype: rate / 1e12
            for dtype, rate in matmul.items()
        },
        **compared,
        targets=targets,
        machine=machine)


def rounded(value: Any) -> Any:
    """Keep four digits of every number of a record.

    Returns the same with shorter numbers.
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f'{value:.4g}') if isinstance(value, float) else value


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    register_all_modules(init_default_scope=False)
    MMLogger.get_instance('mmengine', log_level='WARNING')
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        record = rounded(measure(args))
    for target in record['targets']:
        is_met = 'met' if target['met'] else 'MISSED'
        print(f'{is_met}: {target["name"]} {target["measured"]:.3g} '
              f'(at most {target["limit"]:g})')
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    main()
