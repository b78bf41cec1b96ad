"""Settings that a checkpoint holds of its own training."""
import ast
from typing import Any, Dict

from .literals import literal_value

_BACKBONES = ('TokenEncoder', 'SparseUNetBackbone', 'SparseTokenEncoder')


def settings_of(checkpoint: Dict[str, Any]) -> Dict[str, Any]:
    """The config of a checkpoint; empty if mmengine did not write it."""
    return parse_settings((checkpoint.get('meta') or {}).get('cfg') or '')


def parse_settings(text: str) -> Dict[str, Any]:
    """Read the config that mmengine put into a checkpoint, running nothing.

    Values that are not literals or ``dict(...)`` are skipped.
    """
    settings: Dict[str, Any] = {}
    try:
        nodes = ast.parse(text).body
    except (SyntaxError, TypeError):  # of another library
        return settings
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0],
                                                       ast.Name):
            try:
                settings[node.targets[0].id] = literal_value(node.value)
            except ValueError:
                continue
    return settings


def encoder_settings(model: Dict[str, Any]) -> Dict[str, Any]:
    """The part of a model's settings that holds those of its encoder.

    Files that are older than ``TokenEncoder`` have them in the model itself.
    """
    backbone = model.get('backbone') or {}
    return backbone if backbone.get('type') in _BACKBONES else model


def trained_tokenizer(checkpoint: Dict[str, Any]) -> Dict[str, Any]:
    """Settings of the tokenizer that a model or encoder was trained with.

    Args:
        checkpoint (Dict[str, Any]): Content of the file; its ``meta`` is
            mmengine's or that of an exported encoder.

    Returns:
        Dict[str, Any]: Empty where the file does not say.
    """
    settings = trained_settings(checkpoint.get('meta') or {})
    return settings.get('tokenizer') or {}


def trained_settings(meta: Dict[str, Any]) -> Dict[str, Any]:
    """Settings of the parts of a model or encoder.

    Args:
        meta (Dict[str, Any]): mmengine's or that of an exported encoder.

    Returns:
        Dict[str, Any]: Of ``tokenizer``, ``embedding``, ``encoder`` and what
        else the model has; {} where they are unknown.
    """
    if 'encoder' in meta:
        return meta
    model = settings_of(dict(meta=meta)).get('model') or {}
    return {**model, **(model.get('backbone') or {})}
