"""Weights of timm's plain vision transformers for networks of our own."""
import re
from pathlib import Path
from typing import Any, Dict, Optional

import torch

from ...store.atomic import atomic_write
from ...store.errors import StoreError
from ...store.files import check_not_input
from .encoders._timm_checkpoint import load_weights

_LAYER = r'\.(weight|bias)'
_PLAIN = re.compile(r'(cls_token|pos_embed|patch_embed\.proj' + _LAYER +
                    '|norm' + _LAYER +
                    r'|blocks\.\d+\.((norm[12]|attn\.(qkv|proj)|mlp\.fc[12])' +
                    _LAYER + r'|ls[12]\.gamma))')


def export_vision_transformer(model: str, checkpoint: Optional[str],
                              out: str) -> Dict[str, Any]:
    """Write the weights of a model, without its classifier, and its sizes.

    Args:
        model (str): Name of the model in timm.
        checkpoint (Optional[str]): Its weights, a local file; None for
            those that timm downloads.
        out (str): File to write: ``state_dict`` in timm's naming and
            ``meta``.

    Returns:
        Dict[str, Any]: ``meta``: ``model``, ``weights`` and the arguments of
        a ``PlainVisionTransformer``.

    Raises:
        StoreError: When timm cannot build the model, it is not a plain
            vision transformer, or the weights are of another one.
        UserError: When ``out`` is the file of the weights.
    """
    check_not_input(out, [checkpoint] if checkpoint else [])
    network = _build(model, is_downloaded=checkpoint is None)
    if checkpoint is not None:
        load_weights(network, checkpoint, model)
    state = network.state_dict()
    other = [name for name in state if not _PLAIN.fullmatch(name)]
    if other or 'cls_token' not in state:
        raise StoreError(
            f'{model} is not a plain vision transformer (it has '
            f'{other[0] if other else "no class token"}): choose one such as '
            'vit_base_patch16_384')
    attention = network.blocks[0].attn
    meta = dict(
        model=model,
        weights=Path(checkpoint).name if checkpoint else 'timm',
        embed_dims=network.embed_dim,
        depth=len(network.blocks),
        num_heads=attention.num_heads,
        mlp_ratio=network.blocks[0].mlp.fc1.out_features / network.embed_dim,
        patch_size=network.patch_embed.patch_size[0],
        image_size=network.patch_embed.img_size[0],
        layer_scale='blocks.0.ls1.gamma' in state)
    with atomic_write(out, 'wb') as file:
        torch.save(dict(state_dict=state, meta=meta), file)
    return meta


def _build(model: str, is_downloaded: bool) -> Any:
    """A model of timm without classifier."""
    import timm
    try:
        return timm.create_model(
            model, pretrained=is_downloaded, num_classes=0)
    except Exception as error:  # of the hub's client, too
        raise StoreError(
            f'timm cannot give {model} ({str(error)[:80]}): check the name, '
            'or pass a file of its weights') from error
