"""DepthContrast: closed forms, the queue, and planted frames."""
import math

import pytest
import torch
import torch.nn.functional as F

from tests.models.pretraining_cases import losses_of
from .view_cases import DEPTH_CONTRAST, KEYS, build, build_exact, make_batch


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


def test_equal_features_cost_the_log_of_all_keys():
    model = build(DEPTH_CONTRAST).eval()
    last = model.projector.mlp[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.ones_(last.bias)
    model.key_network.restart(model.network)
    for num_keys in (0, 3, KEYS):
        model.queue.push(
            torch.ones(num_keys - int(model.queue.num_pushed), 16))
        assert loss_of(model, make_batch(range(3))) == pytest.approx(
            math.log(1 + num_keys), abs=1e-6)


def test_the_right_key_and_orthogonal_others():
    """Log(1 + K exp(-1 / T))."""
    model = build(DEPTH_CONTRAST).eval()
    batch = make_batch([0])
    points = batch['inputs']['points'][0]
    points[1] = points[0]
    query = features_of(model, batch)[0]
    others = torch.linalg.qr(torch.cat([query.T, torch.eye(16)], 1))[0][:, 1:]
    model.queue.push(others.T[:KEYS - 1])
    assert loss_of(model, batch) == pytest.approx(
        math.log1p((KEYS - 1) * math.exp(-10)), rel=1e-3)


def test_the_queue_holds_the_last_keys():
    model = build_exact(DEPTH_CONTRAST)
    batch = make_batch(range(3))
    losses_of(model, batch)
    torch.testing.assert_close(
        F.normalize(model.queue.features[:3], dim=-1),
        features_of(model, batch)[1])
    assert model.queue().is_filled.tolist() == [True] * 3 + [False] * 13


def test_an_empty_queue_teaches_nothing():
    model = build(DEPTH_CONTRAST)
    losses_of(model, make_batch([0]))['loss_contrast'].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or not parameter.grad.any(), name


def test_accuracy_is_the_share_of_frames_that_are_found():
    model = build(DEPTH_CONTRAST).eval()
    batch = make_batch(range(4))
    assert losses_of(model, batch)['accuracy'] == 1  # of one key
    # What two of the queries look like is in the queue, longer than others.
    model.queue.push(3 * features_of(model, batch)[0][:2])
    queries, keys = features_of(model, batch)
    own = (queries * keys).sum(1)
    expected = (own > (queries @ queries[:2].T).amax(1)).float().mean()
    assert losses_of(model, batch)['accuracy'] == expected <= .5


def test_it_learns_to_tell_frames_apart():
    """Unseen views of 8 frames cost less than a fifth of log(8), of chance.

    The queue never holds a key of the frames of the step.
    """
    assert KEYS + 8 <= 32
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
