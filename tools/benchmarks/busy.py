"""Seconds of a training step beside processes that keep the cores busy.

Idle threads of OpenMP spin for a while by default, and take the cores from
those that have work. With OMP_WAIT_POLICY=PASSIVE they sleep at once, and wait
to be woken hundreds of times in a step. ``import sam3d_plugin`` sets it where
it is not set, before torch is loaded, and GOMP_SPINCOUNT with it, a short
spinning before the sleep. Three processes train stage 1 (mini) on made-up
frames, one with each setting, in turns: alone, then beside one and two
processes that spin. Run it on a machine that does nothing else.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any, Dict, List

from mmdet3d.utils import register_all_modules

from sam3d_plugin import WAITING
from sam3d_plugin.engine.options import read_config
from tools.benchmarks import pretraining_ratios as ratios
from tools.benchmarks import pretraining_steps as steps
from tools.benchmarks.measuring import ROOT

CONFIG = ROOT / 'configs' / 'sam3d' / 'stage1_synthrooms_mini.py'
REGIONS, POINTS = (40, 60), 4096
POLICIES: Dict[str, Dict[str, str]] = dict(
    default={}, passive=dict(OMP_WAIT_POLICY='PASSIVE'), ours=WAITING)
SPIN = 'while True: pass'
# OpenMP reads its settings when torch is loaded: before ours for 'default'.
SERVE = 'import torch, tools.benchmarks.busy as b; b.serve()'
# Groups of regions would need prepared data.
OPTIONS = {'model.head.loss': dict(_delete_=True, type='DistillLoss')}
STEPS = 3  # of a turn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option of this part."""
    parser.add_argument(
        '--spinning',
        type=int,
        nargs='+',
        default=[0, 1, 2],
        help='processes beside the training (default: %(default)s)')


def measure(args: argparse.Namespace) -> Dict[str, Any]:
    """Train in turns beside each number of spinning processes.

    Returns ``rows``: ``spinning``, and by policy the median, least and largest
    seconds per step; ``policies``: the variables that they set.
    """
    rows: List[Dict[str, Any]] = []
    with ExitStack() as stack:
        trainings = {p: _start(stack, p) for p in POLICIES}
        for process in trainings.values():
            train(process, 1)  # starting up and compiling
        for count in args.spinning:
            rows.append(dict(spinning=count))
            with ExitStack() as spinning:
                for _ in range(count):
                    _end_with(spinning,
                              subprocess.Popen([sys.executable, '-c', SPIN]))
                seconds = [[train(trainings[p], STEPS) for p in POLICIES]
                           for _ in range(args.rounds)]
            for policy, values in zip(POLICIES, zip(*seconds)):
                rows[-1][policy] = dict(
                    median_s=statistics.median(values),
                    least_s=min(values),
                    largest_s=max(values))
    return dict(
        rows=rows,
        policies=POLICIES,
        config=CONFIG.stem,
        rounds=args.rounds,
        steps=STEPS)


def serve() -> None:
    """Train as many steps as each line of the input says; print the time."""
    register_all_modules()
    case = steps.build_case(read_config(str(CONFIG), OPTIONS), 'cpu', 'fp32')
    batch = ratios.make_batch(REGIONS, POINTS,
                              case.model.head.proj.out_features)
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            steps.train_step(case, batch)
        print('seconds', time.perf_counter() - begin, flush=True)


def _start(stack: ExitStack, policy: str) -> subprocess.Popen:
    """A process that runs :func:`serve` with all cores, until the stack ends.
    """
    environment = {
        k: v
        for k, v in os.environ.items() if not k.startswith(('OMP_', 'GOMP_'))
    }
    environment.update(POLICIES[policy])
    process = subprocess.Popen([sys.executable, '-c', SERVE],
                               cwd=ROOT,
                               env=environment,
                               stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE,
                               text=True)
    return _end_with(stack, process)


def _end_with(stack: ExitStack, process: subprocess.Popen) -> subprocess.Popen:
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def train(process: subprocess.Popen, num_steps: int) -> float:
    """Seconds per step of a process that serves.

    Args:
        process (subprocess.Popen): The process.
        num_steps (int): Steps to train.

    Returns:
        float: Seconds.

    Raises:
        RuntimeError: When it has ended; it has printed why.
    """
    assert process.stdin is not None and process.stdout is not None
    print(num_steps, file=process.stdin, flush=True)
    for line in process.stdout:
        if line.startswith('seconds '):
            return float(line.split()[1]) / num_steps
    raise RuntimeError('a training ended early; see its error above')
