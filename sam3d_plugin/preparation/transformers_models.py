"""Models of ``transformers`` from folders that the user downloads.

A folder is what the Hugging Face hub shows: ``config.json``, ``*.safetensors``
and the settings of the image processor. Nothing is downloaded, and no code of
the folder is run.
"""
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Type

import torch
from torch import nn

from ..store.errors import StoreError
from ..store.extras import import_extra
from ..store.files import PathLike
from .checkpoints import sha256_of

_PROCESSORS = ('preprocessor_config.json', 'processor_config.json')


def import_transformers() -> Any:
    """The module ``transformers``, without its progress bars and warnings.

    StoreError when it is not installed.
    """
    transformers = import_extra('transformers', 'teachers')
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def describe_folder(folder: PathLike, known: Mapping[str,
                                                     str]) -> Dict[str, str]:
    """Name a folder's model and its content.

    Args:
        folder (PathLike): Of the model.
        known (Mapping[str, str]): Class of ``transformers`` by the
            ``model_type`` of config.json.

    Returns:
        Dict[str, str]: ``model``, and ``checkpoint_sha256`` of weights,
        config and processor together.

    Raises:
        StoreError: When a file is missing or the model is another one.
    """
    model_type, files = _examine(folder, known)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f'{path.name} {sha256_of(path)}\n'.encode())
    return dict(model=model_type, checkpoint_sha256=digest.hexdigest())


def load_folder(folder: PathLike, known: Mapping[str, str],
                device: torch.device) -> Tuple[nn.Module, Any]:
    """Load a model strictly, frozen and in evaluation mode, float32.

    Args:
        folder (PathLike): Of the model.
        known (Mapping[str, str]): See :func:`describe_folder`.
        device (torch.device): Where it goes.

    Returns:
        Tuple[nn.Module, Any]: The model and its image processor.

    Raises:
        StoreError: When the folder is not complete, or its weights are not
            those of its config.
    """
    model_type, _ = _examine(folder, known)
    transformers = import_transformers()
    try:
        model, info = getattr(transformers, known[model_type]).from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32)
        processor = transformers.AutoImageProcessor.from_pretrained(
            str(folder), local_files_only=True)
    except _loading_errors() as error:
        reason = (str(error).splitlines() or [''])[0][:100]
        raise StoreError(f'{folder} cannot be loaded ({reason}): download '
                         'the whole model again') from error
    misfits = {*info['missing_keys']}
    misfits.update(name for name, *_ in info['mismatched_keys'])
    if misfits:
        raise StoreError(
            f'{folder}: its weights lack {len(misfits)} tensors of the model '
            f'in config.json, such as {min(misfits)}: download both from one '
            'place')
    return model.eval().requires_grad_(False).to(device), processor


def _loading_errors() -> Tuple[Type[Exception], ...]:
    """What transformers raises for damaged files."""
    from safetensors import SafetensorError
    return (OSError, ValueError, RuntimeError, KeyError, TypeError,
            AttributeError, SafetensorError)


def _examine(folder: PathLike, known: Mapping[str,
                                              str]) -> Tuple[str, List[Path]]:
    """The model type of a folder, and the files that make it."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise StoreError(f'{folder} is not a folder: give that of a model, '
                         'with config.json and *.safetensors')
    weights = sorted(folder.glob('*.safetensors'))
    processors = [
        folder / name for name in _PROCESSORS if (folder / name).is_file()
    ]
    for what, found in (('config.json', (folder / 'config.json').is_file()),
                        ('*.safetensors', weights), (_PROCESSORS[0],
                                                     processors)):
        if not found:
            raise StoreError(f'{folder} has no {what}: download the whole '
                             'model')
    try:
        config = json.loads((folder / 'config.json').read_bytes())
        model_type = config['model_type']
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f'{folder}/config.json names no model_type: download '
                         'it again') from error
    if model_type not in known:
        raise StoreError(f'{folder} holds a model of type {model_type!r}: '
                         f'give one of {", ".join(known)}')
    return model_type, [folder / 'config.json', *processors, *weights]
