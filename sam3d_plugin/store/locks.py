"""Locks that end with the process that holds them."""
import errno
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from filelock import FileLock, Timeout
from mmengine.logging import print_log

from .errors import StoreError, naming
from .files import BackendArgs, PathLike, is_local

LOCKS = '.locks'
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def exclusive(path: PathLike, refusal: str) -> Iterator[None]:
    """Hold a lock file; who holds it is written into it.

    Args:
        path (PathLike): The lock file; stays when the lock is released.
        refusal (str): Error message, with ``{owner}`` for the holder.

    Yields:
        None: While the lock is held.

    Raises:
        StoreError: When another process holds it.
        OSError: When the file cannot be written.
    """
    owner = f'process {os.getpid()} on {socket.gethostname()}'
    path = Path(path)
    lock = FileLock(
        path, on_acquired=lambda file: _write_owner(file, owner), timeout=0)
    try:
        with naming(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout:
        holder = path.read_text().strip() or 'another process'
        raise StoreError(refusal.replace('{owner}', holder)) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        print_log(
            f'{path.parent}: the file system does not support locks; make '
            'sure that no other process writes there',
            logger='current')
    try:
        yield
    finally:
        lock.release()


def _write_owner(file: int, owner: str) -> None:
    os.write(file, owner.encode())


@contextmanager
def scan_lock(root: PathLike,
              scan: str,
              backend_args: BackendArgs = None) -> Iterator[None]:
    """Hold the lock of a scan while it is written.

    Object stores have no locks: their writers need disjoint shards.
    StoreError when another process holds it.
    """
    if not is_local(root, backend_args):
        yield
        return
    with exclusive(
            Path(root, LOCKS, f'{scan}.lock'),
            f'{root}: scan {scan} is being written by {{owner}}; wait for '
            'it, or give every run its own --shard i/n'):
        yield
