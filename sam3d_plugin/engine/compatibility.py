"""Checks that checkpoint, model and data belong together."""
from typing import Any, Dict, Optional, Tuple

from ..datasets.preflight import find_leaf_datasets
from ..models.tokenizers import describe_tokenizer, log_other_tokens
from ..store.checkpoint import read_checkpoint
from ..store.errors import UserError
from ..store.loading import without_backbone_prefix
from ..store.state_names import extract_state_dict
from ..store.trained_settings import settings_of, trained_tokenizer

_ENCODER_PARTS = ('embedding.', 'encoder.', 'unet.')


def check_checkpoint(checkpoint: str, model: Dict[str, Any]) -> None:
    """Refuse a file with other weights, and log other tokens.

    Addresses are not read; a broken or missing file is an error.

    Raises CheckpointError when the file is broken.
    Raises FileNotFoundError when it is missing.
    Raises ValueError when it is an encoder, or another detector's.
    """
    if '://' in checkpoint:
        return
    content = read_checkpoint(checkpoint)
    check_weights(content, model, checkpoint)
    own = (model.get('backbone') or {}).get('tokenizer') or {}
    if own:
        log_other_tokens(checkpoint, trained_tokenizer(content),
                         describe_tokenizer(own))


def check_weights(content: Dict[str, Any], model: Dict[str, Any],
                  checkpoint: str) -> None:
    """Refuse what a checkpoint holds if a model cannot have these weights.

    Args:
        content (Dict[str, Any]): Of the file.
        model (Dict[str, Any]): Settings of a detector or segmentor.
        checkpoint (str): Name of the file, for errors.

    Raises:
        UserError: When they are those of an encoder without a head, or of
            another detector.
    """
    heads = [name for name in ('bbox_head', 'decode_head') if model.get(name)]
    names = list(
        without_backbone_prefix(extract_state_dict(content, checkpoint)))
    has_encoder = any(name.startswith(_ENCODER_PARTS) for name in names)
    if heads and has_encoder and not any(f'{heads[0]}.' in n for n in names):
        raise UserError(
            f'{checkpoint} is a pre-trained encoder, not a detector or '
            'segmentor: fine-tune one from it (docs/finetune.md) and give '
            'its checkpoint')
    check_same_detector(
        settings_of(content).get('model') or {}, model, checkpoint)


def check_same_detector(trained: Dict[str, Any], model: Dict[str, Any],
                        checkpoint: str) -> None:
    """Refuse the weights of another detector, before hundreds of names.

    ``trained`` are the model settings that the checkpoint holds; without any,
    loading alone will tell.

    Raises ValueError when type, head or number of classes differ.
    """
    if not trained:
        return
    for theirs, ours in zip(_identity(trained), _identity(model)):
        if theirs != ours:
            raise UserError(
                f'{checkpoint} holds a model with {theirs}, and the config '
                f'describes one with {ours}: give the config that the '
                'checkpoint was trained with')


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
