"""The segmentation head behind its backbone."""
import copy

import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.ops.propagation import (propagate_own_token,
                                          propagate_three_nn)
from .test_backbones import BACKBONE, KNN, make_points

DEPTHS = (1, 2)
HEAD = dict(
    type='PointTokenSegHead',
    num_classes=5,
    in_channels=32,
    num_depths=2,
    hidden_channels=(24, 16),
    offset_channels=8,
    propagation='own_token',
    ignore_index=5)


def build_head(**changes):
    torch.manual_seed(0)
    head = MODELS.build(copy.deepcopy({**HEAD, **changes}))
    head.init_weights()
    return head


def build_backbone(**changes):
    torch.manual_seed(0)
    settings = dict(out_channels=None, feature_depths=DEPTHS)
    return MODELS.build(copy.deepcopy({**BACKBONE, **settings, **changes}))


def label(labels):
    return [
        Det3DDataSample(gt_pts_seg=PointData(pts_semantic_mask=row))
        for row in labels
    ]


@pytest.mark.parametrize('propagation', ['own_token', 'three_nn'])
def test_head_is_an_mlp_over_the_concatenation(propagation):
    """Propagated depths, maximum, mean and position into one layer."""
    head = build_head(propagation=propagation).eval()
    features = build_backbone().eval()(make_points())
    points, centers = features['sa_xyz'][0], features['token_centers']
    tokens = torch.cat(features['token_features'], dim=2)
    if propagation == 'own_token':
        own, offsets = propagate_own_token(points, centers, tokens,
                                           features['point_tokens'])
    else:
        own, offsets = propagate_three_nn(points, centers, tokens)
    scene = torch.cat((tokens.amax(1), tokens.mean(1)), dim=1)
    everything = torch.cat((own, scene[:, None].expand(-1, 300, -1)), dim=2)
    weight = torch.cat((head.token_layer.weight, head.scene_layer.weight),
                       dim=1)
    hidden = everything @ weight.t() + head.scene_layer.bias
    hidden = hidden + head.offset_layers(offsets)
    for layer in head.point_layers:
        hidden = layer(hidden.flatten(0, 1)).reshape(2, 300, -1)
    expected = head.conv_seg(hidden.transpose(1, 2))
    torch.testing.assert_close(head(features), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize('propagation', ['own_token', 'three_nn'])
def test_points_and_their_classes_permute_together(propagation):
    """One token per region, so that no token depends on the order."""
    points = make_points()
    tokenizer = dict(
        type='SAMTokenizer', split=True, num_tokens=6, min_points=1)
    backbone = build_backbone(tokenizer=tokenizer).eval()
    head = build_head(propagation=propagation).eval()
    order = torch.randperm(300)
    logits = head(backbone(points))
    assert logits.shape == (2, 5, 300)
    assert logits.std(dim=2).min() > 0
    torch.testing.assert_close(
        head(backbone(points[:, order])), logits[..., order])


def test_points_of_one_token_differ_by_their_position_only():
    points = make_points()
    features = build_backbone().eval()(points)
    flat = build_head(offset_channels=0).eval()(features)
    token = features['point_tokens'][0, 0]
    of_token = features['point_tokens'][0] == token
    assert of_token.sum() > 1
    assert (flat[0][:, of_token] == flat[0][:, :1]).all()
    fine = build_head().eval()(features)
    assert fine[0][:, of_token].std(dim=1).min() > 0


@pytest.mark.parametrize('changes', [
    dict(),
    dict(propagation='three_nn', norm_cfg=dict(type='LN')),
    dict(hidden_channels=(24, )),
])
def test_every_part_learns(changes):
    backbone, head = build_backbone().train(), build_head(**changes).train()
    labels = torch.randint(0, 6, (2, 300))
    losses = head.loss(backbone(make_points()), label(labels), dict())
    assert list(losses) == ['loss_sem_seg']
    losses['loss_sem_seg'].backward()
    for module in (backbone, head):
        without = {
            name
            for name, p in module.named_parameters()
            if p.grad is None or not p.grad.abs().sum()
        }
        # a softmax ignores what all keys have in common
        assert all(name.endswith('qkv.bias') for name in without), without


def test_loss_is_the_mean_over_labelled_points():
    """However few they are."""
    head = build_head(dropout_ratio=0.).eval()
    features = build_backbone().eval()(make_points())
    labels = torch.full((2, 300), 5)
    labels[0, 7], labels[1, 9] = 2, 4
    loss = head.loss(features, label(labels), dict())['loss_sem_seg']
    scores = head(features).log_softmax(dim=1)
    expected = -(scores[0, 2, 7] + scores[1, 4, 9]) / 2
    torch.testing.assert_close(loss, expected)


def test_points_of_no_class_give_a_loss_of_zero():
    backbone, head = build_backbone().train(), build_head().train()
    labels = torch.full((2, 300), 5)
    loss = head.loss(backbone(make_points()), label(labels),
                     dict())['loss_sem_seg']
    loss.backward()
    assert loss == 0
    for parameter in (*backbone.parameters(), *head.parameters()):
        assert torch.isfinite(parameter.grad).all()


def test_head_refuses_what_does_not_fit():
    points = make_points()
    with pytest.raises(ValueError, match="'nearest' is none of three_nn"):
        build_head(propagation='nearest')
    with pytest.raises(ValueError, match='with feature_depths'):
        build_head()(build_backbone(feature_depths=())(points))
    with pytest.raises(ValueError, match='gives 1 depths .* num_depths=2'):
        build_head()(build_backbone(feature_depths=(2, ))(points))
    with pytest.raises(ValueError, match="set propagation='three_nn'"):
        build_head()(build_backbone(tokenizer=KNN)(points))
    assert build_head(propagation='three_nn')(
        build_backbone(tokenizer=KNN)(points)).shape == (2, 5, 300)
