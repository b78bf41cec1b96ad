"""Id maps of frames: which 2D region each color pixel is in.

    region_maps/<scan>/<frame>.png    uint16, 0 = in no region, ids 1..R

Row i of a frame's region features belongs to region i + 1. Shapes: H W
pixels, R regions.
"""
import io
from pathlib import PurePosixPath
from typing import List, Optional

import numpy as np
from PIL import Image

from .errors import FrameError
from .files import BackendArgs, PathLike, join, list_names, read_bytes
from .manifest import Store
from .posed_images import decode_image
from .records import ScanRecord, fingerprint

MAX_REGIONS = np.iinfo(np.uint16).max


def check_region_map(ids: np.ndarray, name: str) -> np.ndarray:
    """An id map as uint16, if it is one.

    (H, W) integers, 0 = in no region, become uint16 with ids 1..R, R at least
    1. FrameError when there is no region, ids are not contiguous, or there are
    over 65,535.
    """
    if ids.ndim != 2 or ids.dtype.kind not in 'iu':
        raise FrameError(f'{name}: an id map is one integer per pixel, this '
                         f'is {ids.dtype} of shape {ids.shape}')
    largest = int(ids.max(initial=0))
    if ids.size and ids.min() < 0:
        raise FrameError(f'{name}: region id {ids.min()} is negative; use 0 '
                         'for pixels in no region')
    if largest == 0:
        raise FrameError(f'{name} has no region')
    if largest > MAX_REGIONS:
        raise FrameError(f'{name} has {largest:,} regions, and uint16 holds '
                         f'{MAX_REGIONS:,}; ask for larger regions')
    counts = np.bincount(ids.reshape(-1), minlength=largest + 1)
    if not counts[1:].all():
        missing = int(np.flatnonzero(counts[1:] == 0)[0]) + 1
        raise FrameError(f'{name}: ids are not contiguous, {missing} of '
                         f'1..{largest} is missing')
    return ids.astype(np.uint16)


def encode_region_map(ids: np.ndarray) -> bytes:
    """(H, W) uint16 as a PNG that people can open."""
    buffer = io.BytesIO()
    Image.fromarray(ids.astype(np.uint16)).save(buffer, 'PNG', optimize=False)
    return buffer.getvalue()


def decode_region_map(content: bytes, name: str) -> np.ndarray:
    """Read an id map and check it.

    (H, W) uint16 with ids 1..R. FrameError when it is damaged or breaks a rule
    of :func:`check_region_map`.
    """
    return check_region_map(decode_image(content, name), name)


class RegionMaps:
    """Reads a folder of id maps.

    Args:
        root (PathLike): The folder ``region_maps``, local or remote.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    def __init__(self,
                 root: PathLike,
                 backend_args: BackendArgs = None) -> None:
        self.root = str(root)
        self.backend_args = backend_args
        self._record: Optional[ScanRecord] = None

    def scans(self) -> List[str]:
        """Sorted names of the scans that have id maps."""
        return [
            name
            for name in list_names(self.root, self.backend_args, folders=True)
            if self.frames(name)
        ]

    def frames(self, scan: str) -> List[str]:
        """Sorted names of the frames that have one."""
        files = list_names(
            join(self.root, scan), self.backend_args, suffix='.png')
        return [PurePosixPath(file).stem for file in files]

    def read(self, scan: str, frame: str) -> np.ndarray:
        """The id map of a frame.

        (H, W) uint16 with ids 1..R. FrameError when it is missing or damaged.
        """
        path = join(self.root, scan, f'{frame}.png')
        # Records hold no absolute paths.
        name = join(PurePosixPath(self.root).name, scan, f'{frame}.png')
        try:
            content = read_bytes(path, self.backend_args)
        except FileNotFoundError:
            raise FrameError(
                self._why_missing(scan, frame)
                or f'{name} is missing; run tools/preparation/'
                'generate_regions.py first') from None
        except OSError as error:
            raise FrameError(
                f'{name} cannot be read ({error.strerror})') from error
        return decode_region_map(content, name)

    def checksum(self, scan: str, frame: str) -> str:
        """Checksum of an id map and its inputs.

        Empty without a record.
        """
        record = self.record(scan)
        item = record.items.get(frame) if record else None
        return item.fingerprint if item else ''

    def scan_checksum(self, scan: str) -> str:
        """The same of all id maps of a scan; empty without a record."""
        record = self.record(scan)
        return fingerprint([[frame, item.fingerprint]
                            for frame, item in record.completed.items()
                            ]) if record else ''

    def check_complete(self, scan: str) -> None:
        """Raise an error for a scan with missing or incomplete id maps.

        FrameError when it has no record.
        """
        if self.record(scan) is None:
            raise FrameError(
                f'the id maps of {scan} are missing or incomplete; run '
                'tools/preparation/generate_regions.py first')

    def record(self, scan: str) -> Optional[ScanRecord]:
        """The record of a scan, read once; None while it is not complete."""
        record = self._record  # of another thread's scan, perhaps
        if record is None or record.scan != scan:
            record = Store(self.root, self.backend_args).record(scan)
            self._record = record
        return record

    def _why_missing(self, scan: str, frame: str) -> str:
        """Why a frame was skipped, if that is known."""
        record = self.record(scan)
        item = record.items.get(frame) if record else None
        reason = item.reason if item else record.reason if record else ''
        return f'{scan}/{frame} has no id map: {reason}' if reason else ''
