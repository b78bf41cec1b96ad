"""PLY files as programs write them, in the form that plyfile reads."""
import io
import re
from pathlib import Path
from typing import Dict, Optional, Union

from plyfile import PlyData

from ...store.foreign_files import LFS_POINTER

_BYTE_ORDER_MARK = b'\xef\xbb\xbf'
# A header is shorter, but for one with a hundred thousand comments.
_LONGEST_HEADER = 1 << 20
_HEADER_END = re.compile(rb'end_header[ \t]*(\r\n|\n|\r)')
_ELEMENT = re.compile(rb'^element\s+\S+\s+(\d+)', re.MULTILINE)
# How Microsoft's C library spells NaN and infinity.
_NAN = re.compile(rb'[-+]?(1\.#(QNAN|SNAN|IND|INF)0*|nan\((ind|snan)\))',
                  re.IGNORECASE)


def read_ply(
        path: Union[str, Path],
        list_lengths: Optional[Dict[str, Dict[str, int]]] = None) -> PlyData:
    """Read a PLY file, also with comments or numbers that plyfile refuses.

    Comments in any encoding, a byte order mark, numbers with decimal commas
    and Microsoft's spellings of NaN are understood.

    Args:
        path (Union[str, Path]): Local file.
        list_lengths (Optional[Dict[str, Dict[str, int]]]): Length of list
            properties by element, with which plyfile need not read row by
            row.

    Returns:
        PlyData: Its elements.

    Raises:
        ValueError: When it is a git-lfs pointer, is not a PLY file, or
            promises more rows than it has bytes.
        PlyParseError: When it is damaged otherwise.
    """
    original = Path(path).read_bytes()
    content = original.removeprefix(_BYTE_ORDER_MARK)
    check_pointer(content)
    end = _HEADER_END.search(content, 0, _LONGEST_HEADER)
    if not content.startswith(b'ply') or end is None:
        raise ValueError('it does not begin with the header of a PLY file')
    header, body = content[:end.end()], content[end.end():]
    for count in _ELEMENT.findall(header):
        if int(count[:20]) > len(body):
            raise ValueError(f'{int(count[:20])} elements do not fit into '
                             f'{len(body)} bytes: truncated')
    header = header.decode('ascii', 'replace').encode('ascii', 'replace')
    if re.search(rb'^format\s+ascii', header, re.MULTILINE):
        body = _NAN.sub(b'nan', body)
        if b',' in body and b'.' not in body:
            body = body.replace(b',', b'.')
    cleaned = header + body
    # From a file, plyfile maps lists of known length into memory.
    source = str(path) if cleaned == original else io.BytesIO(cleaned)
    return PlyData.read(source, known_list_len=list_lengths or {})


def check_pointer(content: bytes) -> None:
    """Refuse what git-lfs leaves where a file was not downloaded.

    Args:
        content (bytes): A file's content, or its beginning.

    Raises:
        ValueError: When it is such a pointer.
    """
    if content.startswith(LFS_POINTER):
        raise ValueError('it is a git-lfs pointer, not the file itself; run '
                         'git lfs pull')
