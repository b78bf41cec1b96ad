"""Arrays of ``.npz`` archives, which may be damaged."""
import io
import math
import zipfile
from pathlib import Path
from typing import Collection, Dict, List, Tuple, Union

import numpy as np

from .errors import UserError
from .foreign_files import foreign_kind

# zlib makes at most so many bytes out of one.
_LARGEST_RATIO = 1032
# Of a file, enough to tell what it is.
_BEGINNING = 10_000
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0
}


def is_text(array: np.ndarray, ndim: int) -> bool:
    """Whether an array has so many axes, and text in it."""
    return array.ndim == ndim and array.dtype.kind == 'U'


def is_finite(array: np.ndarray) -> bool:
    """Whether an array has finite numbers alone."""
    return array.dtype.kind in 'iuf' and bool(np.isfinite(array).all())


def read_npz(
    source: Union[str, Path, bytes], wanted: Collection[str] = ()
) -> Tuple[Dict[str, np.ndarray], List[str]]:
    """Read some arrays of an archive.

    Args:
        source (Union[str, Path, bytes]): Local path, or the content.
        wanted (Collection[str]): Names to read if they are there; others
            are only listed.

    Returns:
        Tuple[Dict[str, np.ndarray], List[str]]: Arrays by name, and names of
        the others.

    Raises:
        ValueError: When it is damaged, no ``.npz``, or an array needs more
            bytes than the archive can hold, none of which are allocated.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    arrays, others = {}, []
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix('.npy')
                if name in wanted:
                    arrays[name] = _read_array(archive, member)
                else:
                    others.append(name)
    except MemoryError:  # of an array that is as large as it says
        raise
    except Exception as error:
        kind = _foreign_kind(source)
        if kind:
            raise UserError(f'it is {kind}') from error
        reason = f'{type(error).__name__}: {error}'[:100]
        raise UserError(f'it is not a readable .npz ({reason})') from error
    return arrays, others


def _foreign_kind(source: Union[str, Path, bytes]) -> str:
    """Kind of a file that is not an archive."""
    if not isinstance(source, bytes):
        try:
            with open(source, 'rb') as file:
                source = file.read(_BEGINNING)
        except OSError:
            return ''
    if source.startswith(b'PK'):
        return ''
    return foreign_kind(source) or 'not an .npz archive'


def _read_array(archive: zipfile.ZipFile,
                member: zipfile.ZipInfo) -> np.ndarray:
    """One array, if the bytes are there that its header promises."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = _HEADERS[version](stream)
    held = min(member.file_size, _LARGEST_RATIO * member.compress_size)
    if math.prod(shape) * dtype.itemsize > held:
        raise UserError(f'{member.filename} of shape {shape} does not fit '
                        f'into its {held} bytes')
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
