"""MATLAB's files as numpy arrays, without MATLAB."""
import io
import zlib
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ...store.errors import StoreError
from ...store.files import BackendArgs, PathLike, read_bytes
from ..scans.source_files import brief

# What scipy's reader raises for damaged files, its own slips included.
_DAMAGES = (MatReadError, ValueError, TypeError, LookupError, EOFError,
            NameError, AttributeError, ArithmeticError, MemoryError, OSError,
            zlib.error)


def read_mat(path: PathLike,
             name: str,
             backend_args: BackendArgs = None) -> np.ndarray:
    """One variable of a MATLAB file.

    Args:
        path (PathLike): The file.
        name (str): The variable.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        np.ndarray: Structs as records, cells and strings as object arrays.

    Raises:
        FileNotFoundError: When the file is missing.
        StoreError: When it is damaged, of MATLAB's format 7.3, or has no
            such variable.
    """
    return decode_mat(read_bytes(path, backend_args), name, str(path))


def decode_mat(content: bytes, name: str, path: str) -> np.ndarray:
    """One variable of the content of a MATLAB file; see :func:`read_mat`."""
    try:
        variables = loadmat(io.BytesIO(content), variable_names=[name])
    except NotImplementedError:
        raise StoreError(
            f"{path} is in MATLAB's format 7.3 (HDF5); load it in MATLAB or "
            "Octave and save it with save(FILE, '-v7'), or take the "
            "release's own file") from None
    except _DAMAGES as error:
        raise StoreError(f'{path} is no whole MATLAB file ({brief(error)}); '
                         'copy it again') from error
    if name not in variables:
        raise StoreError(f'{path} has no variable {name}; is it another file?')
    return variables[name]


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
