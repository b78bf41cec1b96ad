"""Images of frames in a container: a video or an archive.

Shapes: H W pixels.
"""
import importlib
import io
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Iterator, List, Optional, Tuple

import cv2
import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.extras import how_to_install
from ....store.files import BackendArgs, is_local, join, list_names, read_bytes
from ..scans.source_files import read_source_file


@dataclass
class Parts:
    """Reads parts of frames that have no file of their own.

    Args:
        source (str): The container.
        backend_args (BackendArgs): Arguments of the file backend.
    """
    source: str
    backend_args: BackendArgs = None

    @property
    def files(self) -> List[str]:
        """Files that all parts come from."""
        return [self.source]

    def read(self, path: str) -> Optional[bytes]:
        """Content of a part; None if it is a file of the recording."""
        raise NotImplementedError


class VideoParts(Parts):
    """Frames of a video, which are called ``<file>/<number>``.

    They are decoded one after the other, since videos do not tell where a
    frame begins, and not turned, since cameras are those of the sensor.
    """

    def probe(self) -> Tuple[int, Tuple[int, int]]:
        """Number of frames, and H, W.

        Raises StoreError when it cannot be read.
        """
        if not is_local(self.source, self.backend_args):
            raise StoreError(f'{self.source} is not a local file; copy the '
                             'recording to a disk, videos are read from there')
        try:
            video = _Video(self.source)
        except FrameError as error:
            raise StoreError(f'{error}') from error
        return video.count, video.shape

    def read(self, path: str) -> Optional[bytes]:
        """A frame as BMP, or None for what is not in the video."""
        name = PurePosixPath(path)
        if str(name.parent) != PurePosixPath(self.source).name:
            return None
        pixels = _open_video(self.source).frame(int(name.name))
        return cv2.imencode('.bmp', pixels)[1].tobytes()


class _Video:
    """A video that is read forward."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._restart()
        self.count = int(self.stream.get(cv2.CAP_PROP_FRAME_COUNT))
        self.shape = (int(self.stream.get(cv2.CAP_PROP_FRAME_HEIGHT)),
                      int(self.stream.get(cv2.CAP_PROP_FRAME_WIDTH)))
        if not self.stream.isOpened() or min(self.shape) < 1:
            raise FrameError(f'{path} is missing or not a readable video; '
                             'copy it again')

    def _restart(self) -> None:
        self.position = 0
        self.stream = cv2.VideoCapture(self.path)
        self.stream.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)

    def frame(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8 pixels, BGR; FrameError beyond the last frame."""
        if number < self.position:
            self.stream.release()
            self._restart()
        is_there, pixels = True, None
        while is_there and self.position < number:
            is_there = self.stream.grab()
            self.position += 1
        if is_there:
            is_there, pixels = self.stream.read()
            self.position += 1
        if not is_there or pixels is None:
            raise FrameError(f'{self.path} ends before frame {number}')
        return pixels


@lru_cache(maxsize=1)
def _open_video(path: str) -> _Video:
    return _Video(path)


@dataclass
class Record3DParts(Parts):
    """Parts of a ``.r3d`` file, which is an archive, or of its folder.

    Args:
        depth_shape (Tuple[int, int]): H, W of the depth images.
    """
    depth_shape: Tuple[int, int] = (0, 0)

    @property
    def _is_archive(self) -> bool:
        return self.source.lower().endswith('.r3d')

    @property
    def files(self) -> List[str]:
        """The archive; parts of a folder are files of their own."""
        return [self.source] if self._is_archive else []

    def names(self) -> List[str]:
        """Names of its parts in ``rgbd/`` that have a number.

        Raises FrameError when it is not an archive.
        """
        if not self._is_archive:
            names = [
                f'rgbd/{name}' for name in list_names(
                    join(self.source, 'rgbd'), self.backend_args)
            ]
        else:
            with self._open() as archive:
                names = archive.namelist()
        return [
            name for name in names
            if name.startswith('rgbd/') and PurePosixPath(name).stem.isdigit()
        ]

    def read(self, path: str) -> bytes:
        """A part; depth as an array of numpy.save, float32 meters."""
        if self._is_archive:
            with self._open() as archive:
                content = archive.read(path)
        else:
            content = read_source_file(
                join(self.source, path), path, 'export the recording again',
                self.backend_args)
        return self._unpack(content,
                            path) if path.endswith('.depth') else content

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        """The archive; FrameError when it or a part cannot be read."""
        try:
            source = (
                self.source if is_local(self.source, self.backend_args) else
                io.BytesIO(read_bytes(self.source, self.backend_args)))
            with zipfile.ZipFile(source) as archive:
                yield archive
        except FileNotFoundError:
            raise FrameError(f'{self.source} is missing; check the '
                             'path') from None
        except (KeyError, OSError, zipfile.BadZipFile, zlib.error,
                NotImplementedError, RuntimeError, EOFError) as error:
            raise FrameError(f'{self.source} cannot be read ({error}); export '
                             'it again') from error

    def _unpack(self, content: bytes, path: str) -> bytes:
        """Undo LZFSE."""
        try:
            decompress = importlib.import_module('lzfse').decompress
        except ImportError as error:
            raise StoreError(f'depth of Record3D needs lzfse ({error}): '
                             f'{how_to_install("scans")}') from error
        height, width = self.depth_shape
        size = 4 * height * width
        # The library raises an error of its own.
        try:
            values = content if len(content) == size else decompress(content)
        except Exception as error:
            raise FrameError(f'{path} is damaged ({error}); export the '
                             'recording again') from error
        if len(values) != size:
            raise FrameError(f'{path} has {len(values)} bytes, but depth of '
                             f'{width}x{height} needs {size}; export the '
                             'recording again')
        depth = np.frombuffer(values, '<f4').reshape(height, width)
        buffer = io.BytesIO()
        np.save(buffer, depth)
        return buffer.getvalue()
