"""The nearest-neighbour probe in closed form and against a loop."""
import math

import pytest
import torch

from sam3d_plugin.evaluation import knn_probe as module
from sam3d_plugin.evaluation.linear_probe import READ_OUTS
from sam3d_plugin.evaluation.token_features import TokenFeatures
from .test_linear_probe import CLASSES, planted

SETTINGS = module.NeighborSettings()


def directions(*degrees):
    """Features (T, 2) of lengths that must not count."""
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    lengths = torch.arange(1., len(degrees) + 1)[:, None]
    return torch.stack((angles.cos(), angles.sin()), dim=1) * lengths


# Two tokens of class 0, one half of it, one of class 1.
BANK = directions(0, 60, 90, 180)
SHARES = torch.tensor([[1., 0], [1, 0], [.5, .5], [0, 1]])


def test_every_vote_counts_once():
    settings = module.NeighborSettings(neighbors=2, temperature=None)
    votes = module.token_votes(BANK, SHARES, directions(5, 80, 140), settings)
    # neighbours: 0 and 60, 90 and 60, 180 and 90 degrees
    expected = torch.tensor([[1, 0], [.75, .25], [.25, .75]])
    torch.testing.assert_close(votes, expected)


def test_weights_fall_with_the_angle():
    settings = module.NeighborSettings(neighbors=4, temperature=.5)
    votes = module.token_votes(BANK, SHARES, directions(0), settings)
    weights = [math.exp(cosine / .5) for cosine in (1, .5, 0, -1)]
    expected = (weights[2] / 2 + weights[3]) / sum(weights)
    assert votes[0, 1].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('neighbors, temperature', [(1, .07), (3, .07),
                                                    (50, .07), (3, None)])
def test_against_a_loop(neighbors, temperature, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    bank = torch.randn(12, 5, generator=generator)
    shares = torch.rand(12, 3, generator=generator)
    shares /= shares.sum(1, keepdim=True)
    queries = torch.randn(7, 5, generator=generator)
    settings = module.NeighborSettings(neighbors, temperature)
    expected = []
    for query in queries:
        ranked = sorted((-torch.cosine_similarity(query, feature, 0).item(), i)
                        for i, feature in enumerate(bank))[:neighbors]
        weights = [
            1. if temperature is None else math.exp(-negative / temperature)
            for negative, _ in ranked
        ]
        vote = sum(w * shares[i] for w, (_, i) in zip(weights, ranked))
        expected.append(vote / sum(weights))
    found = module.token_votes(bank, shares, queries, settings)
    torch.testing.assert_close(found, torch.stack(expected))
    torch.testing.assert_close(found.sum(1), torch.ones(7))
    monkeypatch.setattr(module, '_MAX_PAIRS', 25)  # two queries at once
    torch.testing.assert_close(
        module.token_votes(bank, shares, queries, settings), found)


def test_informative_features_are_read_perfectly():
    settings = module.NeighborSettings(neighbors=3)
    results = module.probe(planted(True), planted(True, 1), CLASSES, settings)
    for read_out in READ_OUTS:
        assert results[read_out]['miou'] == results[read_out]['macc'] == 1
        assert set(results[read_out]['classes']) == set(CLASSES[:4])


def test_constant_features_give_the_majority_of_tokens():
    settings = module.NeighborSettings(neighbors=1000)
    test = planted(False, 1)
    results = module.probe(planted(False), test, CLASSES, settings)
    share = (test.labels == 0).sum() / (test.labels >= 0).sum()
    for read_out in READ_OUTS:
        assert results[read_out]['macc'] == pytest.approx(1 / 4)
        assert results[read_out]['miou'] == pytest.approx(float(share) / 4)


def test_tokens_without_a_label_do_not_vote():
    train = planted(True)
    train.labels[0] = -1
    train.labels[1, 0] = 4  # of 10 points of the frame's first token
    features, shares = module.labelled_tokens(train, 5)
    assert features.equal(train.features[6:])
    labelled = (train.own[1] == 6) & (train.labels[1] >= 0)
    assert shares[0, 4].item() == pytest.approx(1 / labelled.sum().item())
    torch.testing.assert_close(shares.sum(1), torch.ones(18))


def test_points_between_tokens_mix_their_votes():
    """Own token of class 0, but 0.6 of the weight on class 1."""
    shape = 1, 1, 3
    test = TokenFeatures(
        directions(0, 180), torch.zeros(1, 1, dtype=torch.long),
        torch.tensor([0, 1, 1]).reshape(shape),
        torch.tensor([.4, .3, .3]).reshape(shape), torch.tensor([[1]]))
    train = TokenFeatures(
        directions(0, 180), torch.tensor([[0, 1]]),
        torch.zeros(1, 2, 3, dtype=torch.long),
        torch.ones(1, 2, 3) / 3, torch.tensor([[0, 1]]))
    settings = module.NeighborSettings(neighbors=1)
    results = module.probe(train, test, CLASSES, settings)
    assert results['own']['miou'] == 0
    assert results['three_nn']['miou'] == 1


def test_frames_without_labels_are_refused():
    test = planted(True)
    test.labels[:] = -1
    with pytest.raises(ValueError, match='no point of the test frames'):
        module.probe(planted(True), test, CLASSES, SETTINGS)


@pytest.mark.parametrize('settings, message', [
    (dict(neighbors=0), 'neighbors'),
    (dict(temperature=0.), 'must be positive'),
])
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        module.NeighborSettings(**settings)
