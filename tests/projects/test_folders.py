"""Every folder of projects: its README, metafile and sizes, and its configs.

Configs differ only where methods do.
"""
import copy
import re
from functools import lru_cache
from pathlib import Path

import mmengine
import pytest

from sam3d_plugin.datasets.transforms.base import all_steps
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import methods, rates
from sam3d_plugin.experiments.methods import (clouds_per_frame, pipeline_of,
                                              read_methods)

ROOT = Path(__file__).parents[2]
METHODS = read_methods()
SIZES = [(key, size) for key in METHODS for size in ('mini', 'full')]
STAGES = [s.name for method in METHODS.values() for s in method.stages]
# Parts of a config in which a method may differ from another; what is equal in
# them is checked one by one.
OF_THE_METHOD = {
    'auto_scale_lr', 'batch_size', 'custom_imports', 'data_root', 'dataset',
    'knn_encoder', 'load_points', 'model', 'optim_wrapper', 'param_scheduler',
    'pipeline', 'train_cfg', 'train_dataloader', 'train_pipeline', 'type'
}
# As published
CLIPPED = dict(act_vae=dict(max_norm=10))
# The learning rates that are tried for every method.
RATES = {size: tuple(map(float, tried)) for size, tried in rates.RATES.items()}


def test_metafiles_say_what_a_method_is():
    for key, method in METHODS.items():
        assert method.paper['URL'].startswith('https://arxiv.org/')
        assert set(method.tokens) <= {'knn', 'sam'} and method.stages
        for stage in method.stages:
            for config in stage.configs.values():
                assert (ROOT / config).is_file(), (key, config)
    assert len(set(STAGES)) == len(STAGES)


@pytest.mark.parametrize('key', [key for key in METHODS if key != 'sam3d'])
def test_projects_are_short(key):
    files = [
        p for p in (ROOT / 'projects' / key).rglob('*')
        if p.is_file() and p.suffix in ('.py', '.yml', '.md')
    ]
    if key == 'point_mae':
        assert sum(len(p.read_text().splitlines()) for p in files) < 120
    for path in files:
        limit = 250 if path.suffix == '.py' else 400
        assert len(path.read_text().splitlines()) <= limit, path


@pytest.mark.parametrize('key', [key for key in METHODS if key != 'sam3d'])
def test_readmes_say_what_was_taken_and_what_was_not(key):
    """Recipe, source, deviations, traps, and what papers report."""
    method = METHODS[key]
    text = ' '.join(
        (ROOT / 'projects' / key / 'README.md').read_text().split())
    for stage in method.stages:
        assert f'tools/train.py {stage.configs["mini"]}' in text
        assert Path(stage.configs['full']).name in text
    assert re.search(r'Sources?: .+ no code( is used)?\.', text)
    assert '| here (mini) |' in text
    # The baseline, whose code has none that is known.
    assert ('Traps' in text and 'avoided' in text) or key == 'point_mae'
    for scores in method.reported.values():
        assert set(re.findall(r'\d+\.\d',
                              scores)) <= set(re.findall(r'\d+\.\d',
                                                         text)), scores


def test_scores_of_other_data_sets_have_a_column():
    table = methods.elsewhere_table()
    for path in ROOT.glob('projects/*/metafile.yml'):
        collection = mmengine.load(path)['Collections'][0]
        found = collection['Metadata'].get('ReportedElsewhere', {})
        assert set(found) <= set(methods.ELSEWHERE), path
        for scores in found.values():
            assert f'| {scores} |' in table


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
    tokens = optimizer.paramwise_cfg.pop('custom_keys')
    assert all(value == dict(decay_mult=0.) for value in tokens.values())
    # See CLIPPED.
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
        assert cfg.optim_wrapper.get('clip_grad') == CLIPPED.get(stage.name)
        assert schedule_of(cfg) == schedule_of(base), stage.name
        assert cfg.optim_wrapper.optimizer.lr in RATES[size]
        assert clouds_of(cfg) == clouds_of(base)
        data, expected = cfg.train_dataloader, base.train_dataloader
        if METHODS[key].is_supervised:
            check_labeled_data(pipeline_of(data), expected.dataset.pipeline)
            continue
        for own, shared in ((cfg, base), (data, expected), (data.dataset,
                                                            expected.dataset)):
            for name in shared.keys() - OF_THE_METHOD:
                assert own[name] == shared[name], (stage.name, name)
        kinds = [step.type for step in expected.dataset.pipeline]
        steps = data.dataset.pipeline
        if 'TwoViews' in [step.type for step in steps]:
            check_views(steps, expected.dataset.pipeline)
        else:
            assert shared_steps(steps, kinds) == shared_steps(
                expected.dataset.pipeline, kinds)
            assert all(
                step.type in kinds or step.type.startswith('Load')
                for step in steps)
    check_encoder(key, cfg, base)


def check_views(steps, expected):
    """As many points as elsewhere, and a quarter for what an object hides."""
    steps = list(all_steps(steps))
    count = [step.num_points for step in steps if 'num_points' in step][-1]
    has_object = 'PlaceMovingObject' in [step.type for step in steps]
    assert count == expected[0].num_points * (5 if has_object else 4) // 4


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
