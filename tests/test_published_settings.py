"""What detector configs take over from the authors' code, number by number.

Epochs are theirs: an epoch of a config passes a repeated data set.
"""
import math
from pathlib import Path

import pytest

from sam3d_plugin.engine.options import read_config

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'sam3d'


def read(name):
    return read_config(str(FOLDER / f'{name}.py'), {})


def steps(cfg):
    """Pipeline of the training, by type."""
    return {
        step.type: step
        for step in cfg.train_dataloader.dataset.dataset.pipeline
    }


def published_epochs(cfg):
    return cfg.train_dataloader.dataset.times * cfg.train_cfg.max_epochs


THREE_DETR = {
    'three_detr_scannet_vanilla':
    dict(
        rate=5e-4,
        points=40000,
        queries=256,
        costs=(1, 0, 0, 2),
        giou=1,
        no_object=.25,
        bins=1,
        cuboid=(30000, .5, .8)),
    'three_detr_sunrgbd_vanilla':
    dict(
        rate=7e-4,
        points=20000,
        queries=128,
        costs=(1, 5, 5, 3),
        giou=0,
        no_object=.1,
        bins=12,
        cuboid=(30000, .75, .75)),
}


@pytest.mark.parametrize('name', THREE_DETR)
def test_three_detr(name):
    cfg, expected = read(name), THREE_DETR[name]
    head, assigner = cfg.model.bbox_head, cfg.model.train_cfg.assigner
    assert (head.queries, head.num_queries) == ('fps', expected['queries'])
    assert (assigner.class_cost, assigner.objectness_cost,
            assigner.center_cost, assigner.giou_cost) == expected['costs']
    assert head.loss_weights == dict(
        cls=1,
        center=5,
        size=1,
        dir_class=.1,
        dir_res=.5,
        giou=expected['giou'])
    assert head.no_object_weight == expected['no_object']
    assert head.bbox_coder.num_dir_bins == expected['bins']
    assert head.decoder == dict(
        num_layers=8, num_heads=4, feedforward_dims=256)
    assert head.mlp_dropout == .3
    assert cfg.model.test_cfg == dict(
        nms_thr=.25, score_thr=.05, min_points=5, per_class_proposal=True)
    transforms = steps(cfg)
    cuboid = dict(min_points=30000, min_crop=.5, aspect=.8)
    cuboid.update(transforms['RandomCuboid'])
    assert (cuboid['min_points'], cuboid['min_crop'],
            cuboid['aspect']) == expected['cuboid']
    assert transforms['PointSample'].num_points == expected['points']
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (expected['rate'], .1)
    assert cfg.optim_wrapper.clip_grad.max_norm == .1
    assert cfg.train_dataloader.batch_size == 8
    assert published_epochs(cfg) == 1080
    warm_up, cosine = cfg.param_scheduler
    assert warm_up.end * cfg.train_dataloader.dataset.times == 9
    assert warm_up.start_factor * optimizer.lr == pytest.approx(1e-6)
    assert cosine.eta_min == 1e-6


def test_three_detr_encoders():
    plain = read('three_detr_scannet_vanilla').model.backbone
    masked = read('three_detr_m_scannet').model
    encoder = masked.backbone.encoder
    assert 'radii' not in plain.encoder and 'dropout' not in plain.encoder
    assert plain.pre_encoder == masked.backbone.pre_encoder
    assert (plain.pre_encoder.num_point, plain.pre_encoder.radius,
            plain.pre_encoder.num_sample) == (2048, .2, 64)
    squares = [radius**2 for radius in (.4, .8, 1.2)]
    assert encoder.radii == pytest.approx(squares)
    assert encoder.dropout == .3
    assert (encoder.downsample.num_point, encoder.downsample.radius,
            encoder.downsample.num_sample) == (1024, .4, 32)
    assert masked.bbox_head.projection_layers == 2


@pytest.mark.parametrize('name, points, bins', [('vdetr_scannet', 100000, 1),
                                                ('vdetr_sunrgbd', 20000, 12)])
def test_vdetr(name, points, bins):
    """The released settings are ScanNet's alone."""
    cfg = read(name)
    head, assigner = cfg.model.bbox_head, cfg.model.train_cfg.assigner
    assert head.num_queries == 1024 and head.anchor_size == 1
    assert head.decoder == dict(
        num_layers=8, num_heads=4, feedforward_dims=256)
    weights = dict(
        cls=3, center=1, size=.5, dir_class=.1, dir_res=.5, giou=2, point=.05)
    assert head.loss_weights == weights
    assert head.bbox_coder.num_dir_bins == bins
    assert {
        part: assigner[f'{cost}_cost']
        for part, cost in dict(
            cls='class', center='center', size='size', giou='giou').items()
    } == {
        part: weights[part]
        for part in ('cls', 'center', 'size', 'giou')
    }
    assert assigner.repeats == 5
    assert steps(cfg)['PointSample'].num_points == points
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (7e-4, .1)
    assert cfg.optim_wrapper.clip_grad.max_norm == .1
    assert published_epochs(cfg) == 540
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_epochs
    if name == 'vdetr_scannet':
        turn = steps(cfg)['GlobalRotScaleTrans']
        assert turn.rot_range[1] == pytest.approx(math.radians(5), abs=1e-5)
        assert turn.scale_ratio_range == [.6, 1.4]


@pytest.mark.parametrize(
    'name, points, epochs, milestones, rate, factor, decay',
    [('groupfree3d_scannet', 50000, 400, (280, 340), .006, .1, .0005),
     ('groupfree3d_sunrgbd', 20000, 600, (420, 480, 540), .004, .05, 1e-8)])
def test_groupfree3d(name, points, epochs, milestones, rate, factor, decay):
    cfg = read(name)
    times = cfg.train_dataloader.dataset.times
    schedule, = cfg.param_scheduler
    assert published_epochs(cfg) == epochs
    assert tuple(m * times for m in schedule.milestones) == milestones
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (rate, decay)
    factors = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert {key.lr_mult for key in factors.values()} == {factor}
    assert cfg.optim_wrapper.clip_grad.max_norm == .1
    assert steps(cfg)['PointSample'].num_points == points
    head = cfg.model.bbox_head
    assert head.num_decoder_layers == 6 and head.num_proposal == 256
    layer = head.transformerlayers
    assert layer.attn_cfgs.num_heads == 8
    assert layer.ffn_cfgs.feedforward_channels == 2048
    assert head.size_cls_agnostic == head.bbox_coder.size_cls_agnostic == (
        name == 'groupfree3d_sunrgbd')


@pytest.mark.parametrize('name, points', [('votenet_scannet', 40000),
                                          ('votenet_sunrgbd', 20000)])
def test_votenet(name, points):
    cfg = read(name)
    assert cfg.optim_wrapper.optimizer.lr == 8e-3
    assert cfg.model.bbox_head.vote_aggregation_cfg.num_point == 256
    assert steps(cfg)['PointSample'].num_points == points


@pytest.mark.parametrize('name, gpus, scenes', [('votenet_scannet', 8, 8),
                                                ('votenet_sunrgbd', 8, 16),
                                                ('groupfree3d_scannet', 4, 8),
                                                ('groupfree3d_sunrgbd', 4, 8),
                                                ('three_detr_scannet', 1, 8),
                                                ('three_detr_sunrgbd', 1, 8),
                                                ('vdetr_scannet', 8, 1),
                                                ('vdetr_sunrgbd', 8, 1)])
def test_rates_are_for_the_published_batch(name, gpus, scenes):
    cfg = read(name)
    assert cfg.train_dataloader.batch_size == scenes
    assert cfg.auto_scale_lr.base_batch_size == gpus * scenes
    assert not cfg.auto_scale_lr.get('enable', False)
