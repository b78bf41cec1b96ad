"""PLY files as programs write them, in the form that plyfile reads."""
import codecs
import io
import re
from pathlib import Path
from typing import Dict, Optional, Tuple, Union

from plyfile import PlyData, PlyListProperty, PlyParseError

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind

# A header is shorter, but for one with a hundred thousand comments.
_LONGEST_HEADER = 1 << 20
_HEADER_END = re.compile(rb'end_header[ \t]*(\r\n|\n|\r)')
_LINE_END = re.compile(rb'\r\n|\n|\r')
_EMPTY_LINES = re.compile(rb'\n[ \t]*(?=\n)')
_ELEMENT = re.compile(rb'^element\s+\S+\s+(\d+)', re.MULTILINE)
# How C libraries and other programs spell NaN and infinity.
_NAN = re.compile(
    rb'(?<!\S)([-+]?(1\.#(QNAN|SNAN|IND|INF)0*|nan\(\w*\))|null|none|n/?a)'
    rb'(?!\S)', re.IGNORECASE)


def read_ply(
        path: Union[str, Path],
        list_lengths: Optional[Dict[str, Dict[str, int]]] = None) -> PlyData:
    """Read a PLY file, also with comments or numbers that plyfile refuses.

    Comments in any encoding, byte order marks, any line ends, empty lines,
    decimal commas and Microsoft's spellings of NaN are understood. With
    lengths of list properties by element, plyfile need not read row by row.
    ValueError when it is not a PLY file, has more or fewer rows than it says,
    or numbers with commas; PlyParseError when it is damaged otherwise.
    """
    original = Path(path).read_bytes()
    header, body = _split(original)
    is_text = re.search(rb'^format\s+ascii', header, re.MULTILINE) is not None
    if is_text:
        body = _NAN.sub(b'nan', _with_plain_lines(body))
        if b',' in body and b'.' not in body:
            body = body.replace(b',', b'.')
    cleaned = header + body
    # From a file, plyfile maps lists of known length into memory.
    source = str(path) if cleaned == original else io.BytesIO(cleaned)
    try:
        ply = PlyData.read(source, known_list_len=list_lengths or {})
    except PlyParseError as error:
        reason = _why_not_numbers(header, body, str(error)) if is_text else ''
        if not reason:
            raise
        raise UserError(reason) from error
    _check_surplus(ply, body, is_text)
    return ply


def _split(content: bytes) -> Tuple[bytes, bytes]:
    """The header of a PLY file in plain ASCII, and what follows it."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode('utf-16', 'replace').encode()
    content = content.lstrip() if content[:1].isspace() else content
    if not re.match(rb'ply\s', content, re.IGNORECASE):
        kind = foreign_kind(content) or 'not a PLY file: it has no header'
        raise UserError(f'it is {kind}')
    end = _HEADER_END.search(content, 0, _LONGEST_HEADER)
    if end is None:
        raise UserError('its header does not end: end of file')
    header, body = content[:end.end()], content[end.end():]
    for count in _ELEMENT.findall(header):
        if int(count[:20]) > len(body):
            raise UserError(f'{int(count[:20])} elements do not fit into '
                            f'{len(body)} bytes: truncated')
    if (end[1] == b'\r\n' and b'format binary' in header and b'\n' in body
            and body.count(b'\n') == body.count(b'\r\n')):
        raise UserError('a transfer as text has changed its bytes; copy it '
                        'in binary mode')
    header = header.decode('ascii', 'replace').encode('ascii', 'replace')
    lines = [line.rstrip() for line in _LINE_END.split(header)]
    lines[0] = b'ply'
    return b'\n'.join(line for line in lines if line) + b'\n', body


def _with_plain_lines(body: bytes) -> bytes:
    """Text with the line ends of Unix, and without empty lines."""
    body = _LINE_END.sub(b'\n', body) if b'\r' in body else body
    return _EMPTY_LINES.sub(b'', body).lstrip(b'\n')


def _why_not_numbers(header: bytes, body: bytes, error: str) -> str:
    """Problem in the rows of a text; empty if it ends too early."""
    if b',' in body:
        return ('its numbers hold commas; write 1234.5, with blanks between '
                f'the numbers ({error})')
    count = sum(int(count[:20]) for count in _ELEMENT.findall(header))
    if 'end-of-line' in error and body.count(b'\n') >= count:
        return error.replace('early end-of-line', 'the row is too short')
    return ''


def _check_surplus(ply: PlyData, body: bytes, is_text: bool) -> None:
    """Check that the rows match the header."""
    if is_text:
        surplus = (len(body.rstrip().split(b'\n')) if body.strip() else 0) - (
            sum(len(element.data) for element in ply.elements))
    elif any(
            isinstance(prop, PlyListProperty) for element in ply.elements
            for prop in element.properties):
        return  # of any length
    else:
        sizes = [element.data.dtype.itemsize for element in ply.elements]
        held = sum(
            len(element.data) * size
            for element, size in zip(ply.elements, sizes))
        surplus = (len(body) - held) // max(*sizes, 1)
    if surplus > 0:
        raise UserError(f'it has {surplus} rows more than its header says; '
                        'correct the numbers after "element"')
