"""Whole files, local or in an object store.

All access goes through ``mmengine.fileio``, so that a path like
``s3://bucket/...`` together with ``backend_args`` works wherever a local one
does. Local files are replaced atomically; object stores do so by themselves.
"""
import hashlib
import os
import uuid
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Union

from mmengine import fileio

from .atomic import atomic_write
from .errors import StoreError, UserError, naming

BackendArgs = Optional[Dict[str, Any]]
PathLike = Union[str, Path]


def is_local(path: PathLike, backend_args: BackendArgs = None) -> bool:
    """Whether a path is on a file system of this machine.

    StoreError when nothing here can read such paths.
    """
    try:
        backend = fileio.get_file_backend(str(path), backend_args=backend_args)
    except (ImportError, KeyError) as error:
        raise StoreError(
            f'{path}: there is no file backend for it ({error}); install its '
            'client, or name another with --backend-args') from error
    return isinstance(backend, fileio.LocalBackend)


def join(path: PathLike, *names: str) -> str:
    """Join names to a path, local or remote."""
    return '/'.join([str(path).rstrip('/'), *names])


def read_bytes(path: PathLike, backend_args: BackendArgs = None) -> bytes:
    """Content of a file.

    FileNotFoundError when there is none; other backends may raise an error of
    their own.
    """
    return fileio.get(str(path), backend_args=backend_args)


def write_bytes(path: PathLike,
                content: bytes,
                backend_args: BackendArgs = None,
                sync: bool = True) -> None:
    """Write a file so that a reader sees the old or the new one, never half.

    OSError when it cannot be written, e.g. because the disk is full.
    """
    if is_local(path, backend_args):
        with naming(path, replace=True):  # not its draft
            with atomic_write(path, sync=sync) as file:
                file.write(content)
    else:
        fileio.put(content, str(path), backend_args=backend_args)


def check_not_input(out: PathLike, inputs: Iterable[PathLike]) -> None:
    """Refuse to write a result over a file that it is made of.

    Args:
        out (PathLike): File to write.
        inputs (Iterable[PathLike]): What is read; missing files are skipped.

    Raises:
        UserError: When one of them is the file to write.
    """
    for path in inputs:
        if os.path.exists(out) and os.path.exists(path) and (os.path.samefile(
                out, path)):
            raise UserError(f'{path} would be overwritten by its result; '
                            'choose another output')


def append_bytes(path: PathLike,
                 content: bytes,
                 backend_args: BackendArgs = None) -> None:
    """Append to a file that is there; a kill may leave the first part."""
    if is_local(path, backend_args):
        with open(path, 'ab') as file:
            file.write(content)
    else:
        fileio.put(
            read_bytes(path, backend_args) + content,
            str(path),
            backend_args=backend_args)


def write_new(path: PathLike,
              content: bytes,
              backend_args: BackendArgs = None) -> bool:
    """Write a file unless there is one, also when several processes try.

    Returns whether this call has written it. Of several processes that write
    to an object store, the last one wins.
    """
    if not is_local(path, backend_args):
        if exists(path, backend_args):
            return False
        fileio.put(content, str(path), backend_args=backend_args)
        return True
    path = Path(path)
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
    try:
        draft.write_bytes(content)
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def size_of(path: PathLike, backend_args: BackendArgs = None) -> int:
    """Bytes of a file; -1 when there is none."""
    if is_local(path, backend_args):
        try:
            return os.stat(path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return -1
    if not exists(path, backend_args):
        return -1
    return len(read_bytes(path, backend_args))


def fingerprint_of_files(paths: Iterable[PathLike],
                         backend_args: BackendArgs = None) -> str:
    """Sizes and times of raw files, by which make tells that one changed.

    Empty, which is unknown, when one is an object.
    """
    found: List[Any] = []
    for path in paths:
        if not is_local(path, backend_args):
            return ''
        status = os.stat(path) if os.path.exists(path) else None
        found.append(status and (status.st_size, status.st_mtime_ns))
    return checksum(repr(found).encode())


def exists(path: PathLike, backend_args: BackendArgs = None) -> bool:
    """Whether there is a file or folder of this name."""
    is_local(path, backend_args)  # names a backend that is missing
    return fileio.exists(str(path), backend_args=backend_args)


def list_names(folder: PathLike,
               backend_args: BackendArgs = None,
               suffix: Union[str, tuple, None] = None,
               folders: bool = False) -> List[str]:
    """Sorted names of the direct entries of a folder.

    Hidden entries are left out; no names when there is no folder. ``suffix``
    keeps the files that end with it, ``folders`` lists folders instead.
    """
    if not exists(folder, backend_args):
        return []
    names = fileio.list_dir_or_file(
        str(folder),
        list_dir=folders,
        list_file=not folders,
        suffix=None if folders else suffix,
        backend_args=backend_args)
    return sorted(name for name in names if not name.startswith('.'))


def remove(path: PathLike, backend_args: BackendArgs = None) -> None:
    """Remove a file; nothing happens when there is none."""
    if exists(path, backend_args):
        fileio.remove(str(path), backend_args=backend_args)


def checksum(content: bytes) -> str:
    """The checksum that manifests hold: BLAKE2b of 16 bytes, hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
