"""DepthContrast: closed forms, the queue, and planted frames."""
import math

import pytest
import torch
import torch.nn.functional as F

from .view_cases import (DEPTH_CONTRAST, KEYS, build, build_exact, losses_of,
                         make_batch)


def loss_of(model, batch):
    return losses_of(model, batch)['loss_contrast'].item()


def features_of(model, batch):
    """Queries and keys of a batch, of length 1."""
    points = model.data_preprocessor(batch)['inputs']['points']
    with torch.no_grad():
        return [
            F.normalize(network(view), dim=-1)
            for network, view in zip((model.network,
                                      model.key_network), points.unbind(1))
        ]


def fill_queue(model, keys):
    model.queue.num_pushed.zero_()
    model.queue.push(keys)


def test_equal_features_cost_the_log_of_all_keys():
    model = build(DEPTH_CONTRAST).eval()
    last = model.projector.mlp[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.ones_(last.bias)
    model.key_network.update(model.network, 10**9)
    for own, theirs in zip(model.key_network.module.parameters(),
                           model.network.parameters()):
        own.copy_(theirs)
    fill_queue(model, torch.ones(KEYS, 16))
    assert loss_of(model,
                   make_batch(range(3))) == pytest.approx(math.log(1 + KEYS))


def test_the_right_key_and_orthogonal_others():
    """Log(1 + K exp(-1 / T))."""
    model = build(DEPTH_CONTRAST).eval()
    batch = make_batch([0])
    points = batch['inputs']['points'][0]
    points[1] = points[0]
    query = features_of(model, batch)[0]
    others = torch.linalg.qr(torch.cat([query.T, torch.eye(16)], 1))[0][:, 1:]
    fill_queue(model, others.T[:KEYS - 1])
    assert loss_of(model, batch) == pytest.approx(
        math.log1p((KEYS - 1) * math.exp(-10)), rel=1e-3)


def test_the_queue_holds_the_last_keys():
    model = build_exact(DEPTH_CONTRAST)
    start = model.queue.features.clone()
    batch = make_batch(range(3))
    losses_of(model, batch)
    torch.testing.assert_close(
        F.normalize(model.queue.features[:3], dim=-1),
        features_of(model, batch)[1])
    assert torch.equal(model.queue.features[3:], start[3:])
    assert not torch.equal(start[3:4], start[4:5])


def test_it_learns_to_tell_frames_apart():
    """Unseen views of 8 frames cost less than a fifth of log(8), of chance.

    The queue never holds a key of the frames of the step.
    """
    model = build(DEPTH_CONTRAST, momentum=0.99)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def cost():
        queries, keys = features_of(model.eval(), make_batch(range(8), 999))
        model.train()
        return model.contrast(queries[None], keys[None]).item()

    assert cost() > .5 * math.log(8)
    for step in range(200):
        numbers = [(8 * step + i) % 32 for i in range(8)]
        optimizer.zero_grad()
        losses_of(model, make_batch(numbers, step))['loss_contrast'].backward()
        optimizer.step()
    assert cost() < .2 * math.log(8)
