"""DepthContrast with two formats: closed forms, and who learns from whom."""
import math

import pytest
import torch

from tests.models.pretraining_cases import losses_of
from .view_cases import DEPTH_CONTRAST, KEYS, build, make_batch

JOINT = dict(
    DEPTH_CONTRAST,
    type='JointDepthContrast',
    voxel_backbone=dict(
        type='SparseUNetBackbone',
        voxel_size=0.3,
        unet=dict(
            type='SparseVoxelUNet',
            stem_channels=4,
            encoder_channels=(4, 8, 8, 8),
            decoder_channels=(8, 8, 8, 8)),
        out_channels=32))
PAIRS = [
    f'loss_{a}_{b}' for a in ('points', 'voxels') for b in ('points', 'voxels')
]


def parts(losses):
    return [losses[name].item() for name in PAIRS]


def test_equal_features_cost_half_the_log_of_all_keys_four_times():
    model = build(JOINT).eval()
    for projector in (model.projector, model.voxel_projector):
        torch.nn.init.zeros_(projector.mlp[-1].weight)
        torch.nn.init.ones_(projector.mlp[-1].bias)
    model.key_network.restart(model.network)
    model.voxel_key_network.restart(model.voxel_network)
    model.queue.push(torch.ones(KEYS, 16))
    model.voxel_queue.push(torch.ones(3, 16))
    of_points, of_voxels = (math.log(1 + n) / 2 for n in (KEYS, 3))
    assert parts(losses_of(model, make_batch(range(3)))) == pytest.approx(
        2 * [of_points, of_voxels], abs=1e-6)


def test_losses_inside_a_format_are_those_of_that_format_alone():
    joint = build(JOINT).eval()
    points = build(DEPTH_CONTRAST).eval()
    points.load_state_dict({
        name: value
        for name, value in joint.state_dict().items()
        if not name.startswith('voxel_')
    })
    keys = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    for model in (joint, points):
        model.queue.push(keys)
    batch = make_batch(range(3))
    expected = losses_of(points, batch)
    found = losses_of(joint, batch)
    assert found['loss_points_points'].item() == pytest.approx(
        expected['loss_contrast'].item() / 2)
    assert found['accuracy_points'] == expected['accuracy']


def test_a_format_learns_from_the_keys_of_the_other():
    model = build(JOINT)
    keys = torch.randn(KEYS, 16, generator=torch.Generator().manual_seed(0))
    for queue in (model.queue, model.voxel_queue):
        queue.push(keys)
    losses = losses_of(model, make_batch(range(3)))
    losses['loss_points_voxels'].backward()
    touched = {
        name.split('.')[0]
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert touched == {'backbone', 'projector'}
    assert not torch.equal(model.queue.features, model.voxel_queue.features)


def test_both_copies_follow():
    model = build(JOINT)
    before = {
        name: value.clone()
        for name, value in model.named_parameters() if 'key_network' in name
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if 'key_network' not in name:
                parameter += 1
    losses_of(model, make_batch(range(3)))
    for name, parameter in model.named_parameters():
        if 'key_network' in name:
            torch.testing.assert_close(parameter, before[name] + 0.1)
