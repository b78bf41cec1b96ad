"""Real and fake points: what counts, what is seen, what is learned."""
import copy
import math

import numpy as np
import pytest
import torch

from projects.maskpoint.maskpoint import OccupancyQueries, draw_queries
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import (KNN, SAM, STAGE1, build, losses_of,
                                            make_batch, with_parts)

MODEL = dict(
    with_parts(dict(backbone=STAGE1['backbone']), tokenizer=KNN),
    type='MaskPoint',
    decoder=dict(
        type='CrossAttentionDecoder', embed_dims=32, position_dims=16),
    head=dict(type='OccupancyHead', in_channels=32),
    num_real=32,
    num_fake=32,
    mask_ratio=.75)


def make(**changes):
    model = build(copy.deepcopy(MODEL), **changes)
    model.init_weights()
    return model.train()


def grid(spacing):
    axis = torch.arange(8) * spacing
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing='ij'),
                       -1).reshape(1, -1, 3)


def distances_to(points, places):
    return (places[:, :, None] - points[:, None]).norm(dim=-1).amin(-1)


def draw(points, num_fake=200, numbers=(0, )):
    return draw_queries(points, 64, num_fake, frame_generators(0, numbers))


@pytest.mark.parametrize('spacing', [.1, .25])
def test_fakes_within_the_spacing_of_the_points_do_not_count(spacing):
    points = grid(spacing)
    xyz, labels = draw(points)
    assert (labels[:, :64] == 1).all() and xyz.shape == (1, 264, 3)
    nearest = distances_to(points, xyz)
    assert (nearest[:, :64] == 0).all()
    # inside a grid no place is farther than .87 spacings from a point
    assert (nearest < spacing).all() and (labels[:, 64:] == -1).all()
    # without the inner points, places in the middle are far from all
    shell = points[:, ((points == 0) | (points == points.max())).any(-1)[0]]
    xyz, labels = draw(shell)
    is_far = distances_to(shell, xyz)[:, 64:] >= spacing
    assert (labels[:, 64:] == is_far.long() - 1).all()
    assert 0 < is_far.float().mean() < 1


def test_queries_are_points_and_places_in_their_box():
    points = torch.randn(2, 300, 3, generator=torch.Generator().manual_seed(1))
    xyz, labels = draw(points, numbers=(4, 5))
    real, fake = xyz[:, :64], xyz[:, 64:]
    for frame in range(2):
        rows = {tuple(row) for row in points[frame].tolist()}
        assert {tuple(row) for row in real[frame].tolist()} <= rows
    assert (fake >= real.amin(1, True)).all()
    assert (fake <= real.amax(1, True)).all()
    assert set(labels[:, 64:].unique().tolist()) == {-1, 0}
    # of frame 5 alone they are the same
    alone = draw(points[1:], numbers=(5, ))
    assert alone.xyz.equal(xyz[1:]) and alone.labels.equal(labels[1:])
    with pytest.raises(UserError, match='num_real'):
        draw(points[:, :50])


def test_the_loss_of_an_undecided_head_is_known():
    model = make()
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)
    decoded = torch.randn(3, 10, 32)
    for labels in (torch.randint(-1, 2, (3, 10)), torch.ones(3, 10).long()):
        losses = model.head.loss(decoded, labels)
        assert losses['loss_occupancy'].item() == pytest.approx(
            .125 * math.log(2), rel=1e-5)
    nothing = model.head.loss(decoded, torch.full((3, 10), -1))
    assert nothing['loss_occupancy'] == 0


def test_focal_loss_of_one_query():
    head = make().head
    head.forward = lambda decoded: decoded
    decoded, labels = torch.tensor([[[1.5, -.3]]]), torch.tensor([[1]])
    fake, real = 1 / (1 + np.exp([-1.5, .3]))
    expected = (-.75 * fake**2 * np.log(1 - fake) - .25 *
                (1 - real)**2 * np.log(real)) / 2
    losses = head.loss(decoded, labels)
    assert losses['loss_occupancy'].item() == pytest.approx(expected, rel=1e-5)
    assert losses['accuracy'] == 0


def test_initial_loss():
    loss = losses_of(make())['loss_occupancy'].item()
    assert loss == pytest.approx(.125 * math.log(2), rel=.05)


@pytest.mark.parametrize('tokenizer', [KNN, SAM])
def test_queries_never_enter_the_encoder(tokenizer):
    model = make(tokenizer=tokenizer).eval()
    seen = []
    predict = model.predict
    model.predict = lambda *args: seen.append(predict(*args)) or seen[-1]
    losses = []
    for shift in (0., .5):
        queries = type(model).queries

        def moved(points, shift=shift):
            xyz, labels = queries(model, points)
            return OccupancyQueries(xyz + shift, labels)

        model.queries = moved
        losses.append(losses_of(model, make_batch((5, 9)))['loss_occupancy'])
    assert seen[0][1].equal(seen[1][1]) and losses[0] != losses[1]


def test_places_do_not_look_at_padding():
    decoder = make().decoder
    memory, xyz = torch.randn(2, 5, 32), torch.randn(2, 7, 3)
    is_padding = torch.zeros(2, 5, dtype=torch.bool)
    expected = decoder(xyz, memory, is_padding)
    padded = torch.cat((memory, torch.full((2, 3, 32), torch.nan)), dim=1)
    is_padding = torch.arange(8).expand(2, 8) >= 5
    torch.testing.assert_close(decoder(xyz, padded, is_padding), expected)


def test_a_plane_is_told_from_places_above_and_below():
    generator = torch.Generator().manual_seed(0)
    plane = torch.rand(2, 200, 3, generator=generator) * 4
    plane[..., 2] = 0
    away = torch.rand(2, 32, 3, generator=generator) * 4
    away[..., 2] = (torch.rand(2, 32, generator=generator) * .5 + .5) * (
        torch.arange(32) % 2 * 2 - 1)
    labels = torch.arange(64).expand(2, -1) < 32
    model = make()
    model.queries = lambda points: OccupancyQueries(
        torch.cat((plane[:, :32], away), dim=1), labels.long())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    first = None
    for _ in range(150):
        losses = losses_of(model, dict(inputs=dict(points=list(plane))))
        first = first or losses['loss_occupancy'].item()
        optimizer.zero_grad()
        losses['loss_occupancy'].backward()
        optimizer.step()
    assert losses['accuracy'] == 1
    assert losses['loss_occupancy'] < .2 * first
