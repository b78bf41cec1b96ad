"""What a file is when it is not what its reader expects."""
from pathlib import Path
from typing import Union

LFS_POINTER = b'version https://git-lfs'


def describe_foreign(path: Union[str, Path]) -> str:
    """Name a file that a reader could not use.

    Args:
        path (Union[str, Path]): The file.

    Returns:
        str: What it is and what to do; '' when its beginning does not tell.
    """
    with open(path, 'rb') as file:
        head = file.read(4096)
    begin = head.lstrip()
    if not begin:
        return 'is empty; copy it again'
    if begin.startswith(LFS_POINTER):
        return ('is a git-lfs pointer, not the file itself; run git lfs pull '
                'where it comes from')
    if begin.startswith(b'<'):
        return 'is a web page, not the file itself; download it again'
    if b'"weight_map"' in head:
        return ('is the index of a checkpoint in several files; save the '
                'model in one')
    if begin.startswith(b'\x1f\x8b'):
        return 'is packed by gzip; unpack it'
    if Path(path).suffix == '.py':
        return 'is a Python file; are config and checkpoint swapped?'
    try:
        head[:-4].decode('utf-8')
    except UnicodeDecodeError:
        return ''
    is_text = not any(byte < 32 and byte not in b'\t\n\r\f' for byte in head)
    return 'is a text file; check the path' if is_text else ''
