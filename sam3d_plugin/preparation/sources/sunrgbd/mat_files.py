"""MATLAB's files as numpy arrays, without MATLAB."""
import io
import math
import struct
import zlib
from typing import Any, Iterator, List, Tuple

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ....store.errors import StoreError, UserError
from ....store.files import BackendArgs, PathLike, read_bytes
from ....store.foreign_files import foreign_kind
from ..scans.source_files import brief

# Of format 5: the header, and codes of elements and of arrays.
_HEADER_BYTES, _TAG_BYTES = 128, 8
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC, _CHARACTERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}, {1, 2, 4, 16, 17, 18}
_PREAMBLE = [6, 5, 1]
_CELL, _STRUCT, _TEXT, _NUMBERS = 1, 2, 4, range(6, 16)
_ARRAYS = {_CELL, _STRUCT, _TEXT, *_NUMBERS}
_COMPLEX = 0x800
_CHUNK = 1 << 20

# What scipy's reader raises for damaged files, its own slips included.
_DAMAGES = (MatReadError, ValueError, TypeError, LookupError, EOFError,
            NameError, AttributeError, ArithmeticError, MemoryError, OSError,
            zlib.error)


def read_mat(path: PathLike,
             name: str,
             backend_args: BackendArgs = None) -> np.ndarray:
    """One variable of a MATLAB file: structs as records, cells and strings as
    object arrays.

    FileNotFoundError when the file is missing, StoreError when it is damaged,
    of MATLAB's format 7.3, or has no such variable.
    """
    return decode_mat(read_bytes(path, backend_args), name, str(path))


def decode_mat(content: bytes, name: str, path: str) -> np.ndarray:
    """One variable of the content of a MATLAB file; see :func:`read_mat`."""
    try:
        check_elements(content)
        variables = loadmat(io.BytesIO(content), variable_names=[name])
    except NotImplementedError:
        raise StoreError(
            f"{path} is in MATLAB's format 7.3 (HDF5); load it in MATLAB or "
            "Octave and save it with save(FILE, '-v7'), or take the "
            "release's own file") from None
    except _DAMAGES as error:
        kind = foreign_kind(content)
        raise StoreError(f'{path} is ' + (
            kind or f'not a readable MATLAB file ({brief(error)}); copy it '
            'again')) from error
    if name not in variables:
        raise StoreError(f'{path} has no variable {name}; is it another file?')
    return variables[name]


def check_elements(content: bytes) -> None:
    """Check for damage that would crash scipy's reader.

    It looks codes up in tables of C without asking whether they are in them,
    and makes room for as many cells as a file says. Compressed elements have a
    checksum, others are walked through. ValueError when an element is of
    unknown kind or larger than what it is in, or an array is not of cells,
    structs, text or numbers.
    """
    order = dict(IM='<', MI='>').get(content[126:128].decode('latin-1'))
    if order is None or content[:4].count(0):
        raise UserError('it has no header of format 5')
    if content[124:126] in (b'\x00\x02', b'\x02\x00'):
        return  # format 7.3, which scipy refuses
    view = memoryview(content)
    for code, element in _elements(view[_HEADER_BYTES:], order, True):
        if code == _COMPRESSED:
            _check_compressed(element)
        elif code == _MATRIX:
            _check_matrix(element, order)


def _elements(content: memoryview, order: str,
              is_file: bool) -> Iterator[Tuple[int, memoryview]]:
    """Codes and contents of consecutive elements."""
    start = 0
    while start < len(content):
        tag = content[start:start + _TAG_BYTES]
        if len(tag) < _TAG_BYTES:
            raise UserError('it ends inside an element')
        code, size = struct.unpack(f'{order}II', tag)
        begin = start + _TAG_BYTES
        if code >> 16:  # four bytes or less, in the tag
            code, size, begin = code & 0xffff, code >> 16, start + 4
        end = begin + size
        known = {_MATRIX, _COMPRESSED
                 } if is_file else {*_NUMERIC, *_CHARACTERS, _MATRIX}
        if code not in known or end > len(content) or (begin == start + 4
                                                       and size > 4):
            raise UserError(f'an element of kind {code} and {size} bytes is '
                            'damaged')
        yield code, content[begin:end]
        padding = 0 if code == _COMPRESSED else -size % 8
        start = start + 8 if begin == start + 4 else end + padding


def _check_compressed(content: memoryview) -> None:
    """Compare a compressed element with its checksum, part by part."""
    stream, rest = zlib.decompressobj(), bytes(content)
    while rest and not stream.eof:
        stream.decompress(rest, _CHUNK)
        rest = stream.unconsumed_tail
    if not stream.eof:
        raise UserError('a compressed element is cut off')


def _check_matrix(content: memoryview, order: str) -> None:
    """Check the elements that make an array, and arrays inside it."""
    parts = list(_elements(content, order, False))
    if not parts:
        return  # an empty cell
    codes = [code for code, _ in parts]
    if codes[:3] != _PREAMBLE or len(parts[0][1]) != 8:
        raise UserError('an array has no flags, sizes and name')
    flags, _ = struct.unpack(f'{order}II', parts[0][1])
    sizes = parts[1][1][:len(parts[1][1]) // 4 * 4]
    shape = struct.unpack(f'{order}{len(sizes) // 4}i', sizes)
    kind, rest = flags & 0xff, codes[3:]
    if (kind not in _ARRAYS or min(shape, default=0) < 0
            or not _holds(kind, bool(flags & _COMPLEX), math.prod(shape), rest)
            or math.prod(shape) > len(content)):
        raise UserError(f'an array of kind {kind} and shape {shape} has '
                        f'{len(content)} bytes in {len(rest)} parts')
    for code, part in parts[3:]:
        if code == _MATRIX:
            _check_matrix(part, order)


def _holds(kind: int, is_complex: bool, count: int, codes: List[int]) -> bool:
    """Whether an array of ``count`` elements can consist of such parts."""
    if kind in _NUMBERS:
        return len(codes) == 1 + is_complex and _NUMERIC >= set(codes)
    if kind == _TEXT:
        return len(codes) == 1 and codes[0] in _CHARACTERS
    if kind == _CELL:
        return codes == [_MATRIX] * count
    # length of the names and the names, then the fields of each struct
    fields = codes[2:]
    return (codes[:2] == [5, 1] and set(fields) <= {_MATRIX}
            and (not count or len(fields) % count == 0))


def text_of(value: Any) -> str:
    """A MATLAB string, which may be empty or nested in a cell."""
    while isinstance(value, np.ndarray):
        if value.size == 0:
            return ''
        value = value.ravel()[0]
    return str(value)


def numbers_of(value: Any) -> np.ndarray:
    """A MATLAB matrix as float64, at least one-dimensional."""
    return np.atleast_1d(np.asarray(value, dtype=np.float64))
