"""A small V-DETR that several tests share."""
import torch
from mmdet3d.registry import MODELS

from tests.models.three_detr_cases import TOKENS, detector_cfg

WEIGHTS = dict(
    cls=3., center=1., size=.5, dir_class=.1, dir_res=.5, giou=2., point=.05)


def vdetr_cfg(with_rot=True, repeats=2, backbone=TOKENS, **head):
    """Config of a small detector; the head's arguments can be replaced."""
    cfg = detector_cfg(dict(backbone, center='floor'), with_rot)
    cfg['type'] = 'VDETR'
    theirs = cfg['bbox_head']
    cfg['bbox_head'] = dict(
        type='VDETRHead',
        num_classes=theirs['num_classes'],
        in_channels=48,
        num_queries=12,
        embed_dims=32,
        decoder=dict(num_layers=2, feedforward_dims=32, dropout=0.),
        mlp_dropout=0.,
        bbox_coder=dict(
            type='VDETRBoxCoder',
            num_dir_bins=12 if with_rot else 1,
            with_rot=with_rot),
        loss_weights=dict(WEIGHTS))
    cfg['bbox_head'].update(head)
    cfg['train_cfg']['assigner'] = dict(
        type='RepeatedBoxAssigner',
        class_cost=3.,
        center_cost=1.,
        size_cost=.5,
        giou_cost=2.,
        with_rot=with_rot,
        repeats=repeats)
    return cfg


def build(**kwargs):
    """A small detector with weights of its own."""
    torch.manual_seed(0)
    detector = MODELS.build(vdetr_cfg(**kwargs))
    detector.init_weights()
    return detector
