"""Text in any encoding, and files that are not what their name says."""
import codecs
import re
from typing import List

from .errors import UserError

_MARKS = {
    codecs.BOM_UTF16_LE: 'utf-16',
    codecs.BOM_UTF16_BE: 'utf-16',
    codecs.BOM_UTF8: 'utf-8-sig'
}
# Beginnings of files that people find in the place of the one they want.
_KINDS = (
    (rb'version https://git-lfs', 'a git-lfs pointer, not the file itself; '
     'run git lfs pull'),
    (rb'\s*<(!doctype|html|\?xml)', 'a web page (HTML or XML), not the file '
     'itself; download it again'),
    (rb'\x1f\x8b', 'compressed by gzip; unpack it with gunzip'),
    (rb'\x93NUMPY', 'a single .npy array; store it with numpy.savez'),
    (rb'ply\s', 'a PLY file; give it the ending .ply'),
    (rb'# \.PCD', 'a PCD file; give it the ending .pcd'),
    (rb'PK\x03\x04', 'a zip archive (or .npz); unpack it'),
    (rb'\x89HDF\r\n', 'an HDF5 file; convert it'),
    (rb'\0*\Z', 'empty or all zeros; copy it again'),
)


def foreign_kind(content: bytes) -> str:
    """Kind of a file that could not be read as expected.

    For use after "it is"; empty if nothing is known. Takes the file or its
    beginning.
    """
    for pattern, kind in _KINDS:
        if re.match(pattern, content, re.IGNORECASE):
            return kind
    return ''


def decode_text(content: bytes, errors: str = 'replace') -> str:
    """Text in UTF-8 or UTF-16, with or without a byte order mark.

    Without the mark. ValueError when it is another kind of file.
    """
    kind = foreign_kind(content)
    if kind and content:
        raise UserError(f'it is {kind}')
    encoding = next(
        (name for mark, name in _MARKS.items() if content.startswith(mark)),
        'utf-8')
    return content.decode(encoding, errors)


def parse_numbers(content: bytes) -> List[float]:
    """Numbers of a text, whatever separates them.

    Args:
        content (bytes): Numbers between blanks, commas or brackets, perhaps
            with decimal commas. What follows a # in a line is skipped.

    Returns:
        List[float]: In the order of the file.

    Raises:
        ValueError: When it holds something else.
    """
    lines = decode_text(content).splitlines()
    text = re.sub(r'[][;]', ' ', ' '.join(x.partition('#')[0] for x in lines))
    if '.' not in text and all(
            re.fullmatch(r'[-+]?\d+(,\d+)?(e[-+]?\d+)?', word, re.I)
            for word in text.split()):
        text = text.replace(',', '.')
    return [float(word) for word in text.replace(',', ' ').split()]
