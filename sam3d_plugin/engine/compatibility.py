"""Checks that checkpoint, model and data belong together."""
from typing import Any, Dict, Optional, Tuple

from ..datasets.preflight import find_leaf_datasets
from ..models.trained_settings import hidden_differences
from ..store.checkpoint import read_checkpoint
from ..store.errors import UserError
from ..store.literals import settings_of


def check_checkpoint(checkpoint: str, model: Dict[str, Any]) -> None:
    """Refuse a file with the weights of another detector.

    Addresses are not read; a broken or missing file is an error.

    Raises CheckpointError when the file is broken.
    Raises FileNotFoundError when it is missing.
    Raises ValueError when it is another detector's.
    """
    if '://' not in checkpoint:
        trained = settings_of(read_checkpoint(checkpoint)).get('model')
        check_same_detector(trained or {}, model, checkpoint)


def check_same_detector(trained: Dict[str, Any], model: Dict[str, Any],
                        checkpoint: str) -> None:
    """Refuse the weights of another detector, before hundreds of names.

    ``trained`` are the model settings that the checkpoint holds; without any,
    loading alone will tell.

    Raises ValueError when type, head or number of classes differ, or what
    tensors do not show.
    """
    if not trained:
        return
    for theirs, ours in zip(_identity(trained), _identity(model)):
        if theirs != ours:
            raise UserError(
                f'{checkpoint} holds a model with {theirs}, and the config '
                f'describes one with {ours}: give the config that the '
                'checkpoint was trained with')
    found = sorted(hidden_differences(trained, model, 'model.'))
    if found:
        raise UserError(f'{checkpoint} was trained with {", ".join(found)}: '
                        'give the config that it was trained with')


def check_query_count(model: Dict[str, Any]) -> None:
    """Refuse a detector with more queries than tokens to take them from.

    VoteNet is not one: it repeats votes, and its NMS drops the doubles.

    Raises ValueError: It names the settings that disagree.
    """
    tokenizer = (model.get('backbone') or {}).get('tokenizer') or {}
    tokens = tokenizer.get('num_tokens')
    head = model.get('bbox_head') or {}
    for name in ('num_queries', 'num_proposal'):
        queries = head.get(name)
        if tokens and queries and tokens < queries:
            raise UserError(
                f'{tokens} tokens cannot give {queries} queries: raise '
                'model.backbone.tokenizer.num_tokens, or lower '
                f'model.bbox_head.{name}')


def check_class_count(model: Dict[str, Any], dataset: Dict[str, Any]) -> None:
    """Refuse a head with fewer classes than its data set names.

    Raises ValueError: It names both counts.
    """
    leaf = next(find_leaf_datasets(dataset), {})
    classes = (leaf.get('metainfo') or {}).get('classes') or ()
    head = model.get('bbox_head') or model.get('decode_head') or {}
    count = head.get('num_classes')
    if count is not None and count < len(classes):
        raise UserError(
            f'the head has num_classes={count}, and the data set names '
            f'{len(classes)} classes; make them agree')


def _identity(model: Dict[str, Any]) -> Tuple[Optional[str], ...]:
    """What tells detectors apart, in words."""
    head = model.get('bbox_head') or model.get('decode_head') or {}
    kinds = [str(part.get('type')).split('.')[-1] for part in (model, head)]
    return (*kinds, f'{head.get("num_classes")} classes')
