"""Helpers of the readers of raw data."""
from typing import Iterable

from ....store.errors import FrameError, StoreError, UserError
from ....store.files import BackendArgs, exists, list_names, read_bytes
from ....store.foreign_files import foreign_kind
from ....store.manifest import HEADER, Store

# A decoding error can hold the whole file.
_LONGEST_REASON = 200
# In errors about files that end too early.
_CUT_OFF = ('early end', 'truncated', 'badzip', 'eof', 'end of file')


def read_source_file(path: str,
                     name: str,
                     remedy: str,
                     backend_args: BackendArgs = None) -> bytes:
    """Content of a raw file; what is wrong with it concerns its frame only.

    ``name`` is what errors call it, ``remedy`` what they advise. FrameError
    when it is missing, a folder, may not be read, or is a file of another
    kind, such as a git-lfs pointer.
    """
    try:
        content = read_bytes(path, backend_args)
    except FileNotFoundError:
        raise FrameError(f'{name} is missing; {remedy}') from None
    except OSError as error:
        raise FrameError(f'{name} cannot be read ({error.strerror}); '
                         f'{remedy}') from error
    kind = '' if str(path).endswith('.npy') else foreign_kind(content)
    if kind and content:
        raise FrameError(f'{name} is {kind}')
    return content


def brief(error: Exception) -> str:
    """An error for use in a sentence, never as long as the file it is of."""
    text = str(error)
    if not isinstance(error, UserError):
        text = f'{type(error).__name__}: {text}'
    if len(text) > _LONGEST_REASON:
        text = f'{text[:_LONGEST_REASON]} ...'
    return text


def hint_of(error: Exception) -> str:
    """Advice for a file that ends too early; else empty."""
    is_cut_off = any(word in str(error).lower() for word in _CUT_OFF)
    return '; it may be truncated: copy it again' if is_cut_off else ''


def check_unclaimed(store: Store, names: Iterable[str]) -> None:
    """StoreError before overwriting files or infos of other tools.

    ``names`` are paths that a step would write, at least one of each scan. A
    stopped run leaves a header, so it can resume.
    """
    if store.exists():
        return
    infos = [
        name for name in list_names(store.root, store.backend_args, '.pkl')
        if '_infos_' in name
    ]
    there = infos or (name for name in names
                      if exists(store.path(name), store.backend_args))
    for name in there:
        # Another shard may have started the store meanwhile.
        if not store.exists():
            raise StoreError(
                f'{store.path(name)} exists, but {HEADER} is missing, so its '
                'origin is unknown; choose another --out, or move it away')
