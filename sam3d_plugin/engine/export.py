"""Export of a pre-trained encoder with its metadata."""
import inspect
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from torch import Tensor, nn

from ..datasets.preflight import find_leaf_datasets
from ..datasets.transforms.base import all_steps
from ..datasets.transforms.center_points import CenterPoints
from ..datasets.transforms.load_rgbd_points import LoadRGBDPoints
from ..ops.random_state import seeded
from ..store.atomic import atomic_write
from ..store.checkpoint import CheckpointError, read_checkpoint
from ..store.encoder_folder import CARD, TRAINING, write_encoder_folder
from ..store.literals import settings_of
from ..store.loading import load_encoder, without_backbone_prefix
from ..store.provenance import settings_digest
from ..store.state_names import extract_state_dict
from .model_card import image_sources, read_scores, render_card
from .projects import make_projects_importable

# An export with another ending is a folder.
FILE_ENDINGS = ('.pth', '.pt')
PARTS = ('embedding', 'encoder')


class _Kind(NamedTuple):
    """A kind of backbone."""
    settings: Tuple[str, ...]  # What an exported file says of it
    parts: Tuple[str, ...]  # Those of them that have weights


_KINDS = (_Kind(('tokenizer', *PARTS),
                PARTS), _Kind(('voxel_size', 'unet'), ('unet', )))
_BACKBONES = ('TokenEncoder', 'SparseUNetBackbone', 'SparseTokenEncoder')
_SETTINGS = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
             'train_cfg', 'randomness')


class Encoder(NamedTuple):
    """An encoder and where it comes from."""
    state: Dict[str, Tensor]  # Tensors by the names of the parts
    meta: Dict[str, Any]  # See :func:`read_encoder`
    settings: Dict[str, Any]  # Of its training, {} where they are unknown
    text: str  # Its config, '' where it is unknown


def export_backbone(
    source: str,
    out: str,
    seed: int = 0,
    license: str = '',
    scores: Sequence[str] = ()) -> Dict[str, Any]:
    """Write the network of a pre-training, and return the metadata with it.

    Args:
        source (str): See :func:`read_encoder`.
        out (str): A file for the weights-only reader (``.pth``, ``.pt``), or
            a folder; see :mod:`~sam3d_plugin.store.encoder_folder`.
        seed (int): Of an untrained encoder.
        license (str): Of the weights, an identifier such as ``apache-2.0``.
            '' keeps that of an exported folder; others are unknown.
        scores (Sequence[str]): For the card of a folder, result files of
            tools/test.py or tools/experiments/linear_probe.py, beside those
            of an exported folder.

    Returns:
        Dict[str, Any]: See :func:`read_encoder`.

    Raises:
        FileNotFoundError: If the source is missing.
        CheckpointError: If it is not a pre-training, or lacks a tensor of the
            encoder.
        UserError: If the folder holds other files, or a file of scores none.
    """
    encoder = _read(source, seed)
    meta = encoder.meta
    if Path(out).suffix in FILE_ENDINGS:
        with atomic_write(out, 'wb') as file:
            torch.save(dict(state_dict=encoder.state, meta=meta), file)
        return meta
    images = image_sources(encoder.settings) if encoder.settings else {}
    card = dict(images, **meta) | dict(
        parameters=sum(t.numel() for t in encoder.state.values()
                       if t.is_floating_point()),
        license=license or meta.get('license', 'unknown'),
        scores={
            **meta.get('scores', {}),
            **{
                Path(path).stem: read_scores(path)
                for path in scores
            }
        })
    texts = {TRAINING: encoder.text} if encoder.text else {}
    texts[CARD] = render_card(card, bool(encoder.text))
    write_encoder_folder(out, encoder.state, card, texts)
    return meta


def read_encoder(source: str,
                 seed: int = 0) -> Tuple[Dict[str, Tensor], Dict[str, Any]]:
    """Read embedding and encoder, or a U-Net, from whatever holds them.

    ``source`` is a checkpoint that tools/train.py wrote, a file or folder of
    :func:`export_backbone`, or a config (``.py``), whose encoder is then
    fresh. Returns tensors under ``embedding.`` and ``encoder.``, and metadata:
    ``method``, ``data``, ``tokenizer``, ``embedding``, ``encoder``,
    ``center`` (origin of the points), ``teacher``, ``config_hash``,
    ``source``, ``frames_seen``; of a ``SparseUNetBackbone`` tensors under
    ``unet.``, ``voxel_size`` and ``unet``. A source that lacks a part is a
    ``CheckpointError``.

    Raises FileNotFoundError if the source is missing.
    """
    return _read(source, seed)[:2]


def _read(source: str, seed: int) -> Encoder:
    """:func:`read_encoder` with the settings of the training."""
    if source.endswith('.py'):
        make_projects_importable()
        cfg = Config.fromfile(source)
        settings = cfg.to_dict()
        return Encoder(*fresh_encoder(settings, source, seed), settings,
                       cfg.pretty_text)
    checkpoint = read_checkpoint(source)
    full = without_backbone_prefix(extract_state_dict(checkpoint, source))
    meta = checkpoint.get('meta') or {}
    is_exported = 'method' in meta and _kind_of(meta) is not None
    settings = dict(model=meta) if is_exported else settings_of(checkpoint)
    if not settings:
        raise CheckpointError(
            f'{source} does not say what it was made of (meta.cfg); '
            'export a checkpoint that tools/train.py wrote')
    parts = _build_parts(settings, source)
    load_encoder(parts, full, source=source)
    state = dict(parts.state_dict())
    if is_exported:
        config = Path(source, TRAINING)
        text = config.read_text() if config.is_file() else ''
        return Encoder(state, meta, {}, text)
    meta = _describe(settings, source, int(full.get('frames_seen', 0)))
    return Encoder(state, meta, settings, checkpoint['meta']['cfg'])


def fresh_encoder(settings: Dict[str, Any],
                  source: str,
                  seed: int = 0) -> Tuple[Dict[str, Tensor], Dict[str, Any]]:
    """An untrained encoder of a configuration; see :func:`read_encoder`.

    Raises CheckpointError if it is not a pre-training.
    """
    with seeded(seed):
        parts = _build_parts(settings, source)
        for part in parts.values():
            initialize: Any = part.init_weights
            initialize()
    return dict(parts.state_dict()), _describe(settings, source, 0)


def _describe(settings: Dict[str, Any], source: str,
              frames_seen: int) -> Dict[str, Any]:
    """Plain metadata that users of an encoder must know."""
    model = settings['model']
    encoder = encoder_settings(model)
    kind = _kind_of(encoder)
    assert kind is not None  # or there would be no parts
    dataset = settings.get('train_dataloader', {}).get('dataset', {})
    return dict(
        method=model['type'],
        data=', '.join(
            f'{leaf.get("data_root", "")} {leaf.get("ann_file", "")}'
            for leaf in find_leaf_datasets(dataset)),
        center=_center_of(dataset),
        teacher=Path((model.get('target_generator') or {}).get('checkpoint')
                     or '').name,
        config_hash=settings_digest(settings, _SETTINGS),
        source=Path(source).name,
        frames_seen=frames_seen,
        **{key: encoder[key]
           for key in kind.settings})


def _center_of(dataset: Dict[str, Any]) -> str:
    """Origin of the points that an encoder was trained on."""
    kinds = {kind.__name__: kind for kind in (LoadRGBDPoints, CenterPoints)}
    for leaf in find_leaf_datasets(dataset):
        for step in all_steps(leaf.get('pipeline') or ()):
            kind = kinds.get(str(step['type']).split('.')[-1])
            if kind is not None:
                parameters = inspect.signature(kind).parameters
                return step.get('center', parameters['center'].default)
    return 'none'


def encoder_settings(model: Dict[str, Any]) -> Dict[str, Any]:
    """The part of a model's settings that holds those of its encoder.

    Files that are older than ``TokenEncoder`` have them in the model itself.
    """
    backbone = model.get('backbone') or {}
    return backbone if backbone.get('type') in _BACKBONES else model


def _kind_of(encoder: Dict[str, Any]) -> Optional[_Kind]:
    """The kind of backbone that settings describe in full, if any."""
    found = [
        kind for kind in _KINDS if all(key in encoder for key in kind.settings)
    ]
    return found[0] if found else None


def _build_parts(settings: Dict[str, Any], source: str) -> nn.ModuleDict:
    """The parts with weights as the settings describe them."""
    model = encoder_settings(settings.get('model') or {})
    kind = _kind_of(model)
    if kind is None:
        missing = [key for key in _KINDS[0].settings if key not in model]
        raise CheckpointError(
            f'{source} is not a pre-training on tokens or voxels: its model '
            f'has no {missing[0]}')
    return nn.ModuleDict({key: MODELS.build(model[key]) for key in kind.parts})
