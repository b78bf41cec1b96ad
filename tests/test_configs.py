"""Every detection config of ours builds, trains two steps and predicts."""
import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.registry import RUNNERS

from sam3d_plugin.engine.options import load_config, read_config
from tests.conftest import (SUN_CLASSES, write_infos, write_scannet,
                            write_sunrgbd)
from tests.short_runs import forget_runs
from tests.test_golden import SMALL_UNET

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'sam3d'
DETECTORS = ('groupfree3d', 'votenet', 'three_detr', 'vdetr')
CONFIGS = sorted(
    p for p in FOLDER.glob('*.py') if p.stem.startswith(DETECTORS))
TOKENIZER = 'model.backbone.tokenizer'
KNN = dict(_delete_=True, type='KNNTokenizer', num_tokens=256, num_neighbors=8)


def load(path, options, work_dir):
    """Read a config as tools/train.py does."""
    return load_config(
        argparse.Namespace(
            config=str(path),
            cfg_options=options,
            launcher='none',
            work_dir=str(work_dir),
            local_rank=0))


def shrink(cfg):
    """Two steps on 1,024 points, whatever the schedule."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        loader.update(num_workers=0, persistent_workers=False)
        loader.batch_size = 2 if name == 'train_dataloader' else 1
        loader.sampler = dict(type='DefaultSampler', shuffle=False)
        dataset = loader.dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        for step in dataset.pipeline:
            if step.type.endswith('PointSample'):
                step.num_points = 1024
    tokenizer = cfg.model.backbone.get('tokenizer')
    if tokenizer:
        tokenizer.num_tokens = min(tokenizer.num_tokens, 256)
    if 'num_neighbors' in (tokenizer or ()):
        tokenizer.num_neighbors = 8
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=10)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    if cfg.model.backbone.type == 'StockPointBackbone':
        cfg.model.backbone.backbone.update(
            num_points=(256, 128, 64, 32), num_samples=(8, 8, 8, 8))
    if cfg.model.backbone.type == 'SparseUNetBackbone':
        cfg.model.backbone.unet.update(SMALL_UNET)
        cfg.model.backbone.num_seeds = 256
    head = cfg.model.bbox_head
    if 'num_proposal' in head:  # GroupFree3D
        head.update(num_proposal=64, num_decoder_layers=3)
    if 'vote_aggregation_cfg' in head:  # VoteNet
        head.vote_aggregation_cfg.num_point = 64
    if 'decoder' in head:  # 3DETR, V-DETR
        head.decoder.num_layers = 2
        head.num_queries = head.get('num_queries') and 64
    if 'pre_encoder' in cfg.model.backbone:
        cfg.model.backbone.pre_encoder.update(num_point=160, num_sample=8)
        if 'downsample' in cfg.model.backbone.encoder:
            cfg.model.backbone.encoder.downsample.num_point = 128
    # the metric looks at every box of every class one by one
    cfg.model.test_cfg.per_class_proposal = False
    return cfg


def run(cfg):
    """Train and return the last loss and the metrics."""
    forget_runs()
    runner = RUNNERS.build(cfg)
    runner.train()
    scalars = runner.message_hub.log_scalars
    return scalars['train/loss'].current(), {
        key: value.current()
        for key, value in scalars.items() if key.startswith('val/')
    }


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_trains(path, request, tmp_path):
    kind = 'sunrgbd' if 'sunrgbd' in path.stem else 'scannet'
    root = request.getfixturevalue(f'{kind}_root')
    for infos in root.glob('*_infos_train.pkl'):  # a list of few labels
        shutil.copy(infos, infos.with_stem(infos.stem + '_10'))
    check_training(path, dict(data_root=str(root)), tmp_path)


@pytest.mark.parametrize('name', ['groupfree3d_scannet', 'votenet_scannet'])
def test_tokenizer_is_swapped_by_one_option(name, scannet_root, tmp_path):
    options = {'data_root': str(scannet_root), TOKENIZER: KNN}
    check_training(named(name), options, tmp_path)


def check_training(path, options, tmp_path):
    cfg = shrink(load(path, options, tmp_path / 'work'))
    torch.manual_seed(0)
    loss, metrics = run(cfg)
    assert np.isfinite(loss) and loss > 0
    values = [value for key, value in metrics.items() if 'mAP' in key]
    assert len(values) == 2 and all(0 <= value <= 1 for value in values)


def named(name):
    return next(path for path in CONFIGS if path.stem == name)


@pytest.mark.parametrize('name',
                         ['groupfree3d_scannet_mini', 'votenet_scannet'])
def test_scene_without_boxes_trains(name, tmp_path):
    """mmdet3d gives such a scene one box without weight."""
    infos = write_scannet(tmp_path / 'scannet')
    infos[0]['instances'] = []
    mask = tmp_path / 'scannet' / 'semantic_mask' / 'a.bin'
    np.ones(2048, np.int64).tofile(mask)
    write_infos(tmp_path / 'scannet' / 'scannet_infos_train.pkl', infos)
    cfg = shrink(
        load(
            named(name), dict(data_root=str(tmp_path / 'scannet')),
            tmp_path / 'work'))
    loss, _ = run(cfg)
    assert np.isfinite(loss)


def test_rotated_scenes_with_no_box_and_one_train(tmp_path):
    infos = write_sunrgbd(tmp_path / 'sunrgbd')
    infos[0]['instances'] = []
    infos[1]['instances'] = infos[1]['instances'][:1]
    write_infos(tmp_path / 'sunrgbd' / 'sunrgbd_v1_infos_train.pkl', infos,
                SUN_CLASSES, 'sunrgbd')
    cfg = shrink(
        load(
            named('groupfree3d_sunrgbd_mini'),
            dict(data_root=str(tmp_path / 'sunrgbd')), tmp_path / 'work'))
    loss, _ = run(cfg)
    assert np.isfinite(loss)


def test_every_validation_leaves_the_training_alone():
    for path in FOLDER.rglob('*.py'):
        val_cfg = read_config(str(path), {}).get('val_cfg')
        assert val_cfg is None or val_cfg.type == 'IndependentValLoop', path
