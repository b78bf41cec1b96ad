"""Checkpoints of frozen image models: their weights and their hash."""
import hashlib
from pathlib import Path
from typing import Dict

from mmengine import fileio
from torch import Tensor

from ..store.errors import CheckpointError, StoreError
from ..store.files import BackendArgs, PathLike

_CHUNK = 1 << 22  # bytes


def _local(path: PathLike) -> str:
    return str(
        Path(path).expanduser()) if '://' not in str(path) else str(path)


def read_weights(path: PathLike,
                 device: str = 'cpu',
                 backend_args: BackendArgs = None) -> Dict[str, Tensor]:
    """Named tensors of a file of torch or ``.safetensors``.

    Nothing in it is run. StoreError when it is missing, damaged, or holds
    something else.
    """
    # Imports mmengine's runner, which other steps do not need.
    from ..store.checkpoint import read_checkpoint
    from ..store.state_names import extract_state_dict
    try:
        with fileio.get_local_path(_local(path), backend_args) as local:
            return extract_state_dict(
                read_checkpoint(local, device), str(path))
    except FileNotFoundError:
        raise StoreError(f'checkpoint {path} is missing; check the '
                         'path') from None
    except CheckpointError as error:
        raise StoreError(f'checkpoint {path}: {error}') from error


def sha256_of(path: PathLike, backend_args: BackendArgs = None) -> str:
    """SHA-256 that names a checkpoint in a store's settings."""
    digest = hashlib.sha256()
    with fileio.get_local_path(_local(path), backend_args) as local:
        with open(local, 'rb') as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
