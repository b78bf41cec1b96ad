"""LAS and LAZ files of laser scanners, read by laspy.

Shapes: N points.
"""
import re
import struct
from pathlib import Path
from typing import Any, List, Optional

import numpy as np

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind
from .file_content import FileContent, import_optional

# Bytes of points that a byte of a compressed file makes at most.
_LARGEST_RATIO = 1000
# Bytes of a record's header, near the file's header and at its end.
_RECORD, _LONG_RECORD = 54, 60
# Bits of the point format that say so.
_COMPRESSED = 0xc0
_CHANNELS = ('red', 'green', 'blue')
# ProjLinearUnitsGeoKey and its values, meters.
_UNIT_KEY = 3076
_UNITS = {9001: 1., 9002: 0.3048, 9003: 1200 / 3937}
# A unit of length in the well-known text of a projection.
_UNIT = re.compile(
    r'UNIT\["([^"]*(?:met|foot|feet|inch)[^"]*)",\s*([\d.eE-]+)',
    re.IGNORECASE)


def read_las(path: Path) -> FileContent:
    """Read a LAS or LAZ file.

    Coordinates are the integers of the file times its scale plus its offset,
    float64. Colors are red, green and blue, or the intensity. Extra dimensions
    keep their names. The classes of LAS, such as ground and building, are not
    those of rooms and not used.

    ValueError when it is damaged or of another kind.
    """
    laspy = import_optional('laspy', path.suffix)
    if path.suffix.lower() == '.laz':
        import_optional('lazrs', path.suffix)
    _check_header(path)
    try:
        with laspy.open(str(path)) as reader:
            header = reader.header
            size = header.point_count * header.point_format.size
            if size > _LARGEST_RATIO * path.stat().st_size:
                raise UserError(f'{header.point_count} points do not fit into '
                                'it: truncated')
            las = reader.read()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'it is not a readable LAS file '
                        f'({type(error).__name__}: {error})') from error
    if len(las.points) != header.point_count:
        raise UserError(f'it has {len(las.points)} of {header.point_count} '
                        'points: truncated')
    return _content(las)


def _check_header(path: Path) -> None:
    """UserError when the header of a file speaks of more than it holds, which
    laspy would allocate or look for."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        start = file.read(375)
    if start[:4] != b'LASF':
        raise UserError(f'it is {foreign_kind(start) or "not a LAS file"}')
    if len(start) < 227:
        raise UserError('its header does not end: truncated')
    offset, num_records = struct.unpack_from('<II', start, 96)
    needed = [offset, 227 + _RECORD * num_records]
    if start[24:26] == b'\x01\x04' and len(start) == 375:
        at, number = struct.unpack_from('<QI', start, 235)
        needed += [at + _LONG_RECORD * number] * bool(number)
    if max(needed) > size:
        raise UserError(f'its header speaks of {max(needed)} bytes, but it '
                        f'has {size}: truncated')
    if start[104] & _COMPRESSED:
        _check_chunks(path, offset, size)


def _check_chunks(path: Path, offset: int, size: int) -> None:
    """UserError when compressed points, which begin at ``offset``, are in more
    chunks than there are bytes; lazrs would end the process."""
    try:
        with open(path, 'rb') as file:
            file.seek(offset)
            place, = struct.unpack('<q', file.read(8))
            if place == -1:  # it is at the end
                file.seek(size - 8)
                place, = struct.unpack('<q', file.read(8))
            file.seek(place + 4)
            count, = struct.unpack('<I', file.read(4))
    except (struct.error, OSError, ValueError, OverflowError) as error:
        raise UserError('its table of chunks is missing: truncated') from error
    if count > size:
        raise UserError(f'{count} chunks do not fit into {size} bytes: '
                        'truncated')


def _content(las: Any) -> FileContent:
    """What concerns us of the points (laspy.LasData)."""
    names = set(las.point_format.dimension_names)
    arrays = {'xyz': np.stack([np.asarray(las[axis]) for axis in 'xyz'], 1)}
    unused = []
    colors = {
        name: np.asarray(las[name])
        for name in (*_CHANNELS, 'intensity') if name in names
    }
    for group in (_CHANNELS, ('intensity', )):
        # Writers leave what they do not know at 0.
        if any(colors[name].any() for name in group if name in colors):
            arrays.update({name: colors[name] for name in group})
            break
    for name in las.point_format.extra_dimension_names:
        values = np.asarray(las[name])
        if values.ndim == 1:
            arrays[name] = values
        else:
            unused.append(name)
    if np.asarray(las['classification']).any():
        unused.append('classification')
    scale = _meters_per_unit(las.header.vlrs)
    notes = [] if scale in (
        None, 1.) else [f'its projection is in units of {scale:.7g} m']
    return FileContent(arrays, unused, notes, scale)


def _meters_per_unit(records: List[Any]) -> Optional[float]:
    """The unit of length that a file's projection names, if any.

    UserError when it names several, of which no scan is made.
    """
    found = set()
    for record in records:
        for key in getattr(record, 'geo_keys', ()):
            if key.id == _UNIT_KEY and key.value_offset in _UNITS:
                found.add(_UNITS[key.value_offset])
        text = str(getattr(record, 'string', ''))
        if text.startswith(('PROJCS', 'COMPD_CS')):
            found |= {float(value) for _, value in _UNIT.findall(text)}
    distinct = sorted(found)
    if distinct and distinct[-1] - distinct[0] > 1e-5 * distinct[0]:
        raise UserError('its projection has several units of length: '
                        f'{", ".join(f"{x:g} m" for x in distinct)}; convert '
                        'it to meters')
    return distinct[0] if distinct else None
