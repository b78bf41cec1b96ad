"""Tables, JSON and cameras of the recordings of phones.

Shapes: F frames, H W pixels.
"""
import json
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ....ops.projection import scale_intrinsics
from ....store.errors import StoreError
from ....store.files import BackendArgs, exists, read_bytes
from ....store.foreign_files import decode_text
from .frames import FrameFiles

# Frames whose focal lengths or principal point are off by a larger share of
# the focal length are left out: one camera is stored for all.
_LARGEST_DEVIATION = 0.02
# A share by which the sides of a resized image may differ in their scales.
_LARGEST_STRETCH = 0.01
# A share of an image by which the principal point may be off its center.
_LARGEST_SHIFT = 0.05
Shape = Tuple[int, int]


def common_camera(frames: Sequence[FrameFiles],
                  cameras: Sequence[Optional[Dict[str, Any]]],
                  keys: Tuple[str, ...], size: Tuple[str, str],
                  notes: List[str]) -> Tuple[np.ndarray, Shape]:
    """The median of the frames' cameras.

    Args:
        frames (Sequence[FrameFiles]): Those whose camera is another get a
            problem, in place.
        cameras (Sequence[Optional[Dict[str, Any]]]): Camera of each frame.
        keys (Tuple[str, ...]): Names of fx, fy, cx and cy.
        size (Tuple[str, str]): Names of height and width.
        notes (List[str]): Receives how far the cameras differ.

    Returns:
        Tuple[np.ndarray, Shape]: (3, 3) intrinsics, and H, W of the images.

    Raises:
        StoreError: When a camera lacks a number.
    """
    rows = np.full((len(frames), 6), np.nan)
    for row, frame, camera in zip(rows, frames, cameras):
        if camera is None:
            continue
        try:
            row[:] = [float(camera[key]) for key in (*keys, *size)]
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f'frame {frame.source} does not say what its '
                             f'camera is ({error!r}); export the recording '
                             'again') from None
    known = ~np.isnan(rows).any(axis=1)
    if not known.any() or not (rows[known][:, [0, 1, 4, 5]] > 0).all():
        raise StoreError('the recording does not say what its cameras are; '
                         'export it again')
    middle = np.median(rows[known], axis=0)
    off = np.abs(rows - middle)[:, :4].max(axis=1) / middle[0]
    is_other = (off > _LARGEST_DEVIATION) | (rows[:, 4:] != middle[4:]).any(1)
    for index in np.flatnonzero(~known | is_other):
        frames[index].problem = frames[index].problem or (
            f'frame {frames[index].source} has no camera, or another than '
            'most')
    kept = off[known & ~is_other]
    if kept.size and kept.max() > 1e-4:
        notes.append('one camera for all frames, the median; they differ by '
                     f'up to {kept.max():.1%}')
    fx, fy, cx, cy, height, width = middle
    return (np.array([[fx, 0, cx], [0, fy, cy],
                      [0, 0, 1]]), (int(height), int(width)))


def fit_to_image(intrinsics: np.ndarray, shape: Shape, size: Shape,
                 notes: List[str]) -> np.ndarray:
    """Intrinsics of the color images as they are.

    Args:
        intrinsics (np.ndarray): (3, 3), pixels of an image of ``shape``.
        shape (Shape): H, W that the recording states.
        size (Shape): H, W of the images, which may have been resized.
        notes (List[str]): Receives that they were.

    Returns:
        np.ndarray: (3, 3), pixels of an image of ``size``.

    Raises:
        StoreError: When they have been cropped, turned or stretched.
    """
    if size == shape:
        return intrinsics
    found = f'color images are {size[1]}x{size[0]}'
    stated = f'the recording says {shape[1]}x{shape[0]}'
    stretch = (size[1] / shape[1]) / (size[0] / shape[0])
    if abs(stretch - 1) > _LARGEST_STRETCH:
        raise StoreError(f'{found}, but {stated}; restore the images of the '
                         'recording, or resize them without cropping')
    notes.append(f'{found} and {stated}: intrinsics scaled')
    return scale_intrinsics(intrinsics, shape, size)


def check_center(intrinsics: np.ndarray, size: Shape, name: str,
                 images: str) -> None:
    """Check intrinsics that do not say the size of their images.

    Args:
        intrinsics (np.ndarray): (3, 3), pixels.
        size (Shape): H, W of the images.
        name (str): File of the intrinsics, for the error.
        images (str): File of the images, for the error.

    Raises:
        StoreError: When the principal point is far from the center, as after
            the images were resized.
    """
    height, width = size
    cx, cy = intrinsics[:2, 2]
    if max(abs(cx / width - 0.5), abs(cy / height - 0.5)) > _LARGEST_SHIFT:
        raise StoreError(f'{name} has its center at {cx:.0f}, {cy:.0f}, but '
                         f'{images} is {width}x{height}; copy the file as '
                         'recorded, or scale the matrix')


def words_of(intrinsics: np.ndarray) -> str:
    """fx,fy,cx,cy as for :func:`~.matrices.read_intrinsics`."""
    values = intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]
    return ','.join(repr(float(value)) for value in values)


def read_json(path: str, backend_args: BackendArgs) -> Dict[str, Any]:
    """The object of a JSON file; StoreError for anything else."""
    try:
        content = json.loads(decode_text(read_bytes(path, backend_args)))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f'{path} cannot be read ({error!r:.90}); copy it '
                         'again') from error
    if not isinstance(content, dict):
        raise StoreError(f'{path} is not an object of JSON; copy it again')
    return content


def read_lines(path: str, backend_args: BackendArgs) -> List[str]:
    """Lines of a table, without its header and empty ones."""
    if not exists(path, backend_args):
        raise StoreError(f'{path} is missing; copy the whole recording')
    try:
        text = decode_text(read_bytes(path, backend_args))
    except (OSError, ValueError) as error:
        raise StoreError(f'{path} cannot be read ({error!r:.90}); copy it '
                         'again') from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[bool(lines and lines[0][0].isalpha()):]


def read_table(path: str, backend_args: BackendArgs) -> List[float]:
    """All numbers of a table; StoreError for anything else."""
    try:
        return [
            float(word) for line in read_lines(path, backend_args)
            for word in line.replace(',', ' ').split()
        ]
    except ValueError as error:
        raise StoreError(f'{path} holds something else than numbers '
                         f'({error}); copy it again') from error
