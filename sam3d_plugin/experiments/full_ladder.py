"""The ladder on one machine with a GPU, as far as it gets in a given time."""
import argparse
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch

from . import arms as ladder_arms
from . import ladder, ladder_results, records, steps

# Those that the ladder compares, with the stand-in's features, the most
# important first. Other methods are the zoo's.
_COMPARED = {
    name
    for entry in ladder_results.COMPARISONS
    for name in entry[:2]
}
ARMS = [
    name for name, arm in ladder_arms.ARMS.items()
    if arm.features == ladder_arms.STAND_IN and name in _COMPARED
]
# By the report that a step ends with.
PREPARATION = {
    'rooms.json':
    'tools/preparation/make_synthrooms.py {rooms} --out {data} '
    '{shared} --report {report}',
    'regions.json':
    'tools/preparation/generate_regions.py --data {data} {shared} '
    '--report {report}',
    'features.json':
    'tools/preparation/extract_features.py --data {data} --encoder standin '
    '{shared} --report {report}',
    'rooms/region_groups/train/report.json':
    'tools/preparation/build_groups.py --data {data} '
    '--infos {data}/scannet_infos_train.pkl {groups}'
}
# Paths, which may have spaces, are put in when words are split.
PLACES = dict(data='{data}', report='{report}')


class Size(NamedTuple):
    """How large everything is."""
    rooms: str  # Options of make_synthrooms.py
    shared: str  # Options of steps that run on many cores
    groups: str  # Options of build_groups.py
    budget: str  # Of the ladder
    length: int  # Of an arm in total: epochs of full, steps of mini
    jobs: int  # Arms at a time: one starts Python while another trains
    probe_points: Optional[int] = None  # Per frame; None is the budget's
    cfg_options: Tuple[str, ...] = ()  # Of all trainings


FULL = Size(
    rooms='--size full',
    shared='',
    groups='',
    budget='full',
    length=10,
    jobs=5,
    cfg_options=('train_dataloader.num_workers=3', ))
TINY = Size(
    rooms='--scenes 4 --frames 2 --image-size 160 120',
    shared='--workers 0',
    groups='--groups 8',
    budget='mini',
    length=4,
    jobs=1,
    probe_points=512,
    cfg_options=('train_dataloader.dataset.pipeline.0.num_points=512', ))


def prepare(work_dir: Path, size: Size) -> Path:
    """Make the rooms with regions, features and groups; return the folder."""
    data = work_dir / 'rooms'
    work_dir.mkdir(parents=True, exist_ok=True)
    steps.run_steps([
        steps.Command(
            steps.command(
                text.format_map(dict(PLACES, **size._asdict())),
                data=data,
                report=work_dir / report), str(work_dir / report))
        for report, text in PREPARATION.items()
    ])
    return data


def ladder_arguments(args: argparse.Namespace, data: Path,
                     size: Size) -> argparse.Namespace:
    """Arguments of tools/experiments/ladder.py."""
    return argparse.Namespace(
        arms=ARMS,
        seeds=args.seeds,
        budget=size.budget,
        length=size.length,
        data_root=str(data.resolve()),
        cfg_options=list(size.cfg_options),
        probe_points=size.probe_points,
        held_out=False,
        device='cuda' if torch.cuda.is_available() else 'cpu',
        work_dir=args.work_dir,
        json=args.json)


def estimate(arm: ladder_arms.Arm, done: Sequence[Dict[str, float]],
             unknown: float) -> float:
    """How long an arm will take.

    Args:
        arm (ladder_arms.Arm): The arm.
        done (Sequence[Dict[str, float]]): ``stage_seconds`` of finished arms.
        unknown (float): Seconds of a stage that none of them has.

    Returns:
        float: Seconds, those of the slowest stages of each kind.
    """
    slowest: Dict[str, float] = {}
    for stages in done:
        for name, seconds in stages.items():
            slowest[name] = max(seconds, slowest.get(name, 0))
    total = sum(slowest.get(name, unknown) for name in (*arm.steps, 'probe'))
    return total * (2 if arm.is_long else 1)


class Schedule:
    """Deals out arms and seeds while there is time for them.

    Args:
        names (Sequence[str]): Arms, the most important first.
        seeds (Sequence[int]): Seeds; an arm has all of them before the next.
        seconds (float): How long everything may take from now on.
    """

    def __init__(self, names: Sequence[str], seeds: Sequence[int],
                 seconds: float) -> None:
        self.waiting = [(name, seed) for name in names for seed in seeds]
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.done: List[Dict[str, float]] = []  # ``stage_seconds``

    def next(self) -> Optional[Tuple[str, int]]:
        """The next arm and seed that fit, None when there are none.

        A stage that no finished arm has counts a sixth of the time.
        """
        left = self.end - time.monotonic()
        while self.waiting:
            name, seed = self.waiting.pop(0)
            needed = estimate(ladder_arms.ARMS[name], self.done,
                              self.seconds / 6)
            if needed <= left:
                return name, seed
            print(
                f'# skipped: {name}, seed {seed} needs about {needed:.0f} s, '
                f'{left:.0f} s are left',
                flush=True)
        return None


def climb(args: argparse.Namespace, schedule: Schedule, jobs: int) -> None:
    """Train and probe what fits, some arms at a time.

    Args:
        args (argparse.Namespace): Of the ladder. Its results are written
            after each arm.
        schedule (Schedule): What is next.
        jobs (int): Arms at a time.
    """
    data = ladder_arms.data_checksums(args.data_root)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                chosen = schedule.next()
                if chosen is None:
                    return
                run = ladder.plan_run(args, *chosen, data)
            ladder.run_arm(run, args)
            with lock:
                result = records.read_json(run.folder / ladder.RESULT)
                schedule.done.append(result['stage_seconds'])
                records.write_record(
                    Path(args.json), ladder.collect(args, data))

    with ThreadPoolExecutor(jobs) as pool:
        others = [pool.submit(work) for _ in range(jobs - 1)]
        work()
        for other in others:
            other.result()


def run(args: argparse.Namespace) -> None:
    """Make the rooms and climb the ladder in the time that is given."""
    size = TINY if args.tiny else FULL
    # Arms share the cores.
    os.environ.setdefault('OMP_NUM_THREADS',
                          str(max(1, (os.cpu_count() or 1) // size.jobs)))
    schedule = Schedule(ARMS, args.seeds, 60 * args.minutes)
    data = prepare(args.work_dir, size)
    climb(ladder_arguments(args, data, size), schedule, size.jobs)
    results = records.read_json(args.json)
    if not results:
        raise SystemExit(f'error: {args.minutes:g} minutes are too short for '
                         'any arm; give more --minutes, or rerun the command')
    print(ladder_results.ladder_table(results))
