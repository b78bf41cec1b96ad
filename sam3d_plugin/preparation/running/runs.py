"""Runs an offline step over many scans: resumable, sharded, in parallel."""
import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Dict, Iterator, List, Optional

from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeRemainingColumn)

from ...store.errors import FrameError, StoreError, naming
from ...store.files import BackendArgs, PathLike, write_bytes
from ...store.manifest import Store
from ...store.shards import Shard
from . import workers
from .frame_steps import FrameStep
from .scan_jobs import ScanJob

# Skipped items that the summary names; the manifest has all.
_NAMED = 20


@dataclass(frozen=True)
class RunOptions:
    """Options of a run, which do not change any result."""
    shard: Shard = Shard()  # Part of the scans that this process works on
    # Processes; 0 works in this one, None takes one for each core
    workers: Optional[int] = None
    backend_args: BackendArgs = None  # Arguments of the store's backend
    report: Optional[str] = None  # JSON file for the :class:`RunReport`
    # Whether a run that can make nothing is an error, as it is for a tool
    must_make: bool = False


@dataclass
class RunReport:
    """Report on a run."""
    scans: int = 0  # Scans of the shard
    made: int = 0  # Items made
    kept: int = 0  # Items that were finished before
    # Reasons, by ``scan/item`` or scan
    skipped: Dict[str, str] = field(default_factory=dict)
    # Reasons of frames that scans were made without, by ``scan/frame``
    skipped_frames: Dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # Duration


def run_step(step: FrameStep,
             out: PathLike,
             options: RunOptions = RunOptions(),
             console: Optional[Console] = None) -> RunReport:
    """Run a step over its scans; finished items are kept.

    Args:
        step (FrameStep): What to do.
        out (PathLike): Folder of the store.
        options (RunOptions): Shard, workers, backend.
        console (Optional[Console]): Where to say what was done; shows the
            progress too if it is a terminal and CI is not set.

    Returns:
        RunReport: Counts, and the reason of every skipped item.

    Raises:
        StoreError: When the run cannot start or resume: other settings,
            another writer, a full disk, no scan; and when nothing could be
            made. A shard without scans is not an error.
    """
    console = console or Console(soft_wrap=True, markup=False, highlight=False)
    store = Store(out, options.backend_args)
    begin = time.perf_counter()
    all_scans = step.scans()
    if not all_scans:
        raise StoreError(f'{step.kind}: there is no scan to work on; check '
                         'the input folder')
    report = RunReport()
    with naming(store.root):
        store.open(step.kind, step.settings())
        jobs = [
            _job(step, store, scan) for scan in options.shard.select(all_scans)
        ]
        report.scans = len(jobs)
        _run_jobs(step, store, jobs, options, report, console)
        store.merge()
    report.seconds = time.perf_counter() - begin
    if options.report:
        write_bytes(options.report,
                    json.dumps(asdict(report), indent=1).encode())
    _summarize(report, step, store, options.shard, console)
    is_empty = report.scans and not report.made and not report.kept
    if is_empty and options.must_make:
        raise StoreError(f'{step.kind}: everything was skipped, for the '
                         'reasons above')
    return report


def _job(step: FrameStep, store: Store, scan: str) -> ScanJob:
    try:
        items = step.items(scan)
    except FrameError as error:
        return ScanJob(step, store, scan, [], str(error))
    reason = '' if items else f'{scan} has no {step.unit}'
    return ScanJob(step, store, scan, items, reason)


def _run_jobs(step: FrameStep, store: Store, jobs: List[ScanJob],
              options: RunOptions, report: RunReport,
              console: Console) -> None:
    count = worker_count(step, options.workers, console)
    total = sum(len(job.items) for job in jobs)
    with ExitStack() as stack:
        progress = stack.enter_context(_progress(console))
        bar = progress.add_task(step.kind, total=total)
        for job in jobs:
            stack.callback(job.abandon)

        def done(job: ScanJob) -> None:
            job.finish()
            report.made += job.made
            report.kept += job.kept
            report.skipped.update(job.skipped)
            report.skipped_frames.update(job.skipped_frames)

        def tasks() -> Iterator[workers.Task]:
            for job in jobs:
                left = job.start()
                progress.advance(bar, len(job.items) - len(left))
                if not left:
                    done(job)
                for i in range(0, len(left), step.batch_size):
                    yield job, left[i:i + step.batch_size]

        results = (
            workers.run_in_workers(step, store, tasks(), count)
            if count else workers.run_here(step, store, tasks()))
        for job, records in results:
            progress.advance(bar, len(records))
            if job.add(records):
                done(job)


def worker_count(step: FrameStep, asked: Optional[int],
                 console: Console) -> int:
    """Number of worker processes of a run.

    0 to work in the main process. StoreError when a negative number is asked
    for.
    """
    cores = workers.usable_cores()
    if asked is not None and asked < 0:
        raise StoreError(f'invalid --workers {asked}: must be >= 0 (0 uses '
                         'the main process)')
    if step.in_process:
        if asked:
            console.print(f'{step.kind} keeps one model on the GPU and works '
                          f'in the main process; --workers {asked} is not '
                          'used')
        return 0
    if asked is not None and asked > cores:
        console.print(f'--workers {asked} is more than the {cores} cores of '
                      f'this process; using {cores}')
    count = cores if asked is None else min(asked, cores)
    return 0 if count <= 1 else count


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal or 'CI' in os.environ)


def _summarize(report: RunReport, step: FrameStep, store: Store, shard: Shard,
               console: Console) -> None:
    part = '' if shard.count == 1 else f' (shard {shard})'
    console.print(f'{step.kind}: {report.scans} scan(s) in {store.root}{part}')
    if not report.scans:
        console.print('  this shard has no scans: there are more shards than '
                      'scans')
        return
    speed = report.made / max(report.seconds, 1e-9)
    console.print(
        f'  {report.made} {step.unit} made' +
        f' ({speed:.1f}/s)' * bool(report.made) +
        f', {report.kept} kept from before, {len(report.skipped)} skipped')
    for what, reasons in (('skipped', report.skipped),
                          ('left out', report.skipped_frames)):
        for name, reason in list(reasons.items())[:_NAMED]:
            console.print(f'  {what} {name}: {reason}')
        if len(reasons) > _NAMED:
            console.print(f'  and {len(reasons) - _NAMED} more; '
                          'manifest.json has them all')
