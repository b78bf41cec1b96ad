"""Tokens of regions that read a sparse U-Net."""
import torch

from sam3d_plugin.models.backbones import SparseUNetBackbone
from sam3d_plugin.ops.regions import segment_mean
from .pretraining_cases import (CHANNELS, SAM, STAGE1, build, losses_of,
                                make_batch, make_frame)
from .test_sparse_unet import BACKBONE

ENCODER = dict(BACKBONE, type='SparseTokenEncoder', tokenizer=SAM)
DISTILL = dict(
    STAGE1,
    backbone=ENCODER,
    decoder=None,
    head=dict(type='RegionDistillHead', in_channels=8, out_channels=CHANNELS))


def points_of(batch):
    return torch.stack(batch['inputs']['points'])


def test_segment_mean_against_a_loop():
    rows = torch.randn(9, 4, dtype=torch.float64).float().requires_grad_()
    offsets = torch.tensor([0, 2, 2, 9])
    means = segment_mean(rows, offsets)
    expected = torch.stack(
        [rows[:2].mean(0), torch.zeros(4), rows[2:].mean(0)])
    torch.testing.assert_close(means, expected)
    pull = torch.randn(3, 4)
    for mine, theirs in zip(
            torch.autograd.grad(means, rows, pull),
            torch.autograd.grad(expected, rows, pull)):
        torch.testing.assert_close(mine, theirs)


def test_a_token_has_the_mean_of_its_points():
    encoder = build(DISTILL).backbone.eval()
    points = points_of(make_batch((4, 9)))
    tokens, features = encoder.encode(points)
    of_points = encoder.point_features(points)
    assert tokens.is_padding.any()
    assert features[tokens.is_padding].eq(0).all()
    for scene, own in enumerate(tokens.point_tokens):
        for token in own.unique():
            torch.testing.assert_close(
                features[scene, token],
                of_points[scene, own == token].mean(0),
                atol=1e-5,
                rtol=1e-4)
    assert 'SAM' in encoder.summary() or 'sam' in encoder.summary()
    assert 'voxels' in encoder.summary()


def test_regions_teach_the_voxels():
    """Overfit of two frames: below a fifth of the first loss."""
    model, batch = build(DISTILL), make_batch((6, 11))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = losses_of(model, batch)['loss_region']
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < .2 * losses[0]
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_its_network_moves_to_a_detector():
    """The same network behind other names."""
    encoder = build(DISTILL).backbone.eval()
    other = SparseUNetBackbone(encoder.voxels.voxel_size, BACKBONE['unet'])
    other.load_state_dict(encoder.voxels.state_dict())
    points = make_frame()[0][None]
    torch.testing.assert_close(other.eval().point_features(points),
                               encoder.point_features(points))
