"""Errors for users: a sentence on what is wrong, where and what to do."""
import errno
import os
import pickle
from contextlib import contextmanager
from typing import Iterator, List, Union

# What reading a damaged pickle, or one of something else, raises.
BROKEN_PICKLE = (pickle.UnpicklingError, EOFError, ImportError, LookupError,
                 AttributeError, TypeError, ValueError, ArithmeticError,
                 MemoryError, RecursionError)
_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class UserError(ValueError):
    """An error that the user can fix; tools print its message alone."""


class StoreError(UserError):
    """A store cannot be read or written."""


class OtherSettingsError(StoreError):
    """A store was made with other settings.

    Args:
        root (str): Folder of the store.
        found (List[str]): What differs, each ``name old, now new``.
    """

    def __init__(self, root: str, found: List[str]) -> None:
        super().__init__(root, found)
        self.reason = f'{root} was made with other settings: '
        self.reason += '; '.join(found[:5])

    def __str__(self) -> str:
        return f'{self.reason}. Use the old ones, or choose another --out'


class FrameError(UserError):
    """A frame or scan cannot be used; a run records this and skips it."""


class ScanError(UserError):
    """A file cannot be imported."""


class CheckpointError(UserError):
    """A checkpoint cannot be used."""


class RecordError(UserError):
    """The record of a run cannot be used for what is asked."""


def explain_os_error(error: OSError) -> str:
    """Sentence for an error of the operating system.

    What is wrong with which file (see :func:`naming`), and what to do.
    """
    if error.errno is None or not error.strerror:  # a sentence of a reader
        return str(error)
    reason, name = error.strerror.lower(), error.filename
    if isinstance(error, FileNotFoundError) and name:
        return f'{name} is missing'
    if error.errno in _NOT_WRITABLE:
        return (f'{name or "a file"} cannot be written ({reason}); free '
                'space or choose another folder, then rerun the command')
    return f'{name}: {reason}' if name else reason


@contextmanager
def naming(path: Union[str, os.PathLike],
           replace: bool = False) -> Iterator[None]:
    """Name a file in errors of the operating system that name none.

    Args:
        path (Union[str, os.PathLike]): What the block works on.
        replace (bool): Whether the file that an error names is a temporary
            one, so that ``path`` says more.

    Yields:
        None: While errors are named.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and (replace or not error.filename):
            error.filename = str(path)
        raise


def check_shares(owner: str, **shares: float) -> None:
    """Refuse settings that are not in [0, 1].

    Args:
        owner (str): What is set.
        **shares (float): Settings by name.

    Raises:
        UserError: For the first that is not.
    """
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UserError(f'{name} of {owner} is {share}; it is a share and '
                            'must be in [0, 1]')
