"""PCD files of the Point Cloud Library: ascii, binary, binary_compressed.

The format is described on
https://pointclouds.org/documentation/tutorials/pcd_file_format.html; the
compression is that of liblzf.

Shapes: N points.
"""
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind
from .file_content import FileContent

_LONGEST_HEADER = 1 << 16
_KINDS = {'F': (4, 8), 'I': (1, 2, 4, 8), 'U': (1, 2, 4, 8)}
_NOWHERE = [0., 0, 0, 1, 0, 0, 0]
# Bytes that three bytes of LZF make at most.
_LARGEST_RATIO = 88
_PACKED = ('rgb', 'rgba')
_LARGEST_CHANNEL = 65535


@dataclass
class _Header:
    """The fields of a point and how they are stored."""
    columns: List[Tuple[str, np.dtype, int]]  # Name, type, values per point
    count: int  # N
    storage: str  # ascii, binary or binary_compressed
    viewpoint: str  # Where the sensor was, if not at the origin

    @property
    def stride(self) -> int:
        """Bytes of a point."""
        return sum(kind.itemsize * n for _, kind, n in self.columns)


def read_pcd(path: Path) -> FileContent:
    """Read a PCD file.

    Fields of several values per point, and padding, are not used. The
    viewpoint says where the sensor was and moves no point; it is listed as
    not used unless it is the origin.

    ValueError when it is damaged or of another kind.
    """
    header, body = _split(path.read_bytes())
    readers = dict(
        ascii=_read_text, binary=_read_rows, binary_compressed=_read_columns)
    if header.storage not in readers:
        raise UserError(f'its DATA is {header.storage}, which is not '
                        f'{", ".join(readers)}')
    values = readers[header.storage](header, body)
    arrays, unused = {}, []
    for index, (name, _, per_point) in enumerate(header.columns):
        if name == '_':
            continue
        if per_point == 1 and name not in arrays:
            arrays[name] = values[index]
        else:
            unused.append(name)
    if header.viewpoint:
        unused.append(f'VIEWPOINT {header.viewpoint}')
    return FileContent(arrays, unused)


def _split(content: bytes) -> Tuple[_Header, bytes]:
    """The header and what follows it."""
    end = re.search(rb'^DATA[ \t]+(\S+)[ \t]*\r?\n', content[:_LONGEST_HEADER],
                    re.MULTILINE | re.IGNORECASE)
    if end is None:
        kind = foreign_kind(content)
        kind = '' if 'PCD' in kind else kind
        raise UserError(f'it is {kind or "not a PCD file: it has no DATA"}')
    entries: Dict[str, List[str]] = {}
    for line in content[:end.start()].decode('ascii', 'replace').splitlines():
        words = line.split()
        if words and words[0][0] != '#':
            entries[words[0].upper()] = words[1:]
    names = entries.get('FIELDS') or entries.get('COLUMNS') or []
    ones = ['1'] * len(names)
    shapes = [entries.get(key, ones) for key in ('SIZE', 'TYPE', 'COUNT')]
    if not names or any(len(words) != len(names) for words in shapes):
        raise UserError('its header does not give one SIZE, TYPE and COUNT '
                        'for each of its FIELDS')
    columns = [(name, _dtype(kind, int(size)), int(number))
               for name, size, kind, number in zip(names, *shapes)]
    width, height = (
        int(entries.get(key, ['1'])[0]) for key in ('WIDTH', 'HEIGHT'))
    count = int(entries.get('POINTS', [str(width * height)])[0])
    if count != width * height:
        raise UserError(f'its header says {count} POINTS, but WIDTH x HEIGHT '
                        f'is {width} x {height}')
    if count < 0 or min(number for *_, number in columns) < 1:
        raise UserError('its header holds a number that is not positive')
    viewpoint = entries.get('VIEWPOINT', [])
    is_moved = viewpoint and [float(x) for x in viewpoint] != _NOWHERE
    return _Header(
        columns, count, end[1].decode().lower(),
        ' '.join(viewpoint) if is_moved else ''), content[end.end():]


def _dtype(kind: str, size: int) -> np.dtype:
    if size not in _KINDS.get(kind.upper(), ()):
        raise UserError(f'its header has a field of TYPE {kind}, SIZE {size}, '
                        'which PCD does not have')
    return np.dtype(f'<{kind.lower()}{size}')


def _read_text(header: _Header, body: bytes) -> List[np.ndarray]:
    """Values of each column; those of several per point as (N, values)."""
    width = sum(number for *_, number in header.columns)
    with warnings.catch_warnings():
        # Of text that is not a number, where numpy stops.
        warnings.simplefilter('ignore', DeprecationWarning)
        numbers = np.fromstring(body.decode('ascii', 'replace'), sep=' ')
    if numbers.size != header.count * width:
        raise UserError(f'it has {numbers.size} numbers, but {header.count} '
                        f'points of {width} were expected; it may be '
                        'truncated')
    table = numbers.reshape(header.count, width)
    ends = np.cumsum([number for *_, number in header.columns])
    return [
        _from_text(values, name, kind) for values, (
            name, kind,
            _) in zip(np.split(table, ends[:-1], axis=1), header.columns)
    ]


def _from_text(values: np.ndarray, name: str, kind: np.dtype) -> np.ndarray:
    """Values of one column in its type."""
    values = values[:, 0] if values.shape[1] == 1 else values
    if kind.kind == 'f':
        # The library writes packed colors as integers whatever their type.
        is_packed = name in _PACKED and (values.max(initial=0)
                                         > _LARGEST_CHANNEL)
        return values.astype(np.uint32) if is_packed else values
    if not (np.isfinite(values).all() and (values % 1 == 0).all()):
        raise UserError(f'its {name} holds a number that is not an integer')
    return values.astype(kind)


def _read_rows(header: _Header, body: bytes) -> List[np.ndarray]:
    if len(body) < header.count * header.stride:
        raise UserError(f'{header.count} points do not fit into {len(body)} '
                        'bytes: truncated')
    row = np.dtype([(str(i), kind, number) if number > 1 else (str(i), kind)
                    for i, (_, kind, number) in enumerate(header.columns)])
    rows = np.frombuffer(body, row, header.count)
    return [rows[str(i)].copy() for i in range(len(header.columns))]


def _read_columns(header: _Header, body: bytes) -> List[np.ndarray]:
    """Values of a compressed file, which holds one column after the other."""
    packed, unpacked = np.frombuffer(body, '<u4', 2).tolist()
    if len(body) - 8 < packed or unpacked > _LARGEST_RATIO * packed:
        raise UserError(f'{packed} compressed bytes do not fit into '
                        f'{len(body)} bytes: truncated')
    if unpacked < header.count * header.stride:
        raise UserError(f'{header.count} points do not fit into {unpacked} '
                        'bytes: truncated')
    content = _decompress(body[8:8 + packed], unpacked)
    columns, start = [], 0
    for _, kind, number in header.columns:
        values = np.frombuffer(content, kind, header.count * number, start)
        start += values.nbytes
        columns.append(values if number == 1 else values.reshape(-1, number))
    return columns


def _decompress(packed: bytes, size: int) -> bytes:
    """Undo LZF.

    A control byte under 32 is followed by one byte more than it says;
    otherwise its upper three bits are the length, 7 that another byte adds to
    it, and its lower five with the next byte the distance of a copy.
    """
    result, i, end = bytearray(), 0, len(packed)
    try:
        while i < end:
            control = packed[i]
            i += 1
            if control < 32:
                result += packed[i:i + control + 1]
                i += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += packed[i]
                i += 1
            start = len(result) - ((control & 31) << 8 | packed[i]) - 1
            i += 1
            if start < 0:
                raise IndexError
            length += 2
            piece = result[start:start + length]
            # A copy may reach into what it writes.
            result += (piece * (length // len(piece) + 1))[:length]
    except IndexError:
        raise UserError('its compressed points are damaged') from None
    if len(result) != size:
        raise UserError(f'it unpacks to {len(result)} bytes instead of '
                        f'{size}: truncated')
    return bytes(result)
