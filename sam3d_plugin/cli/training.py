"""Runners that are built after a check of their data."""
import argparse
import logging
from pathlib import Path
from typing import Any, Dict, List

from mmdet3d.registry import MODELS, RUNNERS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..datasets.preflight import (SceneLimits, check_datasets,
                                  check_frame_loader)
from ..engine.compatibility import check_class_count, check_query_count
from ..engine.export import encoder_settings
from ..engine.options import apply_train_options, load_config
from ..engine.work_dir import locked_work_dir
from ..store.checkpoint import read_checkpoint
from ..store.errors import UserError
from ..store.literals import settings_of

# Detectors whose targets are laid out for this many boxes a scene.
_MAX_BOXES = {'VoteNet': 64, 'GroupFree3DNet': 64}


def train(args: argparse.Namespace) -> None:
    """Train as the options of tools/train.py say."""
    cfg = load_config(args)
    apply_train_options(cfg, args)
    with locked_work_dir(cfg.work_dir):
        build_runner(cfg, ['train_dataloader', 'val_dataloader']).train()


def build_runner(cfg: Config, loaders: List[str]) -> Runner:
    """Check the data of these dataloaders, then build the runner."""
    datasets = [cfg[name]['dataset'] for name in loaders if cfg.get(name)]
    check_datasets(datasets, scene_limits(cfg.model))
    if 'train_dataloader' in loaders:
        check_frame_loader(cfg.train_dataloader)
    check_teacher(cfg.model)
    check_query_count(cfg.model)
    for dataset in datasets:
        check_class_count(cfg.model, dataset)
    return RUNNERS.build(cfg)


def scene_limits(model: Dict[str, Any]) -> SceneLimits:
    """What a model asks of every scene; nothing if it is not ours."""
    # inside the wrapper for test-time augmentation
    model = model.get('module', model)
    max_boxes = _MAX_BOXES.get(str(model.get('type')).split('.')[-1])
    tokenizer = (model.get('backbone') or {}).get('tokenizer')
    if tokenizer is None:
        return SceneLimits(max_boxes)
    built = MODELS.build(tokenizer)
    return SceneLimits(max_boxes, built.points_needed, built.uses_regions,
                       model['backbone'].get('region_column', 3))


def check_teacher(model: Dict[str, Any]) -> None:
    """Refuse to start a stage without the one that it predicts.

    A teacher of tokens of another size is named in the log.

    Raises FileNotFoundError when the teacher's file is missing.
    Raises ValueError when it was trained with another tokenizer.
    """
    targets = model.get('target_generator') or {}
    teacher = str(targets.get('checkpoint') or '')
    if not teacher or '://' in teacher:
        return
    if not Path(teacher).exists():
        raise FileNotFoundError(
            f'teacher {teacher} is missing: train the stage that writes it, '
            'or name another with --cfg-options teacher=FILE')
    trained, student = (
        encoder_settings(settings).get('tokenizer') or {} for settings in (
            settings_of(read_checkpoint(teacher)).get('model') or {}, model))
    if trained and trained.get('type') != student.get('type'):
        raise UserError(
            f'teacher {teacher} was trained with {trained.get("type")}, the '
            f'student has {student.get("type")}: teacher and student must use '
            'the same tokenizer')
    different = [
        f'{name} {trained[name]}, here {student[name]}'
        for name in sorted(trained.keys() & student.keys())
        if trained[name] != student[name]
    ]
    if different:
        print_log(
            f'teacher {teacher} was trained with other tokens: '
            f'{"; ".join(different)}',
            logger='current',
            level=logging.WARNING)
