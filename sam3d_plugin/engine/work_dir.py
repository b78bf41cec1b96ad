"""The work directory of a run: writable, and used by one training at a time.
"""
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union

from ..store.locks import exclusive

LOCK_NAME = '.lock'


def global_rank() -> int:
    """Rank of this process before the process group exists."""
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        if name in os.environ:
            return int(os.environ[name])
    return 0


@contextmanager
def locked_work_dir(path: Union[str, Path]) -> Iterator[None]:
    """Make a work directory and keep other trainings out of it.

    Only the first process of a run takes the lock.

    Raises OSError if the directory cannot be made or written.
    Raises StoreError if another training uses it.
    """
    if global_rank() != 0:
        yield
        return
    with exclusive(
            Path(path, LOCK_NAME),
            f'work directory {path} is in use by {{owner}}; wait for it or '
            'choose another with --work-dir'):
        yield
