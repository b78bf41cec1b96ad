"""Every method of a metafile trains, resumes, exports and is loaded."""
import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS, RUNNERS

from sam3d_plugin.engine.export import export_backbone
from sam3d_plugin.engine.options import load_config
from sam3d_plugin.experiments.methods import methods_table, read_methods
from tests.datasets.frame_store import write_data_set
from tests.short_runs import forget_runs, short_start
from tests.test_golden import shrink_data, shrink_model

ROOT = Path(__file__).parents[2]
METHODS = read_methods()
SIZES = [(key, size) for key in METHODS for size in ('mini', 'full')]


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    write_data_set(folder)
    return folder


def load(config, frames, work_dir, steps, teacher=''):
    """A config of a stage, on a few frames and in a few steps."""
    options = dict(data_root=f'{frames}/')
    if teacher:
        options['teacher'] = teacher
    cfg = load_config(
        argparse.Namespace(
            config=str(ROOT / config),
            cfg_options=options,
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))
    loader = cfg.train_dataloader
    # A pair is two frames.
    batch_size = 1 if loader.dataset.type == 'FramePairDataset' else 2
    loader.update(
        batch_size=batch_size, num_workers=0, persistent_workers=False)
    loader.dataset.ann_file = ''
    shrink_data(loader.dataset)
    shrink_model(cfg.model)
    cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=steps)
    cfg.param_scheduler = []
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    cfg.custom_hooks = [h for h in cfg.custom_hooks if 'Picture' not in h.type]
    return cfg


def train(cfg):
    """Losses and weights of a run."""
    forget_runs()
    with short_start():
        runner = RUNNERS.build(cfg)
        runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    return losses, runner.model.state_dict()


@pytest.mark.parametrize('key, size', SIZES)
def test_method(key, size, frames, tmp_path):
    checkpoints = {}
    for stage in METHODS[key].stages:
        config, folder = stage.configs[size], tmp_path / stage.name
        teacher = checkpoints.get(stage.teacher, '')
        expected, weights = train(
            load(config, frames, folder / 'unbroken', 4, teacher))
        train(load(config, frames, folder / 'parts', 2, teacher))
        resumed = load(config, frames, folder / 'parts', 4, teacher)
        resumed.resume = True
        losses, _ = train(resumed)
        assert len(losses) == 4 and np.isfinite(losses).all()
        assert min(losses) > 0
        np.testing.assert_array_equal(losses, expected)
        checkpoint = str(folder / 'unbroken' / 'iter_4.pth')
        checkpoints[stage.name] = checkpoint
    check_export(checkpoint, weights, resumed.model, tmp_path / 'encoder.pth')


def check_export(checkpoint, weights, model, path):
    """A detector's backbone takes every trained tensor of the encoder."""
    meta = export_backbone(checkpoint, str(path))
    assert meta['method'] == model.type and meta['frames_seen'] == 8
    settings = {
        name: model.backbone[name]
        for name in ('tokenizer', 'embedding', 'encoder')
    }
    backbone = MODELS.build(
        dict(
            settings,
            type='PointTokenBackbone',
            out_channels=8,
            init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    backbone.init_weights()
    state = backbone.state_dict()
    shared = [
        name for name in weights
        if name.startswith(('backbone.embedding.', 'backbone.encoder.'))
    ]
    assert shared
    for name in shared:
        torch.testing.assert_close(
            state[name.removeprefix('backbone.')],
            weights[name].cpu(),
            rtol=0,
            atol=0)


def test_metafiles_say_what_a_method_is():
    for key, method in METHODS.items():
        assert method.paper['URL'].startswith('https://arxiv.org/')
        assert method.name in methods_table()
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
