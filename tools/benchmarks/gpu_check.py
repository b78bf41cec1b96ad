"""All that only a machine with a GPU can show, in a few minutes.

    python tools/benchmarks/gpu_check.py

compares every operation with the CPU's, mmcv's CUDA kernels included, takes
one training step of every model in float32 and in bfloat16, and measures both
stages of pre-training at 64 x 20,000 points, on data made in memory. Each
result is written at once, so a run that is cut keeps what it has. Exit status
1 means that something failed or was not reached in time.

``--device cpu --tiny`` tries the tool out and names what needs a GPU.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import sys
import time
import traceback
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
# Runs from a checkout that is not installed.
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser  # isort: skip
import torch
from mmdet3d.utils import register_all_modules
from mmengine.logging import MMLogger

from sam3d_plugin.experiments import records
from sam3d_plugin.store import provenance
from tools.benchmarks import gpu_models, gpu_parity
from tools.benchmarks import pretraining_steps as steps
from tools.benchmarks.pretraining_ratios import make_batch

Item = Tuple[str, Callable[[], Dict[str, Any]]]
PACKAGES = ('torch', 'mmcv', 'mmcv-lite', 'mmengine', 'mmdet3d', 'numpy',
            'numba', 'triton')
# Relative, of all losses and the norm of the gradient; of detectors of the
# loss, since another rounding may sample other votes or match other boxes.
TOLERANCE, TOLERANCE_OF_DETECTORS = 0.02, 0.2
FRAMES, POINTS, ROUNDS = 64, 20_000, 5


def parity_items(args: argparse.Namespace) -> Iterator[Item]:
    """One item for each operation."""
    size = 160 if args.tiny else 4096
    for name, case in gpu_parity.build_cases(size).items():
        yield name, partial(gpu_parity.check, case, args.device)


def model_items(args: argparse.Namespace) -> Iterator[Item]:
    """One item for each model and type."""
    for name in gpu_models.CONFIGS:
        yield name, partial(check_model, name, args)


def check_model(name: str, args: argparse.Namespace) -> Dict[str, Any]:
    """Take a step in float32 on both devices, and one in bfloat16.

    Args:
        name (str): One of ``gpu_models.CONFIGS``.
        args (argparse.Namespace): Parsed command line.

    Returns:
        Dict[str, Any]: Losses, differences and what was predicted.

    Raises:
        AssertionError: When the devices differ by more than the tolerance.
    """
    size = 400 if args.tiny else 4096

    def step(device: str, dtype: Optional[torch.dtype]) -> Dict[str, Any]:
        case = gpu_models.build_case(name, args.tiny, size)
        case.model.to(device)
        predicted = gpu_models.predict(case) if case.predicts else {}
        with gpu_models.without_dropout(case.model):
            losses = gpu_models.run_step(case, device, dtype)
        return dict(losses=losses, predicted=predicted)

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        result = {
            key: step(device, None)
            for key, device in (('cpu', 'cpu'), ('fp32', args.device))
        }
    result['bf16'] = step(args.device, torch.bfloat16)
    expected = result['cpu']['losses']
    differences = {
        key: abs(value - expected[key]) / max(abs(expected[key]), 1e-3)
        for key, value in result['fp32']['losses'].items()
    }
    wrong = {k: v for k, v in differences.items() if v > TOLERANCE}
    if 'boxes' in result['cpu']['predicted']:
        wrong = {
            k: v
            for k, v in wrong.items()
            if k == 'loss' and v > TOLERANCE_OF_DETECTORS
        }
    if wrong:
        raise AssertionError(f'losses differ from the CPU by {wrong}, '
                             f'relative; {result}')
    return dict(result, differences=differences)


def benchmark_items(args: argparse.Namespace) -> Iterator[Item]:
    """One item for each stage and type."""
    for stage in ('stage 1', 'stage 2'):
        for dtype in steps.DTYPES:
            run = partial(benchmark, stage, dtype, args)
            yield f'{stage}, {dtype}', run


def benchmark(stage: str, dtype: str,
              args: argparse.Namespace) -> Dict[str, Any]:
    """Measure training steps on frames made in memory.

    Returns the times in ms, memory in GB and rates.
    """
    frames, points, rounds = (2, 512, 1) if args.tiny else (FRAMES, POINTS,
                                                            ROUNDS)
    cfg = gpu_models.load_config(stage, args.tiny)
    case = steps.build_case(cfg, args.device, dtype)
    channels = cfg.model.head.get('out_channels') or 1
    batch = make_batch([gpu_models.REGIONS] * frames, points, channels)
    flops = steps.count_flops(case, batch)
    clock = steps.StepClock(args.device)
    steps.watch(case.model, clock)
    for i in range(rounds + 1):
        if i == 1:  # the first step compiles and allocates
            clock.clear()
            steps.reset_peak_memory(args.device)
        clock.begin()
        steps.train_step(case, batch, clock)
    spent = clock.medians()
    matmul = steps.measure_matmul(args.device, dtype,
                                  256 if args.tiny else 8192, 5)
    seconds = spent['step'] / 1000
    return dict(
        frames=frames,
        points=points,
        parts_ms=spent,
        frames_per_s=frames / seconds,
        peak_memory_gb=steps.peak_memory(args.device),
        tflop=flops / 1e12,
        matmul_tflops=matmul / 1e12,
        matmul_share=flops / seconds / matmul)


# With the share of the time after which no item of the part begins.
PARTS: Dict[str, Tuple[Callable, float]] = dict(
    parity=(parity_items, 0.3),
    models=(model_items, 0.75),
    benchmark=(benchmark_items, 1.))


def run_part(record: Dict[str, Any], name: str, deadline: float,
             args: argparse.Namespace) -> None:
    """Run the items of a part, each of which may fail."""
    part: Dict[str, Any] = dict(seconds=0., items={}, unfinished=[])
    record['parts'][name] = part
    begin = time.monotonic()
    for item, run in attempt(record, name, lambda: list(PARTS[name][0](args))):
        if time.monotonic() > deadline:
            part['unfinished'].append(item)
            continue
        key = f'{name}: {item}'
        part['items'][item] = attempt(record, key, run)
        part['seconds'] = round(time.monotonic() - begin, 1)
        outcome = 'FAILED' if key in record['failed'] else 'ok'
        print(f'{key}: {outcome}', flush=True)
        records.write_record(args.out, record)


def attempt(record: Dict[str, Any], name: str, run: Callable) -> Any:
    """Run something; an error is recorded, and the next may work."""
    try:
        return run()
    except Exception:  # noqa: BLE001
        record['failed'][name] = traceback.format_exc(limit=-3)
        return {}


def versions() -> Dict[str, str]:
    """Versions of the packages that results depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            pass
    return found


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cuda')
    parser.add_argument(
        '--tiny', action='store_true', help='small models and sizes')
    parser.add_argument(
        '--minutes', type=float, default=4., help='after which no item begins')
    parser.add_argument(
        '--out', type=Path, default=ROOT / 'docs/results/gpu_check.json')
    parser.add_argument(
        '--parts', nargs='+', choices=tuple(PARTS), default=list(PARTS))
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU; use --device cpu --tiny to try the '
                     'tool out')
    return args


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run all parts."""
    args = parse_args(argv)
    begin = time.monotonic()
    register_all_modules()
    MMLogger.get_instance('mmengine').setLevel('WARNING')
    record: Dict[str, Any] = dict(
        hardware=provenance.hardware(),
        versions=versions(),
        commit=provenance.commit(),
        device=args.device,
        tiny=args.tiny,
        parts={},
        failed={})
    for name in args.parts:
        run_part(record, name, begin + args.minutes * 60 * PARTS[name][1],
                 args)
    record['seconds'] = round(time.monotonic() - begin, 1)
    records.write_record(args.out, record)
    unfinished = [
        item for part in record['parts'].values()
        for item in part['unfinished']
    ]
    for name, error in record['failed'].items():
        print(f'FAILED {name}: {error.splitlines()[-1]}', file=sys.stderr)
    if unfinished:
        print(
            f'not reached in time: {", ".join(unfinished)}; raise --minutes',
            file=sys.stderr)
    print(f'results: {args.out}')
    return 1 if record['failed'] or unfinished else 0


if __name__ == '__main__':
    sys.exit(main())
