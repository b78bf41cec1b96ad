"""Whether a checkpoint belongs to a config."""
from typing import Any, Dict, Optional, Tuple

from ..store.checkpoint import read_checkpoint
from .export import settings_of


def check_checkpoint(checkpoint: str, model: Dict[str, Any]) -> None:
    """Refuse a file with the weights of another detector.

    Args:
        checkpoint (str): File or address; addresses are not looked into.
        model (Dict[str, Any]): Model settings of the config.

    Raises:
        CheckpointError: When the file is broken.
        FileNotFoundError: When it is missing.
        ValueError: When it is another detector's.
    """
    if '://' not in checkpoint:
        trained = settings_of(read_checkpoint(checkpoint)).get('model')
        check_same_detector(trained or {}, model, checkpoint)


def check_same_detector(trained: Dict[str, Any], model: Dict[str, Any],
                        checkpoint: str) -> None:
    """Refuse the weights of another detector, before hundreds of names.

    Args:
        trained (Dict[str, Any]): Model settings that the checkpoint holds;
            without any, loading alone will tell.
        model (Dict[str, Any]): Model settings of the config.
        checkpoint (str): Its file, for the message.

    Raises:
        ValueError: When type, head or number of classes differ.
    """
    if not trained:
        return
    for theirs, ours in zip(_identity(trained), _identity(model)):
        if theirs != ours:
            raise ValueError(
                f'{checkpoint} holds a model with {theirs}, and the config '
                f'describes one with {ours}: give the config that the '
                'checkpoint was trained with')


def _identity(model: Dict[str, Any]) -> Tuple[Optional[str], ...]:
    """What tells detectors apart, in words."""
    head = model.get('bbox_head') or model.get('decode_head') or {}
    kinds = [str(part.get('type')).split('.')[-1] for part in (model, head)]
    return (*kinds, f'{head.get("num_classes")} classes')
