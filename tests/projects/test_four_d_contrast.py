"""4DContrast: what its losses are and must not depend on."""
import copy
import math

import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import nn

import projects.four_d_contrast  # noqa: F401 (registers)
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import losses_of
from tests.projects import pair_cases

INFO_NCE = dict(
    type='InfoNCELoss',
    temperature=.07,
    symmetric=True,
    normalize=False,
    mean='sets')
MODEL = dict(
    pair_cases.MODEL,
    type='FourDContrast',
    num_views=2,
    temporal=dict(
        type='PlainPointTransformer', embed_dims=32, depth=1,
        position_dims=16),
    contrast=INFO_NCE)


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(copy.deepcopy(dict(MODEL, **options)))


def make_batch(num_scenes=2, seed=0):
    """Scenes of two steps, each turned, with the tracks of all pairs."""
    batch = pair_cases.make_batch(num_scenes, seed=seed)
    inputs = batch['inputs']
    for i, points in enumerate(inputs['points']):
        inputs['points'][i] = torch.cat([points, points], -1)
    inputs['tracks'] = [pairs.T for pairs in inputs.pop('pairs')]
    inputs['is_seen'] = [
        seen.expand(2, -1).clone() for seen in inputs.pop('is_pair')
    ]
    del inputs['places']
    columns = dict(point_columns=dict(origin=[3, 4, 5]))
    samples = [Det3DDataSample(metainfo=columns) for _ in range(num_scenes)]
    return dict(inputs=inputs, data_samples=samples)


class Identity(nn.Module):
    """A transformer of no blocks."""

    embed_dims = 32

    def forward(self, x, *others):
        return x


def test_equal_features_cost_the_log_of_the_pairs():
    model, batch = build(), make_batch()
    for seen, count in zip(batch['inputs']['is_seen'], (30, 20)):
        seen[1, count:] = False
    for projector in (model.projector, model.temporal_projector):
        nn.init.zeros_(projector.mlp[-1].weight)
        nn.init.ones_(projector.mlp[-1].bias)
    losses = losses_of(model, batch)
    shared = (math.log(30) + math.log(20)) / 2
    seen = (shared + math.log(pair_cases.NUM_PAIRS)) / 2
    assert losses['num_pairs'] == 25
    for name, expected in (('loss_3d', shared), ('loss_3d_4d', seen),
                           ('loss_4d', shared)):
        assert losses[name].item() == pytest.approx(expected, rel=1e-4)


def test_without_time_4d_features_are_3d_features():
    """With a temporal encoder of depth 0 all terms are those of 3D."""
    model, batch = build().eval(), make_batch()
    model.temporal_encoder.transformer = Identity()
    nn.init.zeros_(model.temporal_encoder.time_embedding)
    model.temporal_projector.load_state_dict(model.projector.state_dict())
    losses = losses_of(model, batch)
    torch.testing.assert_close(losses['loss_4d'], losses['loss_3d'])
    inputs = model.data_preprocessor(batch)['inputs']
    still, moving = model.features(inputs['points'], inputs['tracks'],
                                   [3, 4, 5])
    torch.testing.assert_close(moving, still)
    # One step with itself, as of T = 1.
    own = model.contrast(*(still.flatten(0, 1), ) * 2,
                         inputs['is_seen'].flatten(0, 1))
    torch.testing.assert_close(losses['loss_3d_4d'], own)


def test_the_temporal_encoder_sees_other_steps_and_their_order():
    model, batch = build().eval(), make_batch(1)
    inputs = model.data_preprocessor(batch)['inputs']

    def features(points, tracks):
        with torch.no_grad():
            return model.features(points, tracks, [3, 4, 5])

    still, moving = features(inputs['points'], inputs['tracks'])
    changed = inputs['points'].clone()
    changed[:, 1] *= 1.5
    others = features(changed, inputs['tracks'])
    torch.testing.assert_close(others[0][:, 0], still[:, 0])
    assert (others[1][:, 0] - moving[:, 0]).abs().max() > 1e-4
    swapped = features(inputs['points'].flip(1), inputs['tracks'].flip(1))
    torch.testing.assert_close(swapped[0].flip(1), still)
    assert (swapped[1].flip(1) - moving).abs().max() > 1e-4


def test_points_that_a_step_does_not_see_change_nothing():
    model, batch = build().eval(), make_batch()
    more = copy.deepcopy(batch)
    for name, fill in (('tracks', 0), ('is_seen', False)):
        more['inputs'][name] = [
            torch.cat([rows, torch.full((2, 5), fill, dtype=rows.dtype)], 1)
            for rows in more['inputs'][name]
        ]
    expected, found = losses_of(model, batch), losses_of(model, more)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_simsiam_compares_directions():
    loss = MODELS.build(dict(type='SimSiamLoss', channels=4))
    loss.predictor = nn.Identity()
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(2, 5, 4, generator=generator).requires_grad_()
    is_pair = torch.ones(2, 5, dtype=torch.bool)
    assert loss(queries, 3 * queries, is_pair).item() == pytest.approx(
        0, abs=1e-6)
    assert loss(queries, -queries, is_pair).item() == pytest.approx(2)
    keys = torch.randn(2, 5, 4, generator=generator)
    cosines = torch.cosine_similarity(queries, keys, -1)
    torch.testing.assert_close(
        loss(queries, keys, is_pair), 1 - cosines.mean())
    is_pair[1] = False
    torch.testing.assert_close(
        loss(queries, keys, is_pair), (1 - cosines[0]).mean() / 2)
    assert loss(queries, keys, is_pair & False) == 0
    model = build(contrast=dict(type='SimSiamLoss', channels=8))
    sum(value for name, value in losses_of(model, make_batch()).items()
        if 'loss' in name).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_unusable_batches_are_refused():
    for change, word in (('views', 'num_views'), ('tracks', 'tracks'),
                         ('columns', 'origin')):
        batch = make_batch()
        if change == 'tracks':
            del batch['inputs']['tracks']
        elif change == 'columns':
            batch['data_samples'][0].set_metainfo(dict(point_columns={}))
        model = build(num_views=3 if change == 'views' else 2)
        with pytest.raises(UserError, match=word):
            losses_of(model, batch)


def test_points_of_two_sequences_are_found():
    model, batch = build(), make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(200):
        optimizer.zero_grad()
        losses = losses_of(model, batch)
        total = sum(v for name, v in losses.items() if 'loss' in name)
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert history[-1] < .2 * history[0]
