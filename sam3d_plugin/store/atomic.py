"""Writing files so that a reader never sees half of one."""
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Dict, Iterable, Iterator, Set, Union


@contextmanager
def atomic_write(path: Union[str, Path],
                 mode: str = 'wb',
                 sync: bool = True) -> Iterator[IO]:
    """Open a temporary file that replaces ``path`` once the block succeeds.

    The temporary file is in the folder of ``path``, so that the final
    rename stays on one file system. When the block raises, ``path`` is left
    as it was and the temporary file is removed.

    Args:
        path (Union[str, Path]): File to write, in a folder that is made
            when missing.
        mode (str): ``'wb'`` or ``'w'``.
        sync (bool): Whether the file must also survive a power failure, not
            only a killed process; costs milliseconds.

    Yields:
        IO: The open temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp')
    try:
        with os.fdopen(descriptor, mode) as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        # mkstemp makes files private; give the result the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # which would hide the first one
            os.unlink(temporary)
        raise


def remove_drafts(paths: Iterable[Union[str, Path]],
                  min_age: float = 0.0) -> None:
    """Remove what killed writers of some files have left beside them.

    Args:
        paths (Iterable[Union[str, Path]]): The files.
        min_age (float): Seconds for which a draft must not have changed; 0
            for files that no other process can be writing.
    """
    names: Dict[Path, Set[str]] = {}
    for path in map(Path, paths):
        names.setdefault(path.parent, set()).add(path.name)
    for folder, wanted in names.items():
        for draft in folder.glob('.*.tmp'):
            # .<name>.<random>.tmp
            if (draft.name[1:].rsplit('.', 2)[0] in wanted
                    and time.time() - draft.stat().st_mtime >= min_age):
                draft.unlink(missing_ok=True)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of some folders that hold nothing."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
