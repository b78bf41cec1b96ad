"""Tests of refusing options that would change nothing."""
from pathlib import Path

import pytest
from mmengine.config import Config

from sam3d_plugin.engine.option_checks import check_options
from sam3d_plugin.engine.options import read_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'sam3d'
VOTENET = CONFIGS / 'votenet_scannet_mini.py'


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(VOTENET)


@pytest.mark.parametrize('key, value, hint', [
    ('max_epochs', 5, 'no max_epochs'),
    ('max_iters', 5, 'train_cfg.max_iters'),
    ('lr', 0.1, 'optim_wrapper.optimizer.lr'),
    ('batch_size', 4, 'train_dataloader.batch_size'),
    ('modl.backbone.frozen', True, 'model'),
    ('model.bckbone.frozen', True, 'backbone'),
    ('model.backbone.frosen', True, 'frozen'),
    ('optim_wrapper.optimizer.learning_rate', 0.1, 'AdamW'),
    ('optim_wrapper.paramwise_cfg.norm_decay', 0., 'norm_decay_mult'),
    ('train_dataloader.num_worker', 2, 'num_workers'),
    ('val_dataloader.dataset.anno_file', 'a.pkl', 'ann_file'),
    ('default_hooks.checkpoint.intervall', 1, 'interval'),
    ('train_cfg.max_iter', 5, 'max_iters'),
    ('train_cfg.val_intervall', 5, 'val_interval'),
    ('val_cfg.max_iters', 5, 'ValLoop'),
    ('param_scheduler.0.strat_factor', 0.1, 'start_factor'),
    ('param_scheduler.7.gamma', 0.1, 'entries'),
    ('param_scheduler.gamma', 0.1, 'entries'),
    ('randomness.sed', 0, 'seed'),
    ('env_cfg.cudnn_bench', True, 'env_cfg'),
    ('auto_scale_lr.base_batch', 8, 'no'),
    ('model.test_cfg.score_threshold', 0.1, 'score_thr'),
    ('log_level.name', 'a', 'log_level'),
    ('backbone.frozen', True, 'no backbone'),
    ('metainfo', {}, 'variable'),
])
def test_keys_that_change_nothing_are_refused(cfg, key, value, hint):
    with pytest.raises(ValueError, match='--cfg-options') as error:
        check_options(cfg, {key: value})
    assert key[:9] in str(error.value) and hint in str(error.value)


@pytest.mark.parametrize('key, value', [
    ('model.backbone.frozen', 'yes'),
    ('model.backbone.frozen', 1),
    ('optim_wrapper.optimizer.lr', 'fast'),
    ('optim_wrapper.optimizer.lr', [0, 1]),
    ('train_dataloader.batch_size', 'two'),
    ('train_dataloader.batch_size', True),
    ('train_dataloader.drop_last', 'no'),
    ('model.backbone', 'none'),
    ('model', 5),
    ('model.backbone', dict(frozen='yes')),
    ('model.backbone', dict(frosen=True)),
    ('param_scheduler.0.by_epoch', 'false '),
])
def test_values_of_another_kind_are_refused(cfg, key, value):
    with pytest.raises(ValueError, match='--cfg-options'):
        check_options(cfg, {key: value})


@pytest.mark.parametrize('key, value', [
    ('data_root', 'data/x'),
    ('work_dir', 'w'),
    ('load_from', 'a.pth'),
    ('allow_missing', ['bbox_head']),
    ('find_unused_parameters', True),
    ('custom_hooks', []),
    ('val_cfg', None),
    ('val_evaluator', None),
    ('val_evaluator.type', 'IndoorMetric'),
    ('train_cfg.max_iters', 1),
    ('train_dataloader.prefetch_factor', 2),
    ('train_dataloader.persistent_workers', False),
    ('default_hooks.early', dict(type='EarlyStoppingHook', monitor='mAP')),
    ('default_hooks.checkpoint.interval', 1),
    ('default_hooks.checkpoint.save_best', 'mAP_0.25'),
    ('model.backbone.frozen', True),
    ('model.backbone.init_cfg', dict(type='Pretrained', checkpoint='a')),
    ('model.backbone.init_cfg.checkpoint', 'a'),
    ('model.backbone.tokenizer', dict(_delete_=True, type='KNNTokenizer')),
    ('model.backbone.tokenizer.num_tokens', 64),
    ('model.backbone', dict(frozen=True)),
    ('optim_wrapper.constructor', 'LayerDecayOptimWrapperConstructor'),
    ('optim_wrapper.paramwise_cfg.layer_decay', 0.65),
    ('optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult', 0.1),
    ('optim_wrapper.accumulative_counts', 4),
    ('optim_wrapper.optimizer.lr', 1),
    ('optim_wrapper.optimizer.fused', False),
    ('param_scheduler.0.start_factor', 0.1),
    ('param_scheduler.0.verbose', True),
    ('randomness.seed', 3),
    ('randomness.deterministic', True),
    ('+model.test_cfg.anything', 1),
    ('+max_epochs', 5),
    ('+model.backbone.frozen', 'yes'),
])
def test_what_a_config_can_mean_passes(cfg, key, value):
    assert check_options(cfg, {key: value}) == {key.lstrip('+'): value}


def test_all_wrong_keys_are_named_at_once():
    with pytest.raises(ValueError, match='max_epochs') as error:
        read_config(
            str(VOTENET), {
                'max_epochs': 5,
                'data_root': 'x',
                'lr': 0.1,
                'modl.backbone.frozen': True
            })
    text = str(error.value)
    assert all(key in text for key in ('lr', 'modl.backbone.frozen'))
    assert 'data_root' not in text


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=str)
def test_every_setting_of_our_configs_is_known(path):
    """A config's own values, given as options, are never refused."""
    cfg = Config.fromfile(path)
    keys = {
        key: value
        for key, value in cfg.items()
        if key in ('model', 'train_dataloader', 'optim_wrapper', 'train_cfg',
                   'default_hooks', 'param_scheduler', 'env_cfg')
    }
    assert check_options(cfg, keys) == keys


@pytest.mark.parametrize('name, hint', [
    ('votenet_scanet_mini.py', 'votenet_scannet_mini.py'),
    ('model.pth', 'swapped'),
    ('model.safetensors', 'swapped'),
    ('room.ply', 'not a config'),
    ('quite_another.py', 'missing'),
])
def test_a_wrong_config_is_named(name, hint):
    with pytest.raises((ValueError, FileNotFoundError), match=hint):
        read_config(str(CONFIGS / name), {})


@pytest.mark.parametrize('key, value', [
    ('train_cfg.val_interval', 0.5),
    ('train_cfg.max_iters', 1e3),
    ('model.backbone.tokenizer.num_tokens', 6.5),
    ('model.bbox_head', dict(num_classes=18.)),
    ('default_hooks.checkpoint.interval', 2.5),
])
def test_numbers_that_must_be_whole(cfg, key, value):
    with pytest.raises(ValueError, match='integer'):
        check_options(cfg, {key: value})


def test_the_launcher_has_an_option_of_its_own(cfg):
    with pytest.raises(ValueError, match='launcher'):
        check_options(cfg, dict(launcher='pytorch'))
