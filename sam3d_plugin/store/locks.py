"""One writer per scan of a store."""
import fcntl
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Iterator

from .errors import StoreError
from .files import BackendArgs, PathLike, is_local

LOCKS = '.locks'


@contextmanager
def scan_lock(root: PathLike,
              scan: str,
              backend_args: BackendArgs = None) -> Iterator[None]:
    """Hold the lock of a scan while it is written.

    The kernel releases it when the process ends, however that happens.
    Object stores have no locks: their writers need disjoint shards.

    Args:
        root (PathLike): Folder of the store.
        scan (str): Name of the scan.
        backend_args (BackendArgs): Arguments of the file backend.

    Yields:
        None: While the lock is held.

    Raises:
        StoreError: When another process holds it.
    """
    if not is_local(root, backend_args):
        yield
        return
    folder = Path(root, LOCKS)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f'{scan}.lock', 'a+') as file:
        _take(file, root, scan)
        try:
            yield
        finally:
            file.truncate(0)


def _take(file: IO[str], root: PathLike, scan: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise StoreError(
            f'{root}: scan {scan} is being written by '
            f'{file.read().strip() or "another process"}; wait for it, or '
            'give every run its own --shard i/n') from None
    file.truncate(0)
    file.write(f'process {os.getpid()} on {socket.gethostname()}')
    file.flush()
