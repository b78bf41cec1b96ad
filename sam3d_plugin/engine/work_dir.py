"""The work directory of a run: writable, and used by one training at a time.
"""
import errno
import fcntl
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Iterator, Union

from mmengine.logging import print_log

LOCK_NAME = '.lock'
_HELD = (errno.EACCES, errno.EAGAIN)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def global_rank() -> int:
    """Rank of this process before the process group exists."""
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        if name in os.environ:
            return int(os.environ[name])
    return 0


@contextmanager
def locked_work_dir(path: Union[str, Path]) -> Iterator[None]:
    """Make a work directory and keep other trainings out of it.

    Only the first process of a run takes the lock. The lock belongs to the
    process and ends with it, also when it is killed; data loading workers
    that outlive it for a moment do not keep it.

    Args:
        path (Union[str, Path]): The work directory.

    Yields:
        None: While the lock is held.

    Raises:
        OSError: If the directory cannot be made or written.
        ValueError: If another training uses it.
    """
    if global_rank() != 0:
        yield
        return
    with _open_lock_file(Path(path)) as file:
        _take_lock(file, path)
        yield


def _open_lock_file(path: Path) -> IO[bytes]:
    """Open the lock file and prove that the directory can be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Without a buffer, closing has nothing left to write on a full disk.
        return open(path / LOCK_NAME, 'a+b', buffering=0)
    except OSError as error:
        raise unwritable(path, error) from error


def _take_lock(file: IO[bytes], path: Union[str, Path]) -> None:
    """Lock the open file and write into it who holds it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            file.seek(0)
            owner = file.read().decode()
            raise ValueError(
                f'work directory {path} is in use by {owner}; '
                'wait for it or choose another with --work-dir') from None
        if error.errno not in _NO_LOCKS:
            raise unwritable(path, error) from error
        print_log(
            f'the file system of {path} has no locks: make sure that no '
            'other training uses this work directory',
            logger='current')
    try:
        file.truncate(0)
        owner = f'process {os.getpid()} on {socket.gethostname()}'
        file.write(owner.encode())
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Union[str, Path], error: OSError) -> OSError:
    """The error for a work directory that cannot be written.

    Args:
        path (Union[str, Path]): The directory or the file in it.
        error (OSError): What the system answered.

    Returns:
        OSError: Of the same kind, with a sentence that says what to do.
    """
    reason = (error.strerror or str(error)).lower()
    return OSError(
        error.errno, f'{path} cannot be written ({reason}); free space or '
        'choose another work directory with --work-dir')
