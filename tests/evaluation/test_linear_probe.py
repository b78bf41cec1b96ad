"""The probe on planted features."""
import dataclasses

import pytest
import torch
from torch.nn import functional as F

from sam3d_plugin.evaluation import linear_probe as module
from sam3d_plugin.evaluation.token_features import TokenFeatures

CLASSES = ('wall', 'floor', 'chair', 'table', 'bed')
SETTINGS = module.ProbeSettings(points_per_frame=40)


def planted(informative, seed=0, num_frames=4, num_points=60):
    """Frames of 6 tokens, each of one class of the first four.

    Points read their own token alone, so that both read-outs are the same.
    """
    generator = torch.Generator().manual_seed(seed)
    token_classes = torch.tensor([0, 0, 0, 1, 2, 3]).repeat(num_frames)
    features = torch.rand(len(token_classes), 3, generator=generator)
    if informative:
        features = torch.cat((features, F.one_hot(token_classes, 5).float()),
                             dim=1)
    else:
        features = torch.full_like(features, 0.3)
    own = torch.arange(num_points) % 6 + 6 * torch.arange(num_frames)[:, None]
    labels = token_classes[own]
    labels[:, ::7] = -1
    nearest = own[..., None].expand(-1, -1, 3).clone()
    weights = torch.tensor([0.5, 0.3, 0.2]).expand(nearest.shape)
    return TokenFeatures(features, own, nearest, weights.clone(), labels)


def test_informative_features_are_read_perfectly():
    results = module.probe(planted(True), planted(True, 1), CLASSES, SETTINGS)
    for read_out in module.READ_OUTS:
        assert results[read_out]['miou'] == results[read_out]['macc'] == 1
        assert set(results[read_out]['classes']) == set(CLASSES[:4])


def test_constant_features_give_the_majority():
    test = planted(False, 1)
    results = module.probe(planted(False), test, CLASSES, SETTINGS)
    share = (test.labels == 0).sum() / (test.labels >= 0).sum()
    for read_out in module.READ_OUTS:
        assert results[read_out]['macc'] == pytest.approx(1 / 4)
        assert results[read_out]['miou'] == pytest.approx(float(share) / 4)


def test_interpolation_mixes_features():
    """Logits are mixed, which for one layer is the same."""
    torch.manual_seed(0)
    train = planted(False)
    train.features = torch.rand(24, 3)
    train.nearest = torch.randint(24, train.nearest.shape)
    layer = module.fit(train, 'three_nn', 5, SETTINGS)
    mixed = (train.features[train.nearest] *
             train.weights[..., None]).sum(dim=2)
    predicted = module.classify_points(
        layer(train.features), train, 'three_nn')
    assert predicted.equal(layer(mixed).argmax(-1))


def test_own_layer_has_the_optimum_over_points():
    """The histograms of tokens give the gradient of all their points."""
    torch.manual_seed(0)
    train = planted(False)
    train.features = torch.rand(24, 3)
    train.labels[torch.rand(train.labels.shape) < 0.3] = 4
    settings = dataclasses.replace(SETTINGS, l2=0.01)
    layer = module.fit(train, 'own', 5, settings)
    weight = layer.weight.double().requires_grad_()
    is_labelled = train.labels >= 0
    inputs = ((train.features - layer.mean) / layer.std).double()
    logits = inputs[train.own[is_labelled]] @ weight + layer.bias
    loss = F.cross_entropy(logits, train.labels[is_labelled])
    (loss + 0.005 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 1e-4
    assert weight.abs().max() > 0.01


def test_same_input_same_layer():
    layers = [module.fit(planted(True), r, 5, SETTINGS)
              for r in ('own', 'own', 'three_nn', 'three_nn')]  # yapf: disable
    for first, second in (layers[:2], layers[2:]):
        assert all(a.equal(b) for a, b in zip(first, second))


def test_training_points_are_labelled_and_limited():
    labels = planted(True).labels
    labels[0] = -1
    labels[1, 5:] = -1
    chosen = module.choose_points(labels, SETTINGS)
    assert (labels.reshape(-1)[chosen] >= 0).all()
    counts = torch.bincount(chosen // labels.shape[1], minlength=4)
    assert counts.tolist() == [0, 4, 40, 40]
    other = dataclasses.replace(SETTINGS, seed=1)
    assert not chosen.equal(module.choose_points(labels, other))


def test_scores_of_a_hand_made_matrix():
    labels = torch.tensor([0, 0, 0, 1, 1, -1, 3])
    predictions = torch.tensor([0, 0, 1, 1, 2, 0, 3])
    matrix = module.confusion(labels, predictions, 5)
    assert matrix.sum() == 6
    result = module.scores(matrix, CLASSES)
    assert result['classes'] == dict(
        wall=dict(iou=2 / 3, acc=2 / 3, points=3),
        floor=dict(iou=1 / 3, acc=1 / 2, points=2),
        table=dict(iou=1, acc=1, points=1))
    assert result['miou'] == pytest.approx((2 / 3 + 1 / 3 + 1) / 3)
    assert result['macc'] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_frames_without_labels_are_refused():
    test = planted(True)
    test.labels[:] = -1
    with pytest.raises(ValueError, match='no point of the test frames'):
        module.probe(planted(True), test, CLASSES, SETTINGS)


def test_rare_classes_are_those_with_few_training_points():
    counts = dict(wall=9, sink=2, floor=8, toilet=2, desk=5, lamp=4, bed=0)
    assert module.rarest_third(counts) == ['bed', 'sink']
    assert module.rarest_third(dict(wall=3)) == ['wall']


def test_rare_classes_follow_the_training_frames():
    """One wrong point is all that they know of tables."""
    train, test = planted(True), planted(True, 1)
    train.labels[train.labels == 3] = -1
    train.labels[0, 1] = 3
    found = module.probe(train, test, CLASSES, SETTINGS)['own']
    assert found['miou_rare'] == found['classes']['table']['iou'] < 0.5
    assert found['miou'] > 0.5
