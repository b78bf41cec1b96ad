"""Rows of arrays for every frame of a scan, in one file per scan.

    <scan>.safetensors    columns (rows of all frames, ...), all equally long
                          offsets (F + 1,) int64: frame f has the rows
                          offsets[f]:offsets[f + 1]
                          metadata 'frames': JSON list of F names

A local file is mapped into memory, so that reading one frame touches only
its own bytes. Remote files are read at once.
"""
import json
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from .errors import StoreError
from .files import (BackendArgs, PathLike, is_local, join, list_names,
                    read_bytes)

SUFFIX = '.safetensors'
_OFFSETS, _FRAMES = 'offsets', 'frames'
# Length of a safetensors file's header, which is the first field in it.
_LENGTH_BYTES = 8

Columns = Dict[str, np.ndarray]


def pack_frames(frames: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    """One file from the rows of some frames.

    Args:
        frames (Mapping[str, Mapping[str, np.ndarray]]): For each frame its
            columns, the same ones for every frame; at least one frame.

    Returns:
        bytes: The file; the same for the same rows in the same order.
    """
    rows = list(frames.values())
    tensors = {
        name: np.concatenate([columns[name] for columns in rows])
        for name in rows[0]
    }
    lengths = [len(next(iter(columns.values()))) for columns in rows]
    tensors[_OFFSETS] = np.cumsum([0, *lengths], dtype=np.int64)
    return save(tensors, metadata={_FRAMES: json.dumps(list(frames))})


def unpack_frames(content: bytes, name: str,
                  columns: Sequence[str]) -> Dict[str, Columns]:
    """The inverse of :func:`pack_frames`.

    Returns the columns of each frame. StoreError when the file is damaged or
    of another kind.
    """
    container = _Container(name, columns, *_read_content(content, name))
    return {frame: container.rows(frame) for frame in container.frames}


def _read_content(content: bytes, name: str) -> Tuple[Callable, Dict]:
    """Access to the tensors of a file's bytes, and its metadata."""
    try:
        tensors = load(content)
        length = int.from_bytes(content[:_LENGTH_BYTES], 'little')
        header = json.loads(content[_LENGTH_BYTES:_LENGTH_BYTES + length])
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(name, error) from error
    return tensors.__getitem__, header.get('__metadata__') or {}


def _map_file(path: str) -> Tuple[Callable, Dict]:
    """Access to the tensors of a local file, and its metadata."""
    try:
        file = safe_open(path, framework='numpy')
    except SafetensorError as error:
        raise _damaged(path, error) from error

    def get(name: str) -> Any:
        """A column; one without rows is read, because slicing it fails."""
        column = file.get_slice(name)
        return column if column.get_shape()[0] else file.get_tensor(name)

    return get, file.metadata() or {}


def _damaged(name: str, error: Any) -> StoreError:
    return StoreError(f'{name} is damaged or of another kind ({error}); '
                      'remove it and run the step that made it again')


class _Container:
    """One open file.

    Args:
        name (str): What to call it in errors.
        columns (Sequence[str]): Columns it must have.
        get (Callable): Gives a tensor, or something to slice, by its name.
        metadata (Dict): Of the file.
    """

    def __init__(self, name: str, columns: Sequence[str], get: Callable,
                 metadata: Dict) -> None:
        self.name = name
        try:
            frames = json.loads(metadata[_FRAMES])
            self.offsets = np.asarray(get(_OFFSETS)[:])
            self.columns = {column: get(column) for column in columns}
        except (SafetensorError, KeyError, ValueError) as error:
            raise _damaged(name, f'{error!r}') from error
        self.frames = {frame: i for i, frame in enumerate(frames)}
        lengths = {self._length(c) for c in self.columns.values()}
        if (self.offsets.shape != (len(frames) + 1, )
                or self.offsets.dtype != np.int64 or self.offsets[0] != 0
                or (np.diff(self.offsets) < 0).any()
                or len(self.frames) != len(frames)
                or lengths != {int(self.offsets[-1])}):
            raise _damaged(name, 'frames, offsets and rows disagree')

    @staticmethod
    def _length(column: Any) -> int:
        if isinstance(column, np.ndarray):
            return len(column)
        return column.get_shape()[0]

    def rows(self, frame: str) -> Columns:
        """All columns of a frame."""
        if frame not in self.frames:
            raise KeyError(frame)
        f = self.frames[frame]
        begin, end = self.offsets[f:f + 2].tolist()
        if begin == end:  # safetensors refuses a slice that begins at the end
            begin = end = 0
        return {n: c[begin:end] for n, c in self.columns.items()}


class FrameRows:
    """Reads a folder of such files, in any order of frames.

    Args:
        root (PathLike): The folder, local or remote.
        columns (Sequence[str]): Columns that its files have.
        tool (str): What makes them, for errors.
        backend_args (BackendArgs): Arguments of the file backend.
        max_open (int): Files kept open, the last ones read.
    """

    def __init__(self,
                 root: PathLike,
                 columns: Sequence[str],
                 tool: str,
                 backend_args: BackendArgs = None,
                 max_open: int = 16) -> None:
        self.root = str(root)
        self.columns = tuple(columns)
        self.tool = tool
        self.backend_args = backend_args
        self.max_open = max_open
        self._open: 'OrderedDict[str, _Container]' = OrderedDict()

    def __getstate__(self) -> Dict[str, Any]:
        """Without the open files, which other processes open themselves."""
        return dict(self.__dict__, _open=OrderedDict())

    def scans(self) -> List[str]:
        """Sorted names of the scans."""
        names = list_names(self.root, self.backend_args, SUFFIX)
        return [PurePosixPath(name).stem for name in names]

    def frames(self, scan: str) -> List[str]:
        """Names of a scan's frames, in the order of their rows."""
        return list(self._container(scan).frames)

    def offsets(self, scan: str) -> np.ndarray:
        """(F + 1,) int64, the rows at which the frames of a scan begin."""
        return self._container(scan).offsets

    def read(self, scan: str, frame: str) -> Columns:
        """The rows of a frame.

        FileNotFoundError when the scan's file is missing, StoreError when it
        is damaged or has no such frame.
        """
        try:
            return self._container(scan).rows(frame)
        except KeyError:
            raise StoreError(
                f'{self.path(scan)} has no frame {frame}; records/'
                f'{scan}.json beside it may tell why it was skipped') from None

    def read_scan(self, scan: str, column: str) -> np.ndarray:
        """One column of all frames of a scan."""
        return np.asarray(self._container(scan).columns[column][:])

    def path(self, scan: str) -> str:
        """Path of a scan's file."""
        return join(self.root, f'{scan}{SUFFIX}')

    def _container(self, scan: str) -> _Container:
        if scan in self._open:
            self._open.move_to_end(scan)
            return self._open[scan]
        path = self.path(scan)
        try:
            if is_local(path, self.backend_args):
                source = _map_file(path)
            else:
                source = _read_content(
                    read_bytes(path, self.backend_args), path)
        except FileNotFoundError:
            raise FileNotFoundError(
                f'{path} is missing; run {self.tool} first') from None
        self._open[scan] = _Container(path, self.columns, *source)
        if len(self._open) > self.max_open:
            self._open.popitem(last=False)
        return self._open[scan]
