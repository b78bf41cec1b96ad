"""A pre-trained encoder as a folder that can be loaded and published.

    model.safetensors    tensors under ``embedding.`` and ``encoder.``, or
                         of a sparse U-Net under ``unet.``
    config.json          settings of these parts and of tokens or voxels,
                         origin of the points, and where the weights come from
    README.md            the model card
    pretraining.py       config of the training, where the checkpoint has it

``config.json`` is removed first and written last: a folder that has one is
complete.
"""
import json
import shutil
from pathlib import Path
from typing import Any, Dict, Mapping, Union

from torch import Tensor

from .atomic import atomic_write
from .errors import CheckpointError, UserError

WEIGHTS, SETTINGS = 'model.safetensors', 'config.json'
CARD, TRAINING = 'README.md', 'pretraining.py'
NAMES = (WEIGHTS, CARD, TRAINING, SETTINGS)
FORMAT = 'sam3d_plugin encoder 1'
PathLike = Union[str, Path]


def is_encoder_folder(path: PathLike) -> bool:
    """Whether a folder has the settings of a model."""
    return Path(path, SETTINGS).is_file()


def read_settings(folder: PathLike) -> Dict[str, Any]:
    """Read what the folder of an encoder says of it.

    Args:
        folder (PathLike): The folder.

    Returns:
        Dict[str, Any]: See :func:`sam3d_plugin.engine.export.read_encoder`,
        and what the model card says.

    Raises:
        CheckpointError: When ``config.json`` is damaged or of another kind of
            model.
    """
    path = Path(folder, SETTINGS)
    try:
        settings = json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f'{path} is damaged ({str(error)[:60]}); export '
                              'or copy the encoder again') from error
    if not isinstance(settings, dict) or settings.get('format') != FORMAT:
        raise CheckpointError(
            f'{path} is not that of a "{FORMAT}"; name a folder that '
            'tools/export_backbone.py wrote')
    return settings


def check_output(folder: PathLike) -> None:
    """Refuse to write among other files.

    Args:
        folder (PathLike): The folder, there or not.

    Raises:
        UserError: When it holds something else than an encoder.
    """
    if not Path(folder).is_dir():
        return
    others = sorted(
        path.name for path in Path(folder).iterdir()
        if path.name not in NAMES and not path.name.startswith('.'))
    if others:
        raise UserError(f'{folder} is a folder with other files (such as '
                        f'{others[0]}); name a new one, or a file .pth')


def write_encoder_folder(folder: PathLike, state: Mapping[str, Tensor],
                         settings: Mapping[str, Any],
                         texts: Mapping[str, str]) -> None:
    """Write the folder of an encoder.

    Args:
        folder (PathLike): Made where it is missing.
        state (Mapping[str, Tensor]): Tensors by name.
        settings (Mapping[str, Any]): Plain values for ``config.json``.
        texts (Mapping[str, str]): Further files by name.

    Raises:
        UserError: When the folder holds other files.
    """
    from safetensors.torch import save
    check_output(folder)
    Path(folder, SETTINGS).unlink(missing_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in state.items()}
    files = {WEIGHTS: save(tensors, dict(format='pt'))}
    files.update((name, text.encode()) for name, text in texts.items())
    content = json.dumps(dict(settings, format=FORMAT), indent=1)
    for name, data in {**files, SETTINGS: f'{content}\n'.encode()}.items():
        with atomic_write(Path(folder, name)) as file:
            file.write(data)


def copy_encoder_folder(source: PathLike, folder: PathLike) -> None:
    """Copy the folder of an encoder.

    Args:
        source (PathLike): A complete one.
        folder (PathLike): Made where it is missing.

    Raises:
        UserError: When the folder holds other files.
    """
    check_output(folder)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        if Path(source, name).is_file():
            shutil.copyfile(Path(source, name), Path(folder, name))
