"""Heads: who is counted, and how means are taken."""
import pytest
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS

from sam3d_plugin.models.heads import frame_mean, pool_tokens
from sam3d_plugin.models.target_generators import RegionTargets
from .pretraining_cases import CHANNELS, make_frame


def test_frame_mean_against_loops():
    values = torch.rand(3, 5)
    is_counted = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1],
                               [0, 0, 0, 0, 1]]).bool()
    expected = (values[0, :2].mean() + values[1].mean() + values[2, 4]) / 3
    torch.testing.assert_close(frame_mean(values, is_counted), expected)


def test_a_frame_that_counts_nothing_gives_zero_and_no_gradient():
    values = torch.full((2, 3), float('nan'), requires_grad=True)
    with torch.no_grad():
        values[1] = 4.
    is_counted = torch.tensor([[False] * 3, [True] * 3])
    mean = frame_mean(values, is_counted)
    assert mean == 2
    mean.backward()
    assert values.grad[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize('pool', ['mean', 'max'])
def test_pooling_leaves_padding_out(pool):
    features = torch.randn(2, 4, 6)
    is_padding = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 0]]).bool()
    features[is_padding] = float('nan')
    pooled = pool_tokens(features, is_padding, pool)
    kept = (features[0, :2], features[1, [0, 2, 3]])
    for row, tokens in zip(pooled, kept):
        expected = tokens.mean(0) if pool == 'mean' else tokens.amax(0)
        torch.testing.assert_close(row, expected)


def make_targets(num_tokens=5):
    generator = torch.Generator().manual_seed(0)
    is_target = torch.ones(2, num_tokens, dtype=torch.bool)
    is_target[0, 3:] = False
    return RegionTargets(
        torch.randn(2, num_tokens, CHANNELS, generator=generator),
        torch.zeros(2, num_tokens, dtype=torch.int64), is_target)


def build_distill(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='RegionDistillHead',
            in_channels=8,
            out_channels=CHANNELS,
            **kwargs))


def test_distill_head_counts_tokens_in_regions_only():
    head, targets = build_distill(), make_targets()
    decoded = torch.randn(2, 5, 8)
    items = F.smooth_l1_loss(
        head(decoded), targets.features, reduction='none').mean(-1)
    losses = head.loss(decoded, targets)
    expected = (items[0, :3].mean() + items[1].mean()) / 2
    torch.testing.assert_close(losses['loss_region'], expected)
    assert losses['region_tokens'] == 4
    decoded[0, 3:] = 1e6
    torch.testing.assert_close(
        head.loss(decoded, targets)['loss_region'], expected)


def test_distill_head_is_one_linear_layer_and_balances():
    head = build_distill(
        loss=dict(type='GroupBalancedDistillLoss', counts=[3, 3]))
    assert [tuple(p.shape) for p in head.parameters()] == [(CHANNELS, 8),
                                                           (CHANNELS, )]
    decoded, targets = torch.randn(2, 5, 8), make_targets()
    plain = build_distill().loss(decoded, targets)['loss_region']
    torch.testing.assert_close(
        head.loss(decoded, targets)['loss_region'], plain / 2)


def test_distill_head_refuses_features_of_another_width():
    targets = make_targets()._replace(features=torch.zeros(2, 5, 384))
    with pytest.raises(ValueError, match='384 channels.*out_channels=384'):
        build_distill().loss(torch.zeros(2, 5, 8), targets)


def test_masked_token_head_sees_masked_tokens_only():
    head = MODELS.build(dict(type='MaskedTokenHead'))
    decoded, targets = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    decoded.requires_grad_()
    is_masked = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0]]).bool()
    loss = head.loss(decoded, targets, is_masked)['loss_token']
    items = (decoded - targets).square().mean(-1)
    expected = ((items[0, 0] + items[0, 3]) / 2 + items[1, 1]) / 2
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert decoded.grad.abs().sum(-1).gt(0).equal(is_masked)
    assert head.loss(targets, targets, is_masked)['loss_token'] == 0
    assert not list(head.parameters())


def test_masked_token_head_predicts_through_a_layer():
    head = MODELS.build(
        dict(type='MaskedTokenHead', proj_channels=8, loss_weight=.1))
    decoded, targets = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    everywhere = torch.ones(2, 4, dtype=torch.bool)
    loss = head.loss(decoded, targets, everywhere)['loss_token']
    expected = (head.proj(decoded) - targets).square().mean()
    torch.testing.assert_close(loss, .1 * expected)


def test_global_head_is_the_mean_square_of_an_mlp():
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='GlobalFeatureHead',
            in_channels=8,
            hidden_channels=4,
            out_channels=6))
    encoded, targets = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    everything = torch.zeros(2, 3).bool(), torch.zeros(2, 5).bool()
    loss = head.loss(encoded, everything[0], targets, everything[1])
    expected = (head.mlp(encoded.mean(1)) - targets.mean(1)).square().mean()
    torch.testing.assert_close(loss['loss_ins'], expected)
    with pytest.raises(ValueError, match='choose mean or max'):
        MODELS.build(dict(type='GlobalFeatureHead', pool='sum'))


def test_frames_for_tests_have_every_region():
    points, sample = make_frame(num_regions=6)
    assert set(points[:,
                      3].long().tolist()) == {0, *sample.regions.ids.tolist()}
