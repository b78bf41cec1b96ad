"""What gpu_check does: parity, models and benchmark, item by item."""
import argparse
import time
import traceback
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import repeat
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

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


def check(args: argparse.Namespace) -> Dict[str, Any]:
    """Run all parts; the record, which is written after every item."""
    begin = time.monotonic()
    register_all_modules()
    MMLogger.get_instance('mmengine').setLevel('WARNING')
    record: Dict[str, Any] = dict(
        hardware=provenance.hardware(),
        versions=versions(),
        commit=provenance.commit(),
        device=args.device,
        quick=args.quick,
        parts={},
        failed={})
    for name in args.parts:
        run_part(record, name, begin + args.minutes * 60 * PARTS[name][1],
                 args)
    record['seconds'] = round(time.monotonic() - begin, 1)
    records.write_record(Path(args.json), record)
    return record


def parity_items(args: argparse.Namespace) -> Iterator[Item]:
    """One item for each operation."""
    size = 160 if args.quick else 4096
    for name, case in gpu_parity.build_cases(size).items():
        yield name, partial(gpu_parity.check, case, args.device)


def model_items(args: argparse.Namespace) -> Iterator[Item]:
    """One item for each model."""
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
    size = 400 if args.quick else 4096

    def step(device: str, dtype: Optional[torch.dtype]) -> Dict[str, Any]:
        case = gpu_models.build_case(name, args.quick, size)
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
    """Measure training steps on frames made in memory."""
    frames, points, rounds = (2, 512, 1) if args.quick else (64, 20_000,
                                                             args.rounds)
    cfg = gpu_models.load_config(stage, args.quick)
    case = steps.build_case(cfg, args.device, dtype)
    channels = cfg.model.head.get('out_channels') or 1
    batch = make_batch([gpu_models.REGIONS] * frames, points, channels)
    matmul = steps.measure_matmul(args.device, dtype,
                                  256 if args.quick else 8192, 5)
    return dict(
        steps.measure_steps(case, repeat(batch), rounds, matmul),
        frames=frames,
        points=points,
        matmul_tflops=matmul / 1e12)


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
        records.write_record(Path(args.json), record)


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
