"""Sonata: assignments, matches, closed forms and collapse."""
import copy
import math
from functools import partial
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MessageHub

from projects.sonata.matching import match_tokens, of_other_view
from projects.sonata.prototypes import sinkhorn
from sam3d_plugin.engine.hooks import CollapseAlarmHook
from sam3d_plugin.engine.hooks.collapse_alarm_hook import LOOKS, token_spread
from sam3d_plugin.models.pretrainers.masking import grid_mask
from sam3d_plugin.store.errors import UserError
from tests.models.pretraining_cases import KNN, losses_of, total
from .view_cases import SONATA, build, make_batch

TOKENS, PROTOTYPES = 40, 8
ALL = torch.ones(TOKENS, dtype=torch.bool)


def scores(seed=0, rows=TOKENS):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, PROTOTYPES, generator=generator) * 2 - 1


def test_every_token_gives_one_and_every_prototype_gets_as_much():
    shares = sinkhorn(scores(), ALL, .1)
    torch.testing.assert_close(shares.sum(1), torch.ones(TOKENS))
    even = torch.full((PROTOTYPES, ), TOKENS / PROTOTYPES)
    torch.testing.assert_close(shares.sum(0), even, rtol=.2, atol=0)
    torch.testing.assert_close(
        sinkhorn(scores(), ALL, .1, 500).sum(0), even, rtol=1e-3, atol=0)
    equal = sinkhorn(torch.ones(TOKENS, PROTOTYPES), ALL, .1)
    torch.testing.assert_close(equal, torch.full_like(equal, 1 / PROTOTYPES))


def test_a_prototype_that_wins_everywhere_has_to_share():
    winner = scores()
    winner[:, 3] += 5
    softmax = sinkhorn(winner, ALL, 1., num_iterations=0)
    torch.testing.assert_close(softmax, winner.softmax(1))
    assert softmax.sum(0)[3] > .9 * TOKENS
    assert sinkhorn(winner, ALL, 1.).sum(0)[3] < 1.1 * TOKENS / PROTOTYPES


def test_tokens_left_out_change_nothing():
    is_counted = torch.arange(TOKENS) < 30
    shares = sinkhorn(scores(), is_counted, .1)
    torch.testing.assert_close(shares[:30],
                               sinkhorn(scores()[:30], ALL[:30], .1))
    assert (shares[30:] == 0).all()
    assert (sinkhorn(scores(), ~ALL, .1) == 0).all()


def test_matches_equal_a_slow_reference():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 3, 20, 3, generator=generator)
    is_candidate = torch.rand(3, 20, generator=generator) < .8
    places, is_matched = match_tokens(first, second, is_candidate, .2)
    for b, g in np.ndindex(3, 20):
        distances = (second[b] - first[b, g]).norm(dim=1)
        distances[~is_candidate[b]] = torch.inf
        assert is_matched[b, g] == (distances.min() <= .2)
        assert places[b, g] == distances.argmin()
    assert 10 < is_matched.sum() < 50


def test_views_are_swapped_within_frames():
    assert of_other_view(torch.arange(6)).tolist() == [1, 0, 3, 2, 5, 4]


def test_cells_are_masked_as_a_whole():
    centers = np.random.default_rng(0).random((2, 60, 3)) * 2
    is_padding = np.arange(60)[None] >= [[60], [50]]
    generators = [np.random.default_rng(i) for i in range(2)]
    is_masked = grid_mask(centers, is_padding, .5, .7, generators)
    for b in range(2):
        kept = ~is_padding[b]
        cells = np.floor((centers[b] - centers[b][kept].min(0)) / .5)[kept]
        names, cell = np.unique(cells, axis=0, return_inverse=True)
        hidden = [
            set(is_masked[b][kept][cell.ravel() == i])
            for i in range(len(names))
        ]
        assert hidden.count({True}) == int(.7 * len(names))
        assert hidden.count({False}) == len(names) - int(.7 * len(names))
    assert not is_masked[is_padding].any()


def test_equal_prototypes_cost_the_log_of_their_number():
    model = build(SONATA)
    for head in (model.mask_head, model.local_head):
        torch.nn.init.ones_(head.prototypes)
    losses = losses_of(model, make_batch(range(2)))
    expected = math.log(SONATA['head']['num_prototypes'])
    assert {
        name: pytest.approx(weight * expected, rel=1e-4)
        for name, weight in zip(('loss_mask', 'loss_roll',
                                 'loss_local'), (.25, .25, .5))
    } == {
        name: loss.item()
        for name, loss in losses.items()
    }


def test_random_prototypes_cost_little_more():
    """Log(K) + 1 / (2 C T^2), as cosines have the variance 1 / C.

    Tokens of an untrained encoder are alike, so they are shared out evenly.
    """
    head = dict(SONATA['head'], out_channels=256, num_prototypes=64)
    model = build(SONATA, head=head)
    loss = total(losses_of(model, make_batch(range(4))))
    expected = 1 / (2 * 256 * .1**2)
    assert loss.item() - math.log(64) == pytest.approx(expected, rel=.15)


def test_all_tokens_of_a_batch_are_assigned_at_once():
    model, batch = build(SONATA), make_batch(range(3))
    with mock.patch('projects.sonata.sonata.sinkhorn', wraps=sinkhorn) as wrap:
        losses_of(model, batch)
    for call in wrap.call_args_list:
        assert call.args[1].sum() == 2 * 3 * KNN['num_tokens']
    assert wrap.call_count == 2  # heads


def test_groups_of_tokens_change_no_norm_statistics():
    batch, states = make_batch(range(2)), []
    for num_local in (1, 3):
        model = build(SONATA, num_local=num_local)
        start = dict(copy.deepcopy(model.backbone).named_buffers())
        losses_of(model, batch)
        states.append(dict(model.backbone.named_buffers()))
        assert any(not torch.equal(states[-1][key], start[key])
                   for key in start)
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_scores_are_of_full_precision():
    head = MODELS.build(SONATA['head'])
    head.mlp = torch.nn.Identity()
    features = torch.rand(9, 16)
    with torch.autocast('cpu', torch.bfloat16):
        found = head(features)
    torch.testing.assert_close(found, head(features), rtol=0, atol=0)


def test_places_that_the_other_view_lacks_do_not_count():
    batch = make_batch(range(2))
    for points in batch['inputs']['points']:
        points[1, :, 3:] += 100
    losses = losses_of(build(SONATA), batch)
    assert losses['loss_mask'] > 0
    assert losses['loss_roll'] == losses['loss_local'] == 0


def test_schedules_follow_the_frames_of_the_run():
    model = build(SONATA)
    assert model.scheduled((.1, .4)) == pytest.approx(.1)
    model.total_frames = 100
    found = []
    for seen in (0, 5, 10, 150):
        model.frames_seen.fill_(seen)
        found.append(model.scheduled((.1, .4)))
    assert found == pytest.approx([.1, .25, .4, .4])
    model.frames_seen.fill_(200)
    assert model.teacher.momentum(model.progress) == 1
    assert build(SONATA, warm_up=0).scheduled((.1, .4)) == pytest.approx(.4)
    with pytest.raises(UserError, match='warm_up.*share'):
        build(SONATA, warm_up=5)


def test_points_without_origins_are_refused():
    batch = make_batch(range(2))
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(point_columns={}))
    with pytest.raises(UserError, match='origin'):
        losses_of(build(SONATA), batch)


def alarms(model, batch):
    """What the alarm says of a batch."""
    said = []
    hook = CollapseAlarmHook(interval=1, begin=0)
    run = SimpleNamespace(
        model=model,
        iter=0,
        cfg=Config(dict(model=SONATA)),
        logger=SimpleNamespace(warning=said.append),
        message_hub=MessageHub('alarms'))
    for _ in range(LOOKS):
        hook.after_train_iter(run, 0, batch)
    return said


def train(num_iterations):
    """Losses, prototypes in use, the spread of tokens after training, alarms.

    Prototypes in use are the exponential of the entropy of their shares, the
    spread is that of an untrained encoder's tokens times so much.
    """
    model = build(SONATA)
    fresh = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    with mock.patch('projects.sonata.sonata.sinkhorn',
                    partial(sinkhorn, num_iterations=num_iterations)):
        for step in range(100):
            optimizer.zero_grad()
            loss = total(losses_of(model, make_batch(range(4), step % 20)))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    batch, spreads = make_batch(range(4)), []
    points = model.data_preprocessor(batch)['inputs']['points']
    with torch.no_grad():
        for network in (fresh.eval(), model.eval()):
            clouds = network.tokenize(points, batch['data_samples'])
            features = network.backbone.encode_tokens(*clouds[:2])
            spreads.append(token_spread(features, ~clouds.tokens.is_padding))
        shares = (model.mask_head(features) / .1).softmax(-1).mean((0, 1))
    used = (-(shares * shares.log()).sum()).exp()
    return losses, used.item(), (spreads[1] / spreads[0]).item(), alarms(
        model, batch)


def test_sinkhorn_keeps_prototypes_and_tokens_apart():
    """Without it all tokens end at one prototype, and the loss at 0."""
    losses, used, spread, said = train(num_iterations=3)
    assert losses[-1] < .6 * losses[0]
    assert used > 12 and spread > 1 and not said
    losses, used, spread, said = train(num_iterations=0)
    assert losses[-1] < .1 and used < 2 and spread < 1
    assert len(said) == 1 and said[0].startswith('collapse')
