"""ScanNet's ``.sens`` recordings, read frame by frame.

    version uint32 (4) | length uint64, sensor name
    4x4 float32: color intrinsics, extrinsics, depth intrinsics, extrinsics
    color, depth compression int32 | color W, H, depth W, H uint32
    depth units per meter float32 | number of frames uint64
    frames: 4x4 float32 pose | color, depth time uint64
            | color, depth bytes uint64 | color | depth

Everything is little-endian. The file has no table of contents, so a frame is
found by hopping over those before it; that is done once for an open file,
and only as far as frames are asked for. Payloads of other frames are never
read.

Shapes: H W pixels.
"""
import os
import struct
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import List, Tuple

import numpy as np
from mmengine.fileio import get_local_path

from ....store.errors import FrameError
from ....store.files import BackendArgs

VERSION = 4
COLOR_FORMATS = {0: 'raw', 1: 'png', 2: 'jpeg'}
DEPTH_FORMATS = {0: 'raw', 1: 'zlib'}

_NAME = struct.Struct('<IQ')
_AFTER_NAME = struct.Struct('<64f2i4IfQ')
_FRAME = struct.Struct('<64s4Q')
# Longer than any sensor's name, shorter than what random bytes would say;
# the same for the number of frames (a day at 30 Hz) and the sides of images.
_LONGEST_NAME = 4096
_MOST_FRAMES = 24 * 3600 * 30
_LARGEST_SIDE = 65535
_COPY_AGAIN = 'copy it again'


@dataclass(frozen=True)
class SensHeader:
    """Header of a recording."""
    sensor: str  # Name of the sensor
    color_intrinsics: np.ndarray  # (4, 4), pixels of the color images
    color_extrinsics: np.ndarray  # (4, 4) color camera to sensor, meters
    depth_intrinsics: np.ndarray  # (4, 4), pixels of the depth images
    depth_extrinsics: np.ndarray  # (4, 4) depth camera to sensor, meters
    color_format: str  # ``'jpeg'``, ``'png'`` or ``'raw'``
    depth_format: str  # ``'zlib'`` or ``'raw'``
    color_size: Tuple[int, int]  # H, W of the color images
    depth_size: Tuple[int, int]  # H, W of the depth images
    depth_shift: float  # Depth units per meter
    num_frames: int  # Frames that were recorded
    size: int  # Bytes before the first frame


@dataclass(frozen=True)
class SensFrame:
    """One frame as stored in the file."""
    # (4, 4) float32, camera to world, meters; not finite where tracking was
    # lost
    pose: np.ndarray
    color: bytes  # Color image in the header's format
    depth: bytes  # Depth image in the header's format


class SensFile:
    """An open recording.

    Local files are read in place. A file of an object store is fetched
    whole first, because mmengine's backends cannot read parts of one.

    Args:
        path (str): Local path or URI of the ``.sens`` file.
        backend_args (BackendArgs): Arguments of the file backend.

    Raises:
        FrameError: When it is not a recording of version 4.
    """

    def __init__(self, path: str, backend_args: BackendArgs = None) -> None:
        self.path = path
        self._stack = ExitStack()
        try:
            local = self._stack.enter_context(
                get_local_path(path, backend_args=backend_args))
            file = self._stack.enter_context(open(local, 'rb', buffering=0))
        except FileNotFoundError:
            raise FrameError(f'{path} is missing; download it') from None
        except OSError as error:
            raise FrameError(f'{path} cannot be read ({error.strerror}); '
                             f'{_COPY_AGAIN}') from error
        self._descriptor = file.fileno()
        self._size = os.fstat(self._descriptor).st_size
        try:
            self.header = self._read_header()
        except FrameError:
            self.close()
            raise
        # Frame i is between offsets i and i + 1.
        self._offsets: List[int] = [self.header.size]

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def frame(self, index: int) -> SensFrame:
        """Read one frame; FrameError when the file ends before it does."""
        self._find(index)
        start, end = self._offsets[index:index + 2]
        content = os.pread(self._descriptor, end - start, start)
        pose, _, _, color_bytes, _ = _FRAME.unpack_from(content)
        middle = _FRAME.size + color_bytes
        return SensFrame(
            np.frombuffer(pose, '<f4').reshape(4, 4),
            content[_FRAME.size:middle], content[middle:])

    def _find(self, index: int) -> None:
        """Hop on until the end of a frame is known."""
        while len(self._offsets) <= index + 1:
            start = self._offsets[-1]
            content = os.pread(self._descriptor, _FRAME.size, start)
            if len(content) < _FRAME.size:
                raise self._truncated()
            *_, color_bytes, depth_bytes = _FRAME.unpack(content)
            end = start + _FRAME.size + color_bytes + depth_bytes
            if end > self._size:
                raise self._truncated()
            self._offsets.append(end)

    def _truncated(self) -> FrameError:
        return FrameError(
            f'{self.path} is truncated: {len(self._offsets) - 1} of '
            f'{self.header.num_frames} frames are complete; {_COPY_AGAIN}')

    def _read_header(self) -> SensHeader:
        content = os.pread(self._descriptor, _NAME.size + _LONGEST_NAME, 0)
        if len(content) < _NAME.size:
            raise FrameError(f'{self.path} is empty or cut off in its header; '
                             f'{_COPY_AGAIN}')
        version, length = _NAME.unpack_from(content)
        if version != VERSION or length > _LONGEST_NAME:
            raise FrameError(f'{self.path} is not a .sens recording of '
                             f'version {VERSION} (it says {version}); '
                             f'{_COPY_AGAIN}')
        start = _NAME.size + length
        rest = os.pread(self._descriptor, _AFTER_NAME.size, start)
        if len(rest) < _AFTER_NAME.size:
            raise FrameError(f'{self.path} is cut off in its header; '
                             f'{_COPY_AGAIN}')
        sensor = content[_NAME.size:start].decode(errors='replace')
        return _parse_header(sensor, rest, start, self.path)


def _parse_header(sensor: str, content: bytes, start: int,
                  path: str) -> SensHeader:
    """The header from what follows the sensor's name."""
    values = _AFTER_NAME.unpack(content)
    matrices = np.array(values[:64], dtype=np.float32).reshape(4, 4, 4)
    color, depth, color_w, color_h, depth_w, depth_h, shift, count = values[
        64:]
    if color not in COLOR_FORMATS or depth not in DEPTH_FORMATS:
        raise FrameError(
            f'{path}: compression {color} of color and {depth} of depth; '
            f'known are {COLOR_FORMATS} and {DEPTH_FORMATS}: write the '
            "recording again with ScanNet's SensReader")
    sides = (color_w, color_h, depth_w, depth_h)
    if (not 0 < shift < np.inf or not 0 < min(sides)
            or max(sides) > _LARGEST_SIDE or count > _MOST_FRAMES):
        raise FrameError(
            f'{path}: the header is damaged ({count} frames, images of '
            f'{color_w}x{color_h} and {depth_w}x{depth_h}, {shift:g} units '
            f'per meter); {_COPY_AGAIN}')
    if count == 0:
        raise FrameError(f'{path} holds no frame; {_COPY_AGAIN}')
    return SensHeader(
        sensor=sensor,
        color_intrinsics=matrices[0],
        color_extrinsics=matrices[1],
        depth_intrinsics=matrices[2],
        depth_extrinsics=matrices[3],
        color_format=COLOR_FORMATS[color],
        depth_format=DEPTH_FORMATS[depth],
        color_size=(color_h, color_w),
        depth_size=(depth_h, depth_w),
        depth_shift=shift,
        num_frames=count,
        size=start + _AFTER_NAME.size)


def decode_depth(content: bytes, header: SensHeader, name: str) -> np.ndarray:
    """(H, W) uint16 depth of one frame, millimeters, 0 = none.

    Values beyond 65.5 m, which no indoor sensor measures, are none as well.

    Raises FrameError when it is damaged.
    """
    num_bytes = 2 * header.depth_size[0] * header.depth_size[1]
    if header.depth_format == 'zlib':
        try:
            # Never more than expected, whatever the file holds.
            content = zlib.decompressobj().decompress(content, num_bytes + 1)
        except zlib.error as error:
            raise FrameError(f'{name}: the depth is damaged ({error})') from (
                error)
    if len(content) != num_bytes:
        raise FrameError(f'{name}: the depth is not of the size '
                         f'{header.depth_size} that the header tells')
    depth = np.frombuffer(content, '<u2').reshape(header.depth_size)
    if header.depth_shift == 1000:
        return depth
    millimeters = np.rint(depth * (1000 / header.depth_shift))
    return np.where(millimeters > 65535, 0, millimeters).astype(np.uint16)
