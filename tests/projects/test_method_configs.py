"""Configs of the methods: the same data, encoder and schedule."""
import copy
from functools import lru_cache
from pathlib import Path

import pytest

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import rates
from sam3d_plugin.experiments.methods import (clouds_per_frame, pipeline_of,
                                              read_methods)

ROOT = Path(__file__).parents[2]
METHODS = read_methods()
SIZES = [(key, size) for key in METHODS for size in ('mini', 'full')]
# The learning rates that are tried for every method.
RATES = {size: tuple(map(float, tried)) for size, tried in rates.RATES.items()}


def test_metafiles_say_what_a_method_is():
    for key, method in METHODS.items():
        assert method.paper['URL'].startswith('https://arxiv.org/')
        assert set(method.tokens) <= {'knn', 'sam'} and method.stages
        for stage in method.stages:
            for config in stage.configs.values():
                assert (ROOT / config).is_file(), (key, config)
    names = [s.name for method in METHODS.values() for s in method.stages]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('key', [key for key in METHODS if key != 'sam3d'])
def test_projects_are_short(key):
    files = [
        p for p in (ROOT / 'projects' / key).rglob('*')
        if p.is_file() and p.suffix in ('.py', '.yml', '.md')
    ]
    if key == 'point_mae':
        assert sum(len(p.read_text().splitlines()) for p in files) < 120
    for path in files:
        assert len(path.read_text().splitlines()) < 400, path


@lru_cache(maxsize=None)
def read(config):
    return read_config(str(ROOT / config), {})


def clouds_of(cfg):
    """Clouds that a step draws from the loader."""
    loader = cfg.train_dataloader
    return loader.batch_size * clouds_per_frame(pipeline_of(loader))


def schedule_of(cfg):
    """Optimizer without its rate, schedule and length, counted in clouds."""
    views = clouds_of(cfg) // cfg.train_dataloader.batch_size
    schedule = [dict(phase) for phase in cfg.param_scheduler]
    length, scaling = dict(cfg.train_cfg), dict(cfg.auto_scale_lr)
    for part in (*schedule, length):
        for name in {'begin', 'end', 'max_epochs'} & part.keys():
            if part.get('by_epoch', part is length) and part[name]:
                part[name] *= views
    scaling['base_batch_size'] *= views
    optimizer = copy.deepcopy(cfg.optim_wrapper)
    del optimizer.optimizer['lr']
    optimizer.paramwise_cfg.pop('custom_keys')
    # Autoencoders clip, as published.
    optimizer.pop('clip_grad', None)
    return schedule, length, scaling, optimizer


def shared_steps(pipeline, kinds):
    """Steps of some kinds without what a method may read in addition."""
    return [{
        key: value
        for key, value in step.items() if key not in ('columns', 'keys')
    } for step in pipeline if step.type in kinds]


@pytest.mark.parametrize('key, size', SIZES)
def test_configs_differ_from_point_mae_where_the_method_does(key, size):
    """Same frames, points, encoder and schedule, not the same task."""
    base = read(METHODS['point_mae'].stages[0].configs[size])
    for stage in METHODS[key].stages:
        cfg = read(stage.configs[size])
        for name in ('custom_hooks', 'default_hooks', 'log_processor'):
            assert cfg[name] == base[name], (stage.name, name)
        assert schedule_of(cfg) == schedule_of(base), stage.name
        assert cfg.optim_wrapper.optimizer.lr in RATES[size]
        assert clouds_of(cfg) == clouds_of(base)
        data, expected = cfg.train_dataloader, base.train_dataloader
        if METHODS[key].is_supervised:
            check_labeled_data(pipeline_of(data), expected.dataset.pipeline)
            continue
        assert data.sampler == expected.sampler
        assert data.dataset.ann_file == expected.dataset.ann_file
        kinds = [step.type for step in expected.dataset.pipeline]
        steps = data.dataset.pipeline
        if 'TwoViews' not in [step.type for step in steps]:
            assert shared_steps(steps, kinds) == shared_steps(
                expected.dataset.pipeline, kinds)
            assert all(
                step.type in kinds or step.type.startswith('Load')
                for step in steps)
    check_encoder(key, cfg, base)


def check_labeled_data(steps, expected):
    """Other data sets, with the points and augmentation of all methods."""
    for kind in ('GlobalRotScaleTrans', 'RandomFlip3D'):
        wanted, = shared_steps(expected, [kind])
        found = shared_steps(steps, [kind])
        assert found and all(step == wanted for step in found)
    counts = {step.num_points for step in steps if 'num_points' in step}
    assert counts == {expected[0].num_points}


def check_encoder(key, cfg, base):
    parts = ('embedding', 'encoder', 'tokenizer')
    for part in parts[:2] if key == 'sam3d' else parts:
        assert cfg.model.backbone[part] == base.model.backbone[part], part
