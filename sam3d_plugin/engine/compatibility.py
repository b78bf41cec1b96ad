"""Checks that checkpoint, model and data belong together."""
from typing import Any, Dict, Iterable, Optional, Tuple

from mmdet3d.registry import DATASETS

from ..datasets.preflight import find_leaf_datasets
from ..models.hidden_settings import hidden_differences
from ..models.tokenizers import describe_tokenizer, log_other_tokens
from ..store.checkpoint import read_checkpoint
from ..store.errors import UserError
from ..store.loading import without_backbone_prefix
from ..store.state_names import extract_state_dict
from ..store.trained_settings import settings_of, trained_tokenizer

_ENCODER_PARTS = ('embedding.', 'encoder.', 'unet.')


def check_checkpoint(checkpoint: str, cfg: Dict[str, Any]) -> None:
    """Refuse a file with other weights or classes, and log other tokens.

    Addresses are not read; a broken or missing file is an error.

    Raises CheckpointError when the file is broken.
    Raises FileNotFoundError when it is missing.
    Raises ValueError when it is an encoder, another detector's, or of other
    classes.
    """
    if '://' in checkpoint:
        return
    content = read_checkpoint(checkpoint)
    check_weights(content, cfg, checkpoint)
    own = (cfg['model'].get('backbone') or {}).get('tokenizer') or {}
    if own:
        log_other_tokens(checkpoint, trained_tokenizer(content),
                         describe_tokenizer(own))


def check_weights(content: Dict[str, Any], cfg: Dict[str, Any],
                  checkpoint: str) -> None:
    """Refuse what a checkpoint holds if it does not belong to a config.

    Args:
        content (Dict[str, Any]): Of the file.
        cfg (Dict[str, Any]): Of a detector or segmentor.
        checkpoint (str): Name of the file, for errors.

    Raises:
        UserError: When the weights are those of an encoder without a head, or
            of another detector, or their labels mean other classes.
    """
    model, trained = cfg['model'], settings_of(content)
    heads = [name for name in ('bbox_head', 'decode_head') if model.get(name)]
    names = list(
        without_backbone_prefix(extract_state_dict(content, checkpoint)))
    has_encoder = any(name.startswith(_ENCODER_PARTS) for name in names)
    if heads and has_encoder and not any(f'{heads[0]}.' in n for n in names):
        raise UserError(
            f'{checkpoint} is a pre-trained encoder, not a detector or '
            'segmentor: fine-tune one from it (docs/finetune.md) and give '
            'its checkpoint')
    check_same_detector(trained.get('model') or {}, model, checkpoint)
    theirs, ours = (class_names(settings.get(f'{split}_dataloader') or {})
                    for settings, split in ((trained, 'train'), (cfg, 'test')))
    different = _first_difference(theirs, ours)
    if different:
        raise UserError(
            f'{checkpoint} was trained with {different} in the config: give '
            'metainfo.classes that it was trained with')


def class_names(dataset: Dict[str, Any]) -> Tuple[str, ...]:
    """Names of a data set's classes, by label; () where none are known."""
    leaf = next(find_leaf_datasets(dataset), {})
    kind = leaf.get('type')
    own = getattr(DATASETS.get(kind) if kind else None, 'METAINFO', {})
    chosen = (leaf.get('metainfo') or {}).get('classes')
    return tuple(chosen or own.get('classes') or ())


def _first_difference(one: Tuple[str, ...],
                      other: Tuple[str, ...]) -> Optional[str]:
    """The first label with two names, in words; None if a list is empty."""
    for label, (theirs, ours) in enumerate(zip(one, other)):
        if theirs != ours:
            return f'label {label} as {theirs}, which is {ours}'
    return None


def check_same_labels(model: Dict[str, Any],
                      datasets: Iterable[Dict[str, Any]]) -> None:
    """Refuse data sets in which a label means different classes.

    A training would be validated on other names than it learned.

    Raises ValueError: It names the first label that differs.
    """
    if not _head_of(model):
        return
    lists = [
        class_names(leaf) for dataset in datasets
        for leaf in find_leaf_datasets(dataset)
    ]
    for other in lists[1:]:
        different = _first_difference(lists[0], other)
        if different:
            raise UserError(
                f'the data set of the training has {different} in another '
                'data set of the config: give all the same metainfo.classes')


def check_test_batch(model: Dict[str, Any], loader: Dict[str, Any]) -> None:
    """Refuse to test several scenes at once where the head mixes them up.

    Raises ValueError: It says so.
    """
    kind = str(_head_of(model).get('type'))
    if kind.endswith('GroupFree3DHead') and loader.get('batch_size', 1) > 1:
        raise UserError(
            f'{kind} gives all scenes of a test batch the boxes of the last '
            'one: set batch_size=1 in val_dataloader and test_dataloader')


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
    head = _head_of(model)
    count = head.get('num_classes')
    if count is not None and count < len(classes):
        raise UserError(
            f'the head has num_classes={count}, and the data set names '
            f'{len(classes)} classes; make them agree')


def _identity(model: Dict[str, Any]) -> Tuple[Optional[str], ...]:
    """What tells detectors apart, in words."""
    head = _head_of(model)
    kinds = [str(part.get('type')).split('.')[-1] for part in (model, head)]
    return (*kinds, f'{head.get("num_classes")} classes')


def _head_of(model: Dict[str, Any]) -> Dict[str, Any]:
    """Settings of the head of a detector or segmentor; {} of others."""
    return model.get('bbox_head') or model.get('decode_head') or {}
