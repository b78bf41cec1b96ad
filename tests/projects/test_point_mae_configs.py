"""Every config of Point-MAE trains, and resumes as if unbroken."""
import argparse
from pathlib import Path

import numpy as np
import pytest
from mmdet3d.registry import RUNNERS

from sam3d_plugin.engine.options import load_config
from tests.datasets.frame_store import write_data_set, write_frames
from tests.short_runs import forget_runs

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / 'projects/point_mae/configs').glob('point_mae*.py'))


def load(path, data_root, work_dir, steps):
    """The config, on frames of 300 points and in a few steps."""
    cfg = load_config(
        argparse.Namespace(
            config=str(path),
            cfg_options=dict(data_root=f'{data_root}/'),
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))
    loader = cfg.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.ann_file = ''
    loader.dataset.pipeline[0].num_points = 300
    cfg.model.backbone.tokenizer.update(num_tokens=16, num_neighbors=8)
    cfg.model.head.num_neighbors = 8
    cfg.train_cfg = dict(type='ResumableTrainLoop', max_iters=steps)
    cfg.param_scheduler = []
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    cfg.custom_hooks = [h for h in cfg.custom_hooks if 'Picture' not in h.type]
    return cfg


def train(cfg):
    forget_runs()
    runner = RUNNERS.build(cfg)
    runner.train()
    return runner.message_hub.get_scalar('train/loss').data[0]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_trains_without_any_regions(path, tmp_path):
    write_frames(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['posed_images']
    losses = train(load(path, tmp_path, tmp_path / 'work', steps=2))
    assert len(losses) == 2 and np.isfinite(losses).all() and min(losses) > 0


def test_a_resumed_run_repeats_the_unbroken_one(tmp_path):
    write_data_set(tmp_path)
    path = CONFIGS[-1]
    whole = train(load(path, tmp_path, tmp_path / 'whole', steps=5))
    train(load(path, tmp_path, tmp_path / 'parts', steps=2))
    resumed = load(path, tmp_path, tmp_path / 'parts', steps=5)
    resumed.resume = True
    assert (train(resumed) == whole).all()
