"""File operations that fail on demand: the n-th one, or all from there on.

Counted are opening, writing (half of it arrives), syncing, renaming, linking
and removing what lies in one folder.
"""
import builtins
import errno
import io
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock


class Faults:
    """Counts operations and raises at some.

    Args:
        folder (Path): Files below it count.
        first (int): Number of the operation that fails, from 1 on; 0 only
            counts.
        is_persistent (bool): Whether all later ones fail too, which leaves
            what a killed process leaves.
        parts (tuple): Only files count whose name has one of these in it.
        number (int): What the system answers.
    """

    def __init__(self,
                 folder,
                 first=0,
                 is_persistent=False,
                 parts=('', ),
                 number=errno.EIO):
        self.folder = str(folder)
        self.number = number
        self.parts = parts
        self.first = first
        self.is_persistent = is_persistent
        self.count = 0

    def covers(self, path):
        """Whether something is the path of a file that counts."""
        if not isinstance(path, (str, os.PathLike)):
            return False
        path = os.fspath(path)
        return path.startswith(self.folder) and any(
            part in os.path.basename(path) for part in self.parts)

    def happen(self, path):
        """Count an operation; True when it has to fail."""
        self.count += 1
        return self.first and (self.count == self.first or
                               (self.is_persistent
                                and self.count > self.first))

    def strike(self, path):
        if self.happen(path):
            raise self.error(path)

    def error(self, path):
        """What the system would raise."""
        return OSError(self.number, os.strerror(self.number), os.fspath(path))


class _Written:
    """A file of which a write may fail halfway."""

    def __init__(self, file, path, faults):
        self._file, self._path, self._faults = file, path, faults

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, content):
        if self._faults.happen(self._path):
            self._file.write(content[:len(content) // 2])
            raise self._faults.error(self._path)
        return self._file.write(content)


class _Guard:
    """Functions of the system that ask :class:`Faults` first."""

    def __init__(self, faults):
        self.faults = faults
        self.descriptors = {}  # path of each open one
        self.open, self.os_open, self.sync_all = io.open, os.open, os.fsync

    def open_file(self, file, mode='r', *args, **kwargs):
        path = self.descriptors.get(file, file)
        if not self.faults.covers(path):
            return self.open(file, mode, *args, **kwargs)
        if path is file:  # a descriptor is open already
            self.faults.strike(path)
        opened = self.open(file, mode, *args, **kwargs)
        self.descriptors[opened.fileno()] = path
        is_read = set(mode) <= set('rbt')
        return opened if is_read else _Written(opened, path, self.faults)

    def open_descriptor(self, path, *args, **kwargs):
        if self.faults.covers(path):
            self.faults.strike(path)
        number = self.os_open(path, *args, **kwargs)
        # Another one's path, where it does not count.
        self.descriptors[number] = path
        return number

    def sync(self, number):
        path = self.descriptors.get(number)
        if isinstance(number, int) and self.faults.covers(path):
            self.faults.strike(path)
        return self.sync_all(number)

    def guarded(self, function, *indices):
        """The function; an error may come of the arguments that are paths."""

        def call(*args, **kwargs):
            for index in indices:
                path = self.descriptors.get(args[index], args[index])
                if self.faults.covers(path):
                    self.faults.strike(path)
                    break
            return function(*args, **kwargs)

        return call


@contextmanager
def failing(faults):
    """Make the file operations of a block fail.

    Args:
        faults (Faults): Which ones; its ``count`` tells how many there were.

    Yields:
        Faults: The same.
    """
    guard = _Guard(faults)
    paths = dict.fromkeys(('replace', 'rename', 'link'), (0, 1))
    paths.update(dict.fromkeys(('unlink', 'remove', 'mkdir', 'rmdir'), (0, )))
    patches = [
        mock.patch.object(builtins, 'open', guard.open_file),
        mock.patch.object(io, 'open', guard.open_file),
        mock.patch.object(os, 'open', guard.open_descriptor),
        mock.patch.object(os, 'fsync', guard.sync)
    ]
    patches += [
        mock.patch.object(os, name, guard.guarded(getattr(os, name), *indices))
        for name, indices in paths.items()
    ]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield faults


def contents(folder, *left_out):
    """Every file below a folder by its path, without hidden ones."""
    folder = Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*')) if path.is_file() and not any(
            part.startswith('.') or part in left_out
            for part in path.relative_to(folder).parts)
    }
