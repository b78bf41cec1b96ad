"""What must not change a loss, and what alone may change it."""
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from sam3d_plugin.engine.amp import CPUAmpOptimWrapper
from sam3d_plugin.models.pretrainers.masking import select_tokens
from sam3d_plugin.structures import PointTokens
from .pretraining_cases import (BALANCED_HEAD, JOINT, KNN, SAM, STAGE1, build,
                                losses_of, make_batch, stage2, total,
                                without_drop_path, without_norm_statistics)

COUNTS = (4, 25, 11)


def config_of(name, checkpoint):
    return dict(
        stage1=dict(STAGE1, head=BALANCED_HEAD),
        joint=dict(JOINT, head=BALANCED_HEAD),
        stage2=stage2(checkpoint))[name]


@pytest.fixture(params=['stage1', 'joint', 'stage2'])
def config(request, checkpoint):
    return config_of(request.param, checkpoint)


def build_exact(config, **changes):
    return without_norm_statistics(build(without_drop_path(config), **changes))


def assert_same(losses, expected):
    assert set(losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(
            losses[name], value, atol=1e-5, rtol=1e-5, msg=name)


def reorder(tokens, order):
    """Place ``order[b, g]`` of each scene comes to place g."""
    num_scenes, num_tokens = order.shape
    flat = (order + torch.arange(num_scenes)[:, None] * num_tokens).reshape(-1)
    members = [
        tokens.member_points[tokens.member_offsets[i]:tokens.member_offsets[i +
                                                                            1]]
        for i in flat.tolist()
    ]
    counts = torch.tensor([0] + [len(m) for m in members])
    per_token = {
        name:
        getattr(tokens,
                name).flatten(0, 1)[flat].reshape(getattr(tokens, name).shape)
        for name in ('centers', 'anchor_indices', 'region_ids', 'is_padding')
    }
    return PointTokens(
        member_points=torch.cat(members),
        member_offsets=counts.cumsum(0),
        **per_token)


def add_padding(tokens, count=3):
    """The tokens of each scene, and behind them more padding."""
    num_scenes, num_tokens = tokens.is_padding.shape
    counts = torch.cat(
        (tokens.member_counts, tokens.member_counts.new_zeros(
            num_scenes, count)), 1)

    def pad(values, value=0):
        shape = (num_scenes, count, *values.shape[2:])
        return torch.cat((values, values.new_full(shape, value)), 1)

    return replace(
        tokens,
        centers=pad(tokens.centers),
        anchor_indices=pad(tokens.anchor_indices),
        region_ids=pad(tokens.region_ids),
        is_padding=pad(tokens.is_padding, True),
        member_offsets=torch.cat(
            (counts.new_zeros(1), counts.reshape(-1).cumsum(0))))


def losses_with(model, batch, change):
    """Losses when tokens and mask are changed on their way together."""
    points, tokens = model.tokenize(torch.stack(batch['inputs']['points']))
    is_masked = None
    if hasattr(model, 'mask'):
        is_masked = model.mask(tokens)
    tokens, is_masked = change(tokens, is_masked)
    model.mask = lambda _: is_masked
    targets = model.target_generator(points, tokens, batch['data_samples'])
    return model.compute_losses(model.predict(points, tokens), tokens, targets)


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_order_of_tokens_changes_nothing(config, tokenizer):
    model = build_exact(config, tokenizer=tokenizer)
    batch = make_batch(COUNTS)

    def shuffle(tokens, is_masked):
        order = torch.rand(tokens.is_padding.shape).argsort(1)
        if is_masked is not None:
            is_masked = np.take_along_axis(is_masked, order.numpy(), 1)
        return reorder(tokens, order), is_masked

    expected = losses_of(model, batch)
    model.frames_seen.zero_()
    assert_same(losses_with(model, batch, shuffle), expected)


def test_added_padding_changes_nothing(config):
    model = build_exact(config)
    batch = make_batch(COUNTS)

    def pad(tokens, is_masked):
        tokens = add_padding(tokens)
        if is_masked is not None:
            is_masked = np.pad(is_masked, ((0, 0), (0, 3)))
        return tokens, is_masked

    expected = losses_of(model, batch)
    model.frames_seen.zero_()
    assert_same(losses_with(model, batch, pad), expected)


def shuffle_points(batch, tokenizer):
    """Move all points but those that furthest point sampling starts at."""
    for i, points in enumerate(batch['inputs']['points']):
        first = 0
        if tokenizer is SAM:
            first = int((points[:, 3] == 0).nonzero()[0])
        others = torch.randperm(len(points))
        others = others[others != first]
        order = torch.cat(
            (others[:first], torch.tensor([first]), others[first:]))
        if tokenizer is SAM:  # the first of no region stays their first
            ids = points[order, 3]
            order = torch.cat((order[ids > 0], torch.tensor([first]),
                               order[(ids == 0) & (order != first)]))
        batch['inputs']['points'][i] = points[order]


@pytest.mark.parametrize('tokenizer', [SAM, KNN])
def test_order_of_points_changes_nothing(config, tokenizer):
    model = build_exact(config, tokenizer=tokenizer)
    batch = make_batch((6, 11), num_points=400)
    expected = losses_of(model, batch)
    model.frames_seen.zero_()
    before = [p.clone() for p in batch['inputs']['points']]
    shuffle_points(batch, tokenizer)
    assert not any(
        a.equal(b) for a, b in zip(before, batch['inputs']['points']))
    assert_same(losses_of(model, batch), expected)


def test_the_loss_of_tokens_sees_masked_ones_only(checkpoint):
    """Visible and padded places may hold anything, on either side."""
    model = build_exact(stage2(checkpoint))
    batch = make_batch(COUNTS)
    points, tokens = model.tokenize(torch.stack(batch['inputs']['points']))
    targets = model.target_generator(points, tokens, None)
    outputs = model.predict(points, tokens)
    expected = model.compute_losses(outputs, tokens, targets)
    is_masked = outputs.is_masked
    assert is_masked.any(1).all() and not (is_masked & tokens.is_padding).any()
    for side, name in ((outputs, 'decoded'), (targets, 'decoded')):
        values = side.decoded.clone()
        values[~is_masked] = 1e9
        changed = {id(outputs): outputs, id(targets): targets}
        changed[id(side)] = side._replace(**{name: values})
        losses = model.compute_losses(changed[id(outputs)], tokens,
                                      changed[id(targets)])
        assert losses['loss_token'].equal(expected['loss_token'])
        values[is_masked] += 1
        changed[id(side)] = side._replace(**{name: values})
        losses = model.compute_losses(changed[id(outputs)], tokens,
                                      changed[id(targets)])
        assert not losses['loss_token'].equal(expected['loss_token'])


@pytest.mark.parametrize('name', ['joint', 'stage2'])
def test_masked_tokens_are_told_by_their_centres_alone(name, checkpoint):
    """Neither encoder nor decoder sees a masked token's points."""
    model = build_exact(config_of(name, checkpoint))
    points = torch.stack(make_batch((9, ))['inputs']['points'])
    xyz, tokens = model.tokenize(points)
    before = model.predict(xyz, tokens)
    hidden = tokens.region_ids[before.is_masked]
    is_hidden = torch.isin(points[..., 3].long(), hidden[hidden > 0])
    assert is_hidden.any()
    moved = xyz + is_hidden[..., None] * torch.rand_like(xyz)
    after = model.predict(moved, tokens)
    assert after.encoded.equal(before.encoded)
    assert after.decoded.equal(before.decoded)


@pytest.mark.parametrize('stage', ['stage1', 'stage2'])
def test_norm_statistics_are_those_of_real_points(stage, checkpoint):
    """Mean and variance over the points of visible tokens, counted once."""
    model = build(without_drop_path(config_of(stage, checkpoint)))
    batch = make_batch(COUNTS)
    points, tokens = model.tokenize(torch.stack(batch['inputs']['points']))
    assert tokens.is_padding.any()
    is_seen = ~tokens.padding_on_cpu
    if stage == 'stage2':
        is_seen &= ~model.mask(tokens)
    visible = select_tokens(tokens, is_seen).tokens
    assert visible.is_padding.any()
    members = visible.member_points
    assert len(members) == tokens.member_counts[torch.from_numpy(
        is_seen)].sum()
    centers = visible.centers.reshape(-1, 3).repeat_interleave(
        visible.member_counts.reshape(-1), dim=0)
    layer, norm = model.backbone.embedding.local_layers[:2]
    rows = layer(points.reshape(-1, 3)[members] - centers)
    losses_of(model, batch)
    torch.testing.assert_close(
        norm.running_mean, norm.momentum * rows.mean(0), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        norm.running_var,
        1 - norm.momentum + norm.momentum * rows.var(0),
        atol=1e-6,
        rtol=1e-5)


def test_bf16_training_stays_close(config):
    """Losses and gradients of steps in training mode, mask and paths on."""
    results = []
    for wrapper in (None, CPUAmpOptimWrapper):
        model = build(config)
        optimizer = torch.optim.SGD(model.parameters(), lr=.05)
        if wrapper is not None:
            wrapper = wrapper(optimizer)
        losses = []
        for step in range(4):
            batch = make_batch(COUNTS, seed=step)
            if wrapper is not None:
                with wrapper.optim_context(model):
                    loss = total(losses_of(model, batch))
            else:
                loss = total(losses_of(model, batch))
            assert loss.dtype == torch.float32
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
        results.append((torch.tensor(losses), gradient))
    (losses, gradient), (losses_16, gradient_16) = results
    assert not losses.equal(losses_16)
    torch.testing.assert_close(losses_16, losses, atol=0, rtol=.02)
    cosine = torch.cosine_similarity(gradient, gradient_16, dim=0)
    assert cosine > .98


def test_token_fields_are_all_reordered():
    """A new field of PointTokens must be handled above too."""
    assert {field.name
            for field in fields(PointTokens)} == {
                'centers', 'anchor_indices', 'region_ids', 'is_padding',
                'member_points', 'member_offsets', 'point_tokens', 'num_tokens'
            }
