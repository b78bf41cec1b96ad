"""Compiling the CPU kernels and running them on several threads."""
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Optional

import numba
import torch

# Below this many elementary steps (about a nanosecond each) handing work to
# a second thread costs more than it saves, the more so as torch's own threads
# spin for a while after each of its operations.
MIN_PARALLEL_STEPS = 1_000_000


def jit(function: Callable) -> Callable:
    """Compile with numba on first use and keep the result on disk.

    Kernels release the GIL and use no numba threading layer: the OpenMP one
    dies in forked data loader workers, and workqueue is not thread-safe.
    :func:`run_in_chunks` does the threading instead. Without ``fastmath``
    no multiplications are fused, so results do not depend on the machine.

    Args:
        function (Callable): Python function of numbers and arrays.

    Returns:
        Callable: The compiled function.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written:
        # numba then refuses ``cache=True``; each process compiles anew.
        return numba.njit(nogil=True)(function)


class _ThreadPool:
    """One executor per process, started when first needed."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop an executor whose threads a fork has left behind."""
        self.executor: Optional[ThreadPoolExecutor] = None
        self.lock = threading.Lock()

    def get(self) -> ThreadPoolExecutor:
        """Return the executor of this process."""
        with self.lock:
            if self.executor is None:
                self.executor = ThreadPoolExecutor(
                    max_workers=max(1, (os.cpu_count() or 1) - 1),
                    thread_name_prefix='sam3d_ops')
            return self.executor


_POOL = _ThreadPool()
os.register_at_fork(after_in_child=_POOL.forget)


def run_in_chunks(function: Callable[[int, int], None], count: int,
                  steps: int) -> None:
    """Call ``function(start, stop)`` so that the calls cover range(count).

    As many calls run at the same time as torch may use threads, which is one
    in data loader workers.

    Args:
        function (Callable[[int, int], None]): Does items ``start`` to
            ``stop``; must release the GIL and write to places of its own.
        count (int): Number of items.
        steps (int): Rough number of elementary steps of all items together.
    """
    workers = min(torch.get_num_threads(), count)
    if workers < 2 or steps < MIN_PARALLEL_STEPS:
        function(0, count)
        return
    edges = [count * i // workers for i in range(workers + 1)]
    executor = _POOL.get()
    others = [
        executor.submit(function, start, stop)
        for start, stop in zip(edges[1:-1], edges[2:])
    ]
    try:
        function(edges[0], edges[1])
    finally:
        for other in others:
            other.result()
