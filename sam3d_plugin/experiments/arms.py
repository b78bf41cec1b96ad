"""The arms of the ladder: which trainings, how long, and what is probed.

An arm is a list of steps, each a config with options. Those of other methods
come from their metafiles, see :mod:`.methods`.
"""
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..engine.options import read_config
from ..store.errors import UserError
from ..store.provenance import digest, file_digests
from .methods import read_methods, stage_configs

# Of a config, what a training depends on.
_SETTINGS = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
             'train_cfg', 'randomness', 'custom_hooks')
# What the data set and the steps of its preparation say of themselves.
_MANIFESTS = ('manifest.json', 'posed_images/manifest.json',
              'region_maps/store.json', 'region_maps/manifest.json',
              'region_features/store.json', 'region_features/manifest.json',
              'region_groups/train/manifest.json', 'splits/train.txt',
              'splits/val.txt')
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
        length=1000,
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
    # Whether each step has the length that other arms have in total
    is_long: bool = False


ARMS = dict(
    random_knn=Arm('knn'),
    random_sam=Arm('sam'),
    **{
        f'{method.key}_{tokens}':
        Arm(tokens, tuple(stage.name for stage in method.stages))
        for method in read_methods().values() if method.key != 'sam3d'
        for tokens in method.tokens
    },
    stage1_knn=Arm('knn', ('stage1', )),
    stage1_sam=Arm('sam', ('stage1', )),
    full_knn=Arm('knn', ('stage1', 'stage2')),
    full_sam=Arm('sam', ('stage1', 'stage2')),
    two_full_stages_knn=Arm('knn', ('stage1', 'stage2'), True),
    two_full_stages_sam=Arm('sam', ('stage1', 'stage2'), True))
KINDS = tuple(stage_configs('mini'))
_TEACHERS = {
    stage.name
    for method in read_methods().values()
    for stage in method.stages if stage.has_teacher
}
# Those of equal budget, and their untrained encoders.
DEFAULT_ARMS = [name for name, arm in ARMS.items() if not arm.is_long]


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


def plan(arm: Arm,
         budget: Budget,
         seed: int,
         data_root: str,
         length: Optional[int] = None,
         extra: Optional[Dict[str, List[str]]] = None) -> List[PlannedStep]:
    """Write down the trainings of an arm.

    Args:
        arm (Arm): The arm.
        budget (Budget): Its size.
        seed (int): Of weights, order of frames, points, masks and drop path.
        data_root (str): The data set.
        length (Optional[int]): Instead of the budget's.
        extra (Optional[Dict[str, List[str]]]): More settings, as typed, of
            the trainings of a kind, and under ``'all'`` of every one.

    Returns:
        List[PlannedStep]: In order.
    """
    lengths = step_lengths(arm, length or budget.length)
    extra = extra or {}
    return [
        PlannedStep(
            name=kind,
            config=budget.configs[kind],
            options={
                'data_root': data_root,
                'model.backbone.tokenizer': budget.tokens[arm.tokens],
                'randomness.seed': seed,
                **_length_options(budget.unit, steps)
            },
            extra=[*extra.get('all', ()), *extra.get(kind, ())],
            has_teacher=kind in _TEACHERS)
        for kind, steps in zip(arm.steps, lengths)
    ]


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
    """What a result depends on, wherever the data set is."""
    content: List[Any] = [probe, data]
    content += [[
        step.name, step.extra,
        _resolved(step.config, json.dumps(step.options))
    ] for step in steps]
    text = json.dumps(content, sort_keys=True)
    text = text.replace(data_root.rstrip('/'), 'DATA')
    return digest(text.encode())


@lru_cache(maxsize=None)
def _resolved(config: str, options: str) -> str:
    """What a training depends on, of a config with options (JSON)."""
    settings = read_config(config, json.loads(options)).to_dict()
    # Where the teacher lies; what it is, the step before says.
    (settings['model'].get('target_generator') or {}).pop('checkpoint', None)
    chosen = [settings.get(key) for key in _SETTINGS]
    return json.dumps(chosen, sort_keys=True, default=str)


def data_checksums(data_root: str) -> Dict[str, str]:
    """Checksums of the manifests of a data set.

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
            'first (README, "Without any data")')
    checksums = file_digests(Path(data_root), _MANIFESTS)
    return {name: checksum for name, checksum in checksums.items() if checksum}
