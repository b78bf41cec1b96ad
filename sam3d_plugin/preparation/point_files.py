"""Points of scans as mmdet3d's data sets store them: ``points/<scan>.bin``.

Shapes: N points.
"""
import numpy as np

from ..store.errors import FrameError
from ..store.files import BackendArgs, PathLike, join, read_bytes

# x, y, z in meters and color.
COLUMNS = 6


def read_points(folder: PathLike,
                scan: str,
                backend_args: BackendArgs = None) -> np.ndarray:
    """(N, 6) float32 points of a scan in the folder, as stored.

    FrameError when the file is missing, empty or truncated. It names no
    folder of this machine, since records keep it.
    """
    name = f'points/{scan}.bin'
    try:
        content = read_bytes(join(folder, f'{scan}.bin'), backend_args)
    except FileNotFoundError:
        raise FrameError(f'{name} is missing; prepare the scan') from None
    if not content or len(content) % (4 * COLUMNS):
        raise FrameError(f'{name} is empty or truncated: {len(content)} bytes '
                         f'are not {COLUMNS} float32 per point; prepare the '
                         'scan again')
    return np.frombuffer(content, '<f4').reshape(-1, COLUMNS)
