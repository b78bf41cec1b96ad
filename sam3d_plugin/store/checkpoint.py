"""Reading checkpoints without running what is in them.

torch's weights-only reader is used for every file. It refuses the classes
that mmengine itself writes into a checkpoint (the loss history with its numpy
arrays, and config dictionaries), so those are allow-listed; any other class is
named in the error and never unpickled.
"""
import errno
import os
import pickle
import re
import struct
from pathlib import Path
from typing import Any, Callable, Dict, List, Union

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from .encoder_folder import WEIGHTS, is_encoder_folder, read_settings
from .errors import CheckpointError, UserError
from .foreign_files import foreign_kind

_NUMPY_DTYPES = ('bool', 'uint8', 'int8', 'int16', 'int32', 'int64', 'float16',
                 'float32', 'float64', 'str')
_FORCE_WEIGHTS_ONLY = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
# What torch's readers raise on damaged bytes.
_BROKEN_FILE = (RuntimeError, EOFError, ValueError, LookupError, TypeError,
                AttributeError, AssertionError, ArithmeticError, MemoryError,
                OSError, struct.error, pickle.UnpicklingError)
_HISTORY_METHODS = ('min', 'max', 'current', 'mean')


def allow_mmengine_classes() -> None:
    """Allow-list mmengine's classes for torch's weights-only reader.

    Safe to call any number of times. Nothing in the list runs code of the
    file's choosing: two container classes, the statistics methods of one,
    numpy's array constructor and numpy's plain number types.
    """
    # numpy's constructors under both names: numpy 2 moved them, and files
    # written with either version must be readable with the other.
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    classes: List[Any] = [ConfigDict, HistoryBuffer, np.ndarray, np.dtype]
    # pickle writes a buffer's methods as getattr(HistoryBuffer, 'mean');
    # the real getattr would be a way out of the allow-list.
    classes.append((_history_method, 'builtins.getattr'))
    classes += [type(np.dtype(name)) for name in _NUMPY_DTYPES]
    for package in ('numpy.core', 'numpy._core'):
        classes.append((reconstruct, f'{package}.multiarray._reconstruct'))
        classes.append((scalar, f'{package}.multiarray.scalar'))
    torch.serialization.add_safe_globals(classes)


def _history_method(owner: type, name: str) -> Callable:
    """A statistics method of HistoryBuffer, and nothing else."""
    if owner is not HistoryBuffer or name not in _HISTORY_METHODS:
        raise pickle.UnpicklingError(f'GLOBAL builtins.getattr of {name}')
    return getattr(HistoryBuffer, name)


def read_checkpoint(filename: Union[str, Path],
                    map_location: Any = 'cpu') -> Dict[str, Any]:
    """Read a checkpoint, tensors and plain values only.

    Args:
        filename (Union[str, Path]): A local path, the folder of an exported
            encoder, or an address that mmengine reads (``https://``,
            ``s3://``, ``torchvision://``, ...).
        map_location (Any): Where tensors go, as in :func:`torch.load`.

    Returns:
        Dict[str, Any]: What the file holds.

    Raises:
        FileNotFoundError: If there is no such local file.
        CheckpointError: If the file is truncated or no checkpoint, or holds
            a class that is not allow-listed; the class is named.
    """
    folder = Path(filename).expanduser()
    if '://' not in str(filename) and is_encoder_folder(folder):
        settings = read_settings(folder)
        return dict(
            read_checkpoint(folder / WEIGHTS, map_location), meta=settings)
    allow_mmengine_classes()
    try:
        content = _load(str(filename), map_location)
    except _BROKEN_FILE as error:
        # The reader seeks before the start of a file shorter than a header.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise _reading_error(str(filename), error) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{filename} holds a {type(content).__name__}, not a checkpoint '
            'dictionary; save model.state_dict() instead')
    return content


def _load(filename: str, map_location: Any) -> Any:
    """Content of a local file or an address, by the weights-only reader."""
    if '://' not in filename:
        path = Path(filename).expanduser()
        if not path.is_file():
            what = 'a folder, not a file' if path.is_dir() else 'missing'
            raise FileNotFoundError(
                f'checkpoint {filename} is {what}; check the path')
        if _is_safetensors(path):
            return _load_safetensors(path)
        return torch.load(path, map_location=map_location, weights_only=True)
    # mmengine's loaders of addresses leave weights_only to torch, and torch
    # hub switches it off; the variable has the last word.
    before = os.environ.get(_FORCE_WEIGHTS_ONLY)
    os.environ[_FORCE_WEIGHTS_ONLY] = '1'
    try:
        return CheckpointLoader.load_checkpoint(
            filename, map_location, logger='silent')
    finally:
        os.environ.pop(_FORCE_WEIGHTS_ONLY)
        if before is not None:
            os.environ[_FORCE_WEIGHTS_ONLY] = before


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins with a length and a header in JSON."""
    with open(path, 'rb') as file:
        return file.read(9)[8:] == b'{'


def _load_safetensors(path: Path) -> Dict[str, Any]:
    """Tensors and metadata of a safetensors file, as a checkpoint."""
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework='pt') as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return dict(state_dict=tensors, meta=file.metadata() or {})
    except SafetensorError as error:
        raise UserError(str(error)) from error


def _reading_error(filename: str, error: Exception) -> CheckpointError:
    """One sentence on why torch could not read the file."""
    what = '' if '://' in filename else _kind_of(Path(filename).expanduser())
    if what:
        return CheckpointError(f'{filename} is {what}')
    foreign = re.search(r'GLOBAL `?([\w.]+)', str(error))
    if foreign:
        return CheckpointError(
            f'{filename} holds the class {foreign[1][:80]}, which is not on '
            'the allow-list and was not unpickled; re-save the file with '
            'tensors only, as torch.save(dict(state_dict=model.state_dict()), '
            'FILE)')
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    reason = re.sub(r'^\[enforce fail at \S+\] \. | In PyTorch 2.6.*', '',
                    reason)
    return CheckpointError(
        f'{filename} is truncated or not a checkpoint ({reason[:100]}); take '
        'another one or copy it again')


def _kind_of(path: Path) -> str:
    """Kind of a file that is not a checkpoint; '' if unknown."""
    with path.open('rb') as file:
        head = file.read(4096)
    if b'"weight_map"' in head:
        return ('the index of a checkpoint in several files; save the model '
                'in one')
    if path.suffix == '.py':
        return 'a Python file; are config and checkpoint swapped?'
    # Checkpoints are zip archives themselves.
    kind = '' if head.startswith(b'PK') else foreign_kind(head)
    try:
        text = head[:-4].decode('utf-8')
    except UnicodeDecodeError:
        return kind
    is_text = bool(text) and all(c.isprintable() or c.isspace() for c in text)
    return kind or ('a text file; check the path' if is_text else '')
