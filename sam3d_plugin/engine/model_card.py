"""The model card of an exported encoder.

It says what is known: the method, the data, the models that its 2D regions
and features come from with their licenses, scores, and the commands.
"""
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

from mmengine.logging import print_log

from ..datasets.preflight import find_leaf_datasets
from ..datasets.transforms.base import all_steps
from ..store.encoder_folder import TRAINING
from ..store.errors import StoreError, UserError
from ..store.files import join
from ..store.manifest import Store

# Licenses of what makes regions and features, by the name in their stores;
# of image models, by a part of the model's name.
_LICENSES = {
    'handcrafted': 'no weights',
    'superpixel': 'no weights',
    'standin': 'Apache-2.0 (comes with sam3d_plugin)',
    'sam': 'Apache-2.0 (Segment Anything)',
}
_MODEL_LICENSES = {'dinov2': 'Apache-2.0 (DINOv2)'}
_UNKNOWN = 'unknown'
_METRICS = ('mAP_0.25', 'mAP_0.50', 'miou', 'macc', 'acc', 'acc_cls')
# Read-outs of a probe.
_READ_OUTS = ('own', 'three_nn', 'knn')

_CARD = """---
license: {license}
library_name: sam3d_plugin
tags:
- point-cloud
- 3d
- pretrained-encoder
---

# Point encoder of {method}

{network}, to start detectors and segmentors of
MMDetection3D from. It reads x, y, z in meters with z up, counted from an
origin: `{center}` of the scene.

| | |
|---|---|
{facts}

## Scores

{scores}

## Use

{python}In a training:

    python tools/train.py CONFIG --cfg-options \\
        model.backbone.init_cfg="dict(type='Pretrained', checkpoint='FOLDER')"

## How it was made

{commands}
"""
_PYTHON = """In Python, where `FOLDER` is this folder or its name on the hub:

    from sam3d_plugin.models import PointTokenBackbone
    encoder = PointTokenBackbone.from_pretrained('FOLDER')
    features = encoder.point_features(points)  # (B, N, 3 + region ids)

"""


def image_sources(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """What the 2D regions and features of a training's data come from.

    Args:
        settings (Mapping[str, Any]): Of the training; its data set is read
            where it is.

    Returns:
        Dict[str, Any]: ``images`` with ``regions`` and ``features``, each
        with ``name``, ``license`` and what else is known; only those that the
        training reads. Both are unknown where the data set is missing, which
        the log says.
    """
    loader: Any = settings.get('train_dataloader') or {}
    images: Dict[str, Any] = {}
    for dataset in find_leaf_datasets(loader.get('dataset') or {}):
        steps = list(all_steps(dataset.get('pipeline') or ()))
        for folder in _stores_of(steps):
            path = join(dataset.get('data_root', ''), folder)
            try:
                header = Store(path).header()['settings']
            except StoreError as error:
                print_log(
                    f'the model card does not name the image models: {error}',
                    logger='current')
                images = dict(regions=_described(), features=_described())
                continue
            regions = header.get('regions', header)
            images['regions'] = _described(
                regions.get('generator', _UNKNOWN), regions.get('options'))
            if 'encoder' in header:
                images['features'] = _described(header['encoder'],
                                                header.get('options'))
    return dict(images=images)


def _stores_of(steps: Sequence[Mapping[str, Any]]) -> List[str]:
    """Folders whose settings tell what made regions and features."""
    folders = [
        step.get('folder', 'region_features') for step in steps
        if _is(step, 'LoadRegionTargets')
        and step.get('key', 'features') == 'features'
    ]
    reads_regions = any('region' in step.get('columns', ('region', ))
                        for step in steps if _is(step, 'LoadRGBDPoints'))
    return folders or ['region_maps'] * reads_regions


def _is(step: Mapping[str, Any], name: str) -> bool:
    return str(step.get('type')).split('.')[-1] == name


def _described(name: str = _UNKNOWN,
               options: Mapping[str, Any] = None) -> Dict[str, Any]:
    """Name, license, and which model with which weights."""
    options = options or {}
    model = options.get('model', '')
    known = [
        text for part, text in _MODEL_LICENSES.items()
        if name == 'timm' and part in model
    ]
    keys = ('model', 'checkpoint_sha256')
    return dict({key: options[key]
                 for key in keys if key in options},
                name=name,
                license=_LICENSES.get(name, (known or [_UNKNOWN])[0]))


def read_scores(path: Union[str, Path]) -> Dict[str, float]:
    """Read the scores that a tool wrote, by metric.

    Args:
        path (Union[str, Path]): JSON of tools/test.py or of
            tools/experiments/linear_probe.py.

    Returns:
        Dict[str, float]: Those that the card shows.

    Raises:
        UserError: When the file holds none.
    """
    try:
        content = json.loads(Path(path).read_text())
        parts = {'': content}
        parts.update((f'{key} ', content[key]) for key in _READ_OUTS
                     if isinstance(content.get(key), dict))
        found = {
            prefix + key: float(part[key])
            for prefix, part in parts.items()
            for key in _METRICS if key in part
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f'scores {path} cannot be read ({error!r:.80}); give '
                        'what --json of a tool wrote') from error
    if not found:
        raise UserError(f'scores {path} has none of {", ".join(_METRICS)}; '
                        'give what --json of tools/test.py wrote')
    return found


def render_card(settings: Mapping[str, Any], has_config: bool) -> str:
    """Write the model card in Markdown.

    Args:
        settings (Mapping[str, Any]): As in ``config.json``.
        has_config (bool): Whether the training's config is beside it.

    Returns:
        str: The card, with the header that the hub reads.
    """
    has_tokens = 'encoder' in settings
    return _CARD.format(
        network='A plain transformer on tokens of indoor points'
        if has_tokens else 'A sparse U-Net on voxels of indoor points',
        python=_PYTHON if has_tokens else '',
        license=settings['license'],
        method=settings['method'],
        center=settings.get('center', _UNKNOWN),
        facts='\n'.join(f'| {name} | {value} |'
                        for name, value in _facts(settings).items()),
        scores=_score_table(settings.get('scores') or {}),
        commands=_commands(settings, has_config))


def _facts(settings: Mapping[str, Any]) -> Dict[str, str]:
    """The table of the card."""
    facts = dict(
        method=settings['method'],
        data=f'`{settings["data"].strip() or _UNKNOWN}`')
    images = settings.get('images')
    if images is None:
        images = dict(regions=_described(), features=_described())
    for key, source in images.items():
        model = ' '.join(
            str(source[k])[:40] for k in ('name', 'model', 'checkpoint_sha256')
            if k in source)
        facts[f'2D {key}'] = f'{model}; license: {source["license"]}'
    if settings.get('teacher'):
        facts['teacher of the tokens'] = f'`{settings["teacher"]}`'
    for key in ('tokenizer', 'embedding', 'encoder', 'unet'):
        if key in settings:
            facts[key] = _call(settings[key])
    if 'voxel_size' in settings:
        facts['voxels'] = f'{settings["voxel_size"]} m'
    facts['parameters'] = f'{settings["parameters"]:,}'
    facts['frames seen'] = f'{settings["frames_seen"]:,}'
    facts['license of the weights'] = settings['license']
    if settings['license'] == _UNKNOWN:
        facts['license of the weights'] += (
            ' (data and 2D models may restrict use)')
    return facts


def _call(part: Mapping[str, Any]) -> str:
    """A part's settings as a call."""
    options = ', '.join(f'{k}={v}' for k, v in part.items() if k != 'type')
    return f'`{part["type"]}({options})`'


def _score_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    if not scores:
        return 'None were given when it was exported.'
    lines = ['| measured | metric | score |', '|---|---|---:|']
    lines += [
        f'| {name} | {metric} | {value:.4f} |'
        for name, found in scores.items() for metric, value in found.items()
    ]
    return '\n'.join(lines)


def _commands(settings: Mapping[str, Any], has_config: bool) -> str:
    export = (f'    python tools/export_backbone.py {settings["source"]} '
              '--out FOLDER')
    if not settings['frames_seen']:
        return f'It is untrained:\n\n{export}'
    if not has_config:
        return (f'From the file {settings["source"]}, a training of config '
                f'{settings["config_hash"]}.')
    return (f'`{TRAINING}` is the config of the training '
            f'({settings["config_hash"]}):\n\n'
            f'    python tools/train.py {TRAINING}\n{export}')
