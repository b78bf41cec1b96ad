"""Processes that make items, and the order in which their results come."""
import multiprocessing
import os
import signal
import threading
from concurrent.futures import (FIRST_COMPLETED, Future, ProcessPoolExecutor,
                                wait)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional, Tuple

from ...store.errors import StoreError
from ...store.manifest import Store
from ...store.records import ItemRecord
from .frame_steps import FrameStep
from .scan_jobs import ScanJob, make_items

# Batches of one scan that are left to do.
Task = Tuple[ScanJob, List[str]]
Result = Tuple[ScanJob, Dict[str, ItemRecord]]

# Tasks waiting per worker: enough to keep it busy, few enough to stop soon.
_WAITING = 2

_worker: Optional[Tuple[FrameStep, Store]] = None


def usable_cores() -> int:
    """Cores that this process may use; torchrun's ranks share a machine's."""
    if hasattr(os, 'sched_getaffinity'):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(cores // int(os.environ.get('LOCAL_WORLD_SIZE', 1)), 1)


def run_here(step: FrameStep, store: Store,
             tasks: Iterator[Task]) -> Iterator[Result]:
    """Make the items of all tasks in this process."""
    for job, items in tasks:
        yield job, make_items(step, store, job.scan, items)


def run_in_workers(step: FrameStep, store: Store, tasks: Iterator[Task],
                   count: int) -> Iterator[Result]:
    """Make the items of all tasks in worker processes.

    Results come in the order in which they get ready. StoreError when a worker
    dies.
    """
    waiting: Dict[Future, ScanJob] = {}
    with _single_threaded_children():
        pool = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context('spawn'),
            initializer=_start_worker,
            initargs=(step, store))
        try:
            for job, items in tasks:
                waiting[pool.submit(_make, job.scan, items)] = job
                if len(waiting) >= _WAITING * count:
                    yield from _ready(waiting)
            while waiting:
                yield from _ready(waiting)
        except BrokenProcessPool as error:
            raise StoreError(
                'a worker process died, probably out of memory; finished '
                'items are kept: rerun with fewer --workers') from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ready(waiting: Dict[Future, ScanJob]) -> Iterator[Result]:
    """Results that are there, at least one."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()


def _make(scan: str, items: List[str]) -> Dict[str, ItemRecord]:
    assert _worker is not None
    step, store = _worker
    return make_items(step, store, scan, items)


def _start_worker(step: FrameStep, store: Store) -> None:
    global _worker
    _worker = (step, store)
    # Ctrl-C reaches the whole process group; the parent ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers to stop."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Children of the block use one thread each in their libraries."""
    names = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS')
    old = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.update(dict.fromkeys(names, '1'))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]
        os.environ.update(old)
