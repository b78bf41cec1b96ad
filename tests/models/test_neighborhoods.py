"""Neighborhood targets, head and Chamfer distances, as Point-MAE uses them."""
import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

import projects.point_mae  # noqa: F401 (registers)
from sam3d_plugin.models.heads import NeighborhoodHead
from sam3d_plugin.models.losses import chamfer_l1, chamfer_l2
from sam3d_plugin.models.target_generators import NeighborhoodTargets
from tests.models.pretraining_cases import (BACKBONE, KNN, MASKED_DECODER, SAM,
                                            build, losses_of, make_batch)

MODEL = dict(
    type='PointMAE',
    backbone=dict(BACKBONE, tokenizer=KNN),
    decoder=MASKED_DECODER,
    head=dict(
        type='NeighborhoodHead',
        in_channels=32,
        num_neighbors=KNN['num_neighbors']),
    target_generator=dict(type='NeighborhoodTargets'))


def sets(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 3, generator=generator, dtype=dtype)


@pytest.mark.parametrize('chunk', [1, 4, 1024])
def test_chamfer_is_that_of_a_search_tree(chunk):
    predictions, targets = sets(7, 30), sets(7, 40, seed=1)
    expected = [
        np.mean(cKDTree(t).query(p)[0]**2) +
        np.mean(cKDTree(p).query(t)[0]**2)
        for p, t in zip(predictions.numpy(), targets.numpy())
    ]
    np.testing.assert_allclose(
        chamfer_l2(predictions, targets, chunk), expected, rtol=1e-5)


@pytest.mark.parametrize('chunk', [1, 1024])
def test_chamfer_of_lengths_is_that_of_a_search_tree(chunk):
    predictions, targets = sets(7, 30), sets(7, 40, seed=1)
    expected = [
        (cKDTree(t).query(p)[0].mean() + cKDTree(p).query(t)[0].mean()) / 2
        for p, t in zip(predictions.numpy(), targets.numpy())
    ]
    np.testing.assert_allclose(
        chamfer_l1(predictions, targets, chunk), expected, rtol=1e-5)


def test_chamfer_of_known_sets():
    origin, ones = torch.zeros(1, 1, 3), torch.ones(1, 1, 3)
    assert chamfer_l2(origin, ones).tolist() == [6]
    assert chamfer_l1(origin, ones).item() == pytest.approx(3**.5)
    # of two predictions one is right: 0 for the target, 3 / 2 for the other
    assert chamfer_l2(torch.cat((origin, ones), 1), ones).tolist() == [1.5]


def test_order_does_not_matter_and_equal_sets_have_none():
    points = sets(3, 12)
    assert chamfer_l2(points, points[:, torch.randperm(12)]).abs().max() == 0


def test_gradient_is_that_of_the_distance():
    predictions = sets(2, 6, dtype=torch.float64).requires_grad_()
    targets = sets(2, 5, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(chamfer_l2, (predictions, targets))
    assert torch.autograd.gradcheck(chamfer_l1, (predictions, targets))
    for distance in (chamfer_l1, chamfer_l2):
        same = sets(1, 4).requires_grad_()
        distance(same, same.detach()).sum().backward()
        assert same.grad.abs().max() == 0


def test_no_masked_token_is_no_loss():
    head = NeighborhoodHead(5, in_channels=8)
    losses = head.loss(
        torch.randn(2, 4, 8), sets(2, 4, 5),
        torch.zeros(2, 4).bool())
    losses['loss_chamfer'].backward()
    assert losses['loss_chamfer'] == 0


def test_targets_are_the_points_around_each_centre():
    model = build(MODEL)
    inputs = model.data_preprocessor(make_batch())['inputs']['points']
    points, tokens = model.tokenize(inputs)
    targets = NeighborhoodTargets()(points, tokens, None)
    for scene in range(2):
        tree = cKDTree(points[scene].numpy())
        centers = tokens.centers[scene].numpy()
        distances, _ = tree.query(centers, k=KNN['num_neighbors'])
        np.testing.assert_allclose(
            targets[scene].norm(dim=-1).sort(-1)[0], distances, atol=1e-5)


def test_only_masked_neighborhoods_count():
    """Each frame is averaged over its own masked tokens, then the frames."""
    head = NeighborhoodHead(5, in_channels=8)
    decoded, targets = torch.randn(2, 4, 8), sets(2, 4, 5)
    is_masked = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]]).bool()
    loss = head.loss(decoded, targets, is_masked)['loss_chamfer']
    distances = chamfer_l2(
        head(decoded).reshape(8, 5, 3), targets.reshape(8, 5,
                                                        3)).reshape(2, 4)
    expected = (distances[0, [0, 2]].mean() + distances[1, 3]) / 2
    torch.testing.assert_close(loss, expected)
    targets[~is_masked] += 9
    assert head.loss(decoded, targets, is_masked)['loss_chamfer'] == loss


def test_every_parameter_learns_without_region_ids():
    model = build(MODEL)
    batch = make_batch()
    batch['inputs']['points'] = [p[:, :3] for p in batch['inputs']['points']]
    batch['data_samples'] = None
    losses = losses_of(model, batch)
    assert set(losses) == {'loss_chamfer'}
    losses['loss_chamfer'].backward()
    without = [
        name for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum()
    ]
    # a softmax ignores what all keys have in common
    assert all(name.endswith('qkv.bias') for name in without), without


def test_training_lowers_the_loss():
    model = build(MODEL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    values = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = losses_of(model)['loss_chamfer']
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert sum(values[-3:]) < .8 * sum(values[:3])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='KNNTokenizer'):
        losses_of(build(MODEL, tokenizer=SAM))
    with pytest.raises(ValueError, match='num_neighbors'):
        head = dict(MODEL['head'], num_neighbors=8)
        losses_of(build(MODEL, head=head))
