"""File operations that fail on demand: the n-th one, or all from there on.

Counted are opening, writing (half of it arrives), syncing, renaming, linking
and removing what lies in one folder.
"""
import builtins
import errno
import io
import os
from contextlib import contextmanager
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


@contextmanager
def failing(faults):
    """Make the file operations of a block fail.

    Args:
        faults (Faults): Which ones; its ``count`` tells how many there were.

    Yields:
        Faults: The same.
    """
    descriptors = {}

    def guarded(function, *indices):

        def call(*args, **kwargs):
            for index in indices:
                path = descriptors.get(args[index], args[index])
                if faults.covers(path):
                    faults.strike(path)
                    break
            return function(*args, **kwargs)

        return call

    def open_file(file, mode='r', *args, **kwargs):
        path = descriptors.get(file, file)
        if not faults.covers(path):
            return real_open(file, mode, *args, **kwargs)
        if path is file:  # a descriptor is open already
            faults.strike(path)
        opened = real_open(file, mode, *args, **kwargs)
        descriptors[opened.fileno()] = path
        is_read = set(mode) <= set('rbt')
        return opened if is_read else _Written(opened, path, faults)

    def open_descriptor(path, *args, **kwargs):
        if faults.covers(path):
            faults.strike(path)
        number = real_os_open(path, *args, **kwargs)
        descriptors[number] = path  # another one's, where it does not count
        return number

    def sync(number):
        if isinstance(number, int) and faults.covers(descriptors.get(number)):
            faults.strike(descriptors[number])
        return real_sync(number)

    real_open, real_os_open, real_sync = io.open, os.open, os.fsync
    patches = [
        mock.patch.object(builtins, 'open', open_file),
        mock.patch.object(io, 'open', open_file),
        mock.patch.object(os, 'open', open_descriptor),
        mock.patch.object(os, 'fsync', sync)
    ]
    patches += [
        mock.patch.object(os, name, guarded(getattr(os, name), *indices))
        for name, indices in dict(
            replace=(0, 1),
            rename=(0, 1),
            link=(0, 1),
            unlink=(0, ),
            remove=(0, ),
            mkdir=(0, ),
            rmdir=(0, )).items()
    ]
    for patch in patches:
        patch.start()
    try:
        yield faults
    finally:
        for patch in reversed(patches):
            patch.stop()


def contents(folder, *left_out):
    """Every file below a folder by its path, without hidden ones."""
    folder = Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*')) if path.is_file() and not any(
            part.startswith('.') or part in left_out
            for part in path.relative_to(folder).parts)
    }
