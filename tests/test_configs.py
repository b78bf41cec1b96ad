"""Every config of ours builds, trains two steps and predicts."""
import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import RUNNERS
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

from sam3d_plugin.engine.cli import load_config

CONFIGS = sorted(
    (Path(__file__).resolve().parents[1] / 'configs' / 'sam3d').glob('*.py'))
KNN = dict(_delete_=True, type='KNNTokenizer', num_tokens=256,
           num_neighbors=8)


def shrink(cfg):
    """Two steps on 2,048 points, whatever the schedule."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(num_workers=0, persistent_workers=False)
        loader.batch_size = 2 if name == 'train_dataloader' else 1
        loader.sampler = dict(type='DefaultSampler', shuffle=False)
        dataset = loader.dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        for step in dataset.pipeline:
            if step.type == 'PointSample':
                step.num_points = 2048
    tokenizer = cfg.model.backbone.tokenizer
    tokenizer.num_tokens = min(tokenizer.num_tokens, 512)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2,
                         val_interval=2)
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=10)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    # with one class in three predicted at most, mmdet3d's own mean is NaN
    cfg.val_evaluator.type = 'PresentClassIndoorMetric'
    return cfg


def run(cfg):
    """Train and return the last loss and the metrics."""
    for manager in (MMLogger, MessageHub, Visualizer):
        manager._instance_dict.clear()
    runner = RUNNERS.build(cfg)
    runner.train()
    scalars = runner.message_hub.log_scalars
    return scalars['train/loss'].current(), {
        key: value.current()
        for key, value in scalars.items() if key.startswith('val/')
    }


@pytest.mark.parametrize('tokenizer', ['as configured', 'swapped'])
@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_trains(path, tokenizer, scannet_root, tmp_path):
    options = dict(data_root=str(scannet_root))
    if tokenizer == 'swapped':
        options['model.backbone.tokenizer'] = KNN
    cfg = shrink(
        load_config(
            argparse.Namespace(
                config=str(path), cfg_options=options, launcher='none',
                work_dir=str(tmp_path / 'work'), local_rank=0)))
    torch.manual_seed(0)
    loss, metrics = run(cfg)
    assert np.isfinite(loss) and loss > 0
    values = [value for key, value in metrics.items() if 'mAP' in key]
    assert len(values) == 2 and all(0 <= value <= 1 for value in values)
