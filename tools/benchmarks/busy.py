"""Seconds of a training step beside processes that keep the cores busy.

    python tools/benchmarks/busy.py \\
        --json docs/results/benchmark_busy.json

Idle threads of OpenMP spin for a while by default, and take the cores from
those that have work. ``import sam3d_plugin`` sets OMP_WAIT_POLICY=PASSIVE
where it is not set, before torch is loaded. Two processes train stage 1 (mini)
on made-up frames, one with each policy, in turns: alone, then beside one and
two processes that spin. Run it on a machine that does nothing else.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmdet3d.utils import register_all_modules

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.store import atomic_write, provenance
from tools.benchmarks import pretraining_ratios as ratios
from tools.benchmarks import pretraining_steps as steps

CONFIG = ROOT / 'configs' / 'sam3d' / 'stage1_synthrooms_mini.py'
REGIONS, POINTS = (40, 60), 4096
POLICIES = ('default', 'PASSIVE')
SPIN = 'while True: pass'
# OpenMP reads its settings when torch is loaded: before ours for 'default'.
SERVE = 'import torch, tools.benchmarks.busy as b; b.serve()'
# Groups of regions would need prepared data.
OPTIONS = {'model.head.loss': dict(_delete_=True, type='DistillLoss')}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--steps', type=int, default=3, help='of a turn')
    parser.add_argument(
        '--spinning',
        type=int,
        nargs='+',
        default=[0, 1, 2],
        help='processes beside the training (default: %(default)s)')
    parser.add_argument('--json', type=Path, help='where to write the figures')
    return parser.parse_args(argv)


def serve() -> None:
    """Train as many steps as each line of the input says; print the time."""
    register_all_modules()
    case = steps.build_case(read_config(str(CONFIG), OPTIONS), 'cpu', 'fp32')
    batch = ratios.make_batch(REGIONS, POINTS,
                              case.model.head.proj.out_features)
    for line in sys.stdin:
        clock, begin = steps.StepClock('cpu'), time.perf_counter()
        for _ in range(int(line)):
            clock.begin()
            steps.train_step(case, batch, clock)
        print('seconds', time.perf_counter() - begin, flush=True)


def start_training(policy: str) -> subprocess.Popen:
    """A process that trains on request, with all cores."""
    environment = {k: v for k, v in os.environ.items() if k[:4] != 'OMP_'}
    if policy != 'default':
        environment['OMP_WAIT_POLICY'] = policy
    return subprocess.Popen([sys.executable, '-c', SERVE],
                            cwd=ROOT,
                            env=environment,
                            stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE,
                            text=True)


def train(process: subprocess.Popen, num_steps: int) -> float:
    """Let a process of :func:`start_training` train.

    Args:
        process (subprocess.Popen): The process.
        num_steps (int): Steps.

    Returns:
        float: Seconds per step.

    Raises:
        RuntimeError: When it has ended; it has printed why.
    """
    assert process.stdin is not None and process.stdout is not None
    print(num_steps, file=process.stdin, flush=True)
    for line in process.stdout:
        if line.startswith('seconds '):
            return float(line.split()[1]) / num_steps
    raise RuntimeError('a training ended early; see its error above')


def measure(args: argparse.Namespace) -> List[Dict[str, Any]]:
    """Train in turns beside each number of spinning processes.

    Returns a row for each number: ``spinning``, and by policy the median,
    least and largest seconds per step.
    """
    rows = []
    with ExitStack() as stack:
        trainings = {p: start_training(p) for p in POLICIES}
        for process in trainings.values():
            stack.callback(process.wait)
            stack.callback(process.kill)
        for process in trainings.values():
            train(process, 1)  # starting up and compiling
        for count in args.spinning:
            with ExitStack() as spinning:
                for _ in range(count):
                    process = subprocess.Popen([sys.executable, '-c', SPIN])
                    spinning.callback(process.wait)
                    spinning.callback(process.kill)
                seconds = [[train(trainings[p], args.steps) for p in POLICIES]
                           for _ in range(args.rounds)]
            row: Dict[str, Any] = dict(spinning=count)
            for policy, values in zip(POLICIES, np.transpose(seconds)):
                row[policy] = dict(
                    median_s=float(np.median(values)),
                    least_s=values.min(),
                    largest_s=values.max())
            print(row, flush=True)
            rows.append(row)
    return rows


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    load = round(os.getloadavg()[0], 1)
    result = dict(
        rows=measure(args),
        config=CONFIG.stem,
        rounds=args.rounds,
        steps=args.steps,
        machine=dict(
            cores=os.cpu_count(),
            load_before=load,
            torch=torch.__version__,
            commit=provenance.commit()))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(args.json, 'w') as file:
            json.dump(result, file, indent=1)
            file.write('\n')


if __name__ == '__main__':
    main()
