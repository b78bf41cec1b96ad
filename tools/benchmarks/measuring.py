"""What the benchmarks share: options, times, memory and the result file."""
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
from typing import Any, Callable, Dict, List

import torch

from sam3d_plugin.cli.value_types import device_name, output_file
from sam3d_plugin.experiments import records
from sam3d_plugin.store import provenance

ROOT = Path(__file__).resolve().parents[2]
Call = Callable[[], Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of all benchmarks."""
    parser.add_argument('--json', type=output_file, help='write the figures')
    parser.add_argument(
        '--device', type=device_name, choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--rounds', type=int, default=5, help='timed runs (default: 5)')
    parser.add_argument(
        '--quick', action='store_true', help='small sizes, to try it out')


def load_of_machine() -> float:
    """What else kept the machine busy in the last minute, in cores."""
    return round(os.getloadavg()[0], 1)


def write(figures: Dict[str, Any], args: argparse.Namespace,
          **machine: Any) -> None:
    """Print figures with four digits, and write them where --json says."""
    figures = rounded(figures)
    figures['machine'] = provenance.machine(
        args.device, threads=torch.get_num_threads(), **machine)
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if args.json:
        records.write_record(Path(args.json), figures)


def rounded(value: Any) -> Any:
    """Keep four digits of every number of a record."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f'{value:.4g}') if isinstance(value, float) else value


def run_times(calls: Dict[str, Call],
              device: str = 'cpu',
              rounds: int = 3,
              in_a_row: int = 1,
              clock: Callable[[], float] = time.perf_counter) \
        -> Dict[str, List[float]]:
    """Seconds of calls that take turns, so that a busy moment hits all.

    Each runs once before, which compiles and fills caches. In a turn it runs
    ``in_a_row`` times, since the first finds the caches of others.

    Returns ``rounds * in_a_row`` times by name.
    """

    def run(call: Call) -> float:
        begin = clock()
        call()
        if device == 'cuda':
            torch.cuda.synchronize()
        return clock() - begin

    for call in calls.values():
        run(call)
    times: Dict[str, List[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name] += [run(call) for _ in range(in_a_row)]
    return times


def median_seconds(call: Call, device: str = 'cpu', rounds: int = 3) -> float:
    """Median time of a call, after one to warm up."""
    return statistics.median(run_times({'': call}, device, rounds)[''])


def added_bytes(call: Call, device: str) -> int:
    """By how much one call raises the peak of the memory.

    Of the resident set (VmHWM), on a GPU of the allocated memory.
    """
    # Memory that was freed but kept would hide what the call needs.
    ctypes.CDLL(None).malloc_trim(0)
    reset_peak(device)
    before = torch.cuda.memory_allocated(
    ) if device == 'cuda' else _status_bytes('VmRSS')
    call()
    return max(0, peak_bytes(device) - before)


def reset_peak(device: str) -> None:
    """Let :func:`peak_bytes` begin here."""
    if device == 'cuda':
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    else:
        Path('/proc/self/clear_refs').write_text('5')  # VmHWM back to VmRSS


def peak_bytes(device: str) -> int:
    """Most memory since the reset: of this process, or tensors on the GPU."""
    if device == 'cuda':
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    return _status_bytes('VmHWM')


def _status_bytes(key: str) -> int:
    status = Path('/proc/self/status').read_text()
    return int(status.split(f'{key}:')[1].split()[0]) * 1024


def measure_apart(args: argparse.Namespace, only: str) -> Any:
    """Figures of the same command with ``--only``, in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'figures.json')
        subprocess.run([
            sys.executable,
            str(ROOT / 'tools/benchmark.py'), *args.words, '--only', only,
            '--json',
            str(file)
        ],
                       check=True,
                       stdout=subprocess.DEVNULL)
        return json.loads(file.read_text())[only]
