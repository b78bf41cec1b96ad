"""The arms of the ladder: which trainings, how long, and what is probed.

An arm is a list of steps, each a config with options. Those of other methods
come from their metafiles, see :mod:`.methods`.
"""
import json
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..engine.options import read_config
from ..store.errors import UserError
from ..store.object_library import FILE as OBJECTS
from ..store.provenance import digest, file_digests
from ..synthrooms.step import KIND as SYNTHROOMS
from . import records
from .methods import (clouds_per_frame, pipeline_of, read_methods,
                      reads_objects, stage_configs)

# Of a config, what a training depends on.
_SETTINGS = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
             'train_cfg', 'randomness', 'custom_hooks')


class Features(NamedTuple):
    """A kind of region features in a data set."""
    folder: str  # Of the features
    groups: str  # Of their groups
    options: Dict[str, Any]  # Of stage 1, over configs for the stand-in


STAND_IN, HANDCRAFTED = 'standin', 'handcrafted'
_DATASET = 'train_dataloader.dataset'
FEATURES = {
    STAND_IN:
    Features('region_features', 'region_groups/train', {}),
    # The negative control: the network sees neither color nor texture.
    HANDCRAFTED:
    Features('region_features_handcrafted', 'region_groups/train_handcrafted',
             {'model.head.out_channels': 60})
}
# What the data set and the steps of its preparation say of themselves.
_MANIFESTS = ('store.json', 'manifest.json', 'posed_images/manifest.json',
              'region_maps/store.json', 'region_maps/manifest.json',
              'splits/train.txt', 'splits/val.txt')
_TARGET_MANIFESTS = tuple(f'{folder}/{name}' for kind in FEATURES.values()
                          for folder in (kind.folder, kind.groups)
                          for name in ('store.json', 'manifest.json'))
_PAIR_MANIFESTS = ('frame_pairs/store.json', 'frame_pairs/manifest.json')
# The share of a schedule in which the rate rises: 10 epochs of 120.
_WARM_UP = 1 / 12


@dataclass(frozen=True)
class Budget:
    """How much a pre-training arm trains, and on what."""
    configs: Dict[str, str]  # Config of each kind of step
    tokens: Dict[str, Dict[str, Any]]  # Tokenizer of each kind of tokens
    unit: str  # ``'iters'`` or ``'epochs'``
    length: int  # Of all steps of an arm together
    num_points: int  # Points per frame, in training and probe


def _knn(num_tokens: int, num_neighbors: int) -> Dict[str, Any]:
    return dict(
        _delete_=True,
        type='KNNTokenizer',
        num_tokens=num_tokens,
        num_neighbors=num_neighbors)


def _sam(num_tokens: int, min_points: int) -> Dict[str, Any]:
    return dict(
        _delete_=True,
        type='SAMTokenizer',
        num_tokens=num_tokens,
        min_points=min_points)


BUDGETS = dict(
    mini=Budget(
        configs=stage_configs('mini'),
        # As many kNN tokens as there are regions; see the mini configs.
        tokens=dict(knn=_knn(64, 64), sam=_sam(128, 4)),
        unit='iters',
        length=2000,
        num_points=4096),
    full=Budget(
        configs=stage_configs('full'),
        tokens=dict(knn=_knn(256, 128), sam=_sam(256, 16)),
        unit='epochs',
        length=120,
        num_points=20000))


class Arm(NamedTuple):
    """One way of pre-training."""
    tokens: str  # ``'knn'`` or ``'sam'``
    steps: Tuple[str, ...] = ()  # Kinds of trainings, one after the other
    features: str = STAND_IN  # That stage 1 learns, of ``FEATURES``
    is_balanced: bool = True  # Whether rare groups of regions weigh more
    # Whether each step has the length that other arms have in total
    is_long: bool = False


# Stage 1 with masked token prediction in the same stage: Table 4.
JOINT = 'joint'


def _all_arms() -> Dict[str, Arm]:
    """All arms by name, the most important first."""
    sam, knn, stages = 'sam', 'knn', ('stage1', )
    arms = dict(
        random_sam=Arm(sam),
        stage1_sam_balanced=Arm(sam, stages),
        ours_sam=Arm(sam, (*stages, 'stage2_ours')),
        stage1_sam_plain=Arm(sam, stages, is_balanced=False),
        stage1_knn_balanced=Arm(knn, stages),
        random_knn=Arm(knn),
        paper_sam=Arm(sam, (*stages, 'stage2')),
        joint_sam=Arm(sam, (JOINT, )),
        stage1_knn_plain=Arm(knn, stages, is_balanced=False),
        ours_knn=Arm(knn, (*stages, 'stage2_ours')))
    for name in list(arms):
        if arms[name].steps == stages:
            arms[f'{name}_{HANDCRAFTED}'] = arms[name]._replace(
                features=HANDCRAFTED)
    for method in read_methods().values():
        if method.key != 'sam3d':
            kinds = tuple(stage.name for stage in method.stages)
            for tokens in method.tokens:
                arms[f'{method.key}_{tokens}'] = Arm(tokens, kinds)
    arms['paper_sam_long'] = arms['paper_sam']._replace(is_long=True)
    return arms


ARMS = _all_arms()
_TEACHERS = {
    stage.name
    for method in read_methods().values()
    for stage in method.stages if stage.teacher
}


@dataclass(frozen=True)
class PlannedStep:
    """A training of an arm."""
    name: str  # Of its folder
    config: str  # The config file
    options: Dict[str, Any]  # Settings over it, without the teacher
    extra: List[str] = field(default_factory=list)  # More settings, as typed
    has_teacher: bool = False  # Whether it predicts the step before


def step_lengths(arm: Arm, length: int) -> List[int]:
    """Share a budget among the steps of an arm.

    Args:
        arm (Arm): The arm.
        length (int): In total, in iterations or epochs.

    Returns:
        List[int]: Of each step; an odd one falls to the first.

    Raises:
        ValueError: If it is too short to be shared.
    """
    if not arm.steps:
        return []
    if arm.is_long:
        return [length] * len(arm.steps)
    count = len(arm.steps)
    rest = length // count
    if rest < 2:
        raise UserError(f'a length of {length} is too short for {count} '
                        'trainings: give at least 2 to each')
    return [length - rest * (count - 1)] + [rest] * (count - 1)


def plan(
    arm: Arm,
    budget: Budget,
    seed: int,
    data_root: str,
    length: Optional[int] = None,
    extra: Sequence[str] = ()) -> List[PlannedStep]:
    """Write down the trainings of an arm.

    Args:
        arm (Arm): The arm.
        budget (Budget): Its size.
        seed (int): Of weights, order of frames, points, masks and drop path.
        data_root (str): The data set.
        length (Optional[int]): Instead of the budget's.
        extra (Sequence[str]): More settings of every training, as typed.

    Returns:
        List[PlannedStep]: In order.
    """
    lengths = step_lengths(arm, length or budget.length)
    planned = []
    for kind, steps in zip(arm.steps, lengths):
        source = 'stage1' if kind == JOINT else kind
        config = budget.configs[source]
        options = {
            'data_root': data_root,
            'model.backbone.tokenizer': budget.tokens[arm.tokens],
            'randomness.seed': seed,
            **_length_options(budget.unit, _of_frames(config, budget, steps))
        }
        if source == 'stage1':
            options.update(_target_options(arm, config))
        if kind == JOINT:
            options.update(_joint_options(config))
        planned.append(
            PlannedStep(
                name=kind,
                config=config,
                options=options,
                extra=list(extra),
                has_teacher=kind in _TEACHERS))
    return planned


def _target_options(arm: Arm, config: str) -> Dict[str, Any]:
    """What stage 1 learns, and how much a group weighs."""
    kind = FEATURES[arm.features]
    options = dict(kind.options)
    folders = dict(features=kind.folder, group_ids=kind.groups)
    for i, step in _target_steps(_read(config)):
        key = f'{_DATASET}.pipeline.{i}.folder'
        if step['folder'] != folders[step['key']]:
            options[key] = folders[step['key']]
    if not arm.is_balanced:
        options['model.head.loss'] = dict(_delete_=True, type='DistillLoss')
    return options


def _target_steps(settings: Dict[str, Any]) -> List[Tuple[int, dict]]:
    """Steps of a pipeline that read values of regions, with their places."""
    return [(i, step) for i, step in enumerate(_pipeline(settings))
            if step['type'].endswith('LoadRegionTargets')]


def _joint_options(config: str) -> Dict[str, Any]:
    """What ablations/table4_stage1_mtp_joint.py adds to a stage 1."""
    decoder = _read(config)['model']['decoder']
    return {
        'model.type':
        'MaskedRegionDistillPretrainer',
        '+model.mask_ratio':
        0.6,
        'model.decoder':
        dict(_delete_=True, type='MaskedTokenDecoder', transformer=decoder)
    }


def _of_frames(config: str, budget: Budget, length: int) -> int:
    """A length for methods whose epoch has several clouds of each frame.

    Returns a part of it, if it is in epochs; a step has as many clouds with
    any method.
    """
    clouds = clouds_per_frame(_pipeline(_read(config)))
    return length // clouds if budget.unit == 'epochs' else length


def _length_options(unit: str, length: int) -> Dict[str, Any]:
    """Train so long, with a short warm-up and the cosine to the end."""
    warm_up = max(1, round(length * _WARM_UP))
    options = {
        f'train_cfg.max_{unit}': length,
        'param_scheduler.0.end': warm_up,
        'param_scheduler.1.begin': warm_up,
        'param_scheduler.1.end': length,
    }
    if unit == 'iters':
        # What a broken-off training loses.
        options['default_hooks.checkpoint.interval'] = min(100, length)
    return options


def fresh_encoder(arm: Arm, budget: Budget) -> PlannedStep:
    """Where an arm that trains nothing gets its encoder from."""
    return PlannedStep('fresh', budget.configs['stage1'],
                       {'model.backbone.tokenizer': budget.tokens[arm.tokens]})


def settings_hash(steps: List[PlannedStep], probe: List[Any],
                  data: Dict[str, str], data_root: str) -> str:
    """What a result depends on, wherever the data set is.

    Of features, groups, pairs and objects in ``data`` only those that a step
    reads.
    """
    folders = {
        target['folder']
        for step in steps
        for _, target in _target_steps(_read(step.config, step.options))
    }
    if any(map(reads_pairs, steps)):
        folders.add('frame_pairs')
    if any(needs_objects(step) for step in steps):
        folders.add(OBJECTS)
    read = {
        name: checksum
        for name, checksum in data.items()
        if name not in (*_TARGET_MANIFESTS, *_PAIR_MANIFESTS,
                        OBJECTS) or {name, str(Path(name).parent)} & folders
    }
    content: List[Any] = [probe, read]
    content += [[step.name, step.extra, _resolved(step)] for step in steps]
    text = json.dumps(content, sort_keys=True)
    text = text.replace(data_root.rstrip('/'), 'DATA')
    return digest(text.encode())


def reads_pairs(step: PlannedStep) -> bool:
    """Whether a training needs pairs of frames."""
    settings = _read(step.config, step.options)
    return settings['train_dataloader']['dataset'][
        'type'] == 'FramePairDataset'


def needs_objects(step: PlannedStep) -> bool:
    """Whether a training needs the data set's objects."""
    return reads_objects(_pipeline(_read(step.config, step.options)))


def _pipeline(settings: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Steps that make a sample of a training."""
    return pipeline_of(settings['train_dataloader'])


def _resolved(step: PlannedStep) -> str:
    """What a training depends on, of its config with options (JSON)."""
    settings = _read(step.config, step.options)
    # Where the teacher lies; what it is, the step before says.
    (settings['model'].get('target_generator') or {}).pop('checkpoint', None)
    chosen = [settings.get(key) for key in _SETTINGS]
    return json.dumps(chosen, sort_keys=True, default=str)


def _read(config: str,
          options: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """Settings of a config with options, as a copy."""
    return deepcopy(_read_once(config, json.dumps(options or {})))


@lru_cache(maxsize=None)
def _read_once(config: str, options: str) -> Dict[str, Any]:
    return read_config(config, json.loads(options)).to_dict()


def data_checksums(data_root: str) -> Dict[str, str]:
    """Checksums of the manifests and the objects of a data set.

    Of made-up rooms those of the settings that made them, so that results of
    two machines can stand in one table: processors round pixels differently.

    Args:
        data_root (str): The data set.

    Returns:
        Dict[str, str]: By file, of those that are there.

    Raises:
        FileNotFoundError: If it has no id maps.
    """
    if not Path(data_root, 'region_maps').is_dir():
        raise FileNotFoundError(
            f'{data_root} has no region_maps: make and prepare the data set '
            'first (docs/data.md)')
    names = (*_MANIFESTS, *_TARGET_MANIFESTS, *_PAIR_MANIFESTS, OBJECTS)
    root = records.read_json(Path(data_root, 'store.json'))
    if root.get('kind') == SYNTHROOMS:
        names = tuple(
            name for name in names if name.endswith(('store.json', '.txt')))
    checksums = file_digests(Path(data_root), names)
    return {name: checksum for name, checksum in checksums.items() if checksum}
