"""Losses per item against closed forms and slow references."""
import pytest
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import nn

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.store.loading import load_encoder


def build(**kwargs):
    return MODELS.build(dict(type='GroupBalancedDistillLoss', **kwargs))


def make_items(num_groups, seed=0):
    generator = torch.Generator().manual_seed(seed)
    predictions = 3 * torch.randn(2, 9, 5, generator=generator)
    targets = torch.randn(2, 9, 5, generator=generator)
    groups = torch.randint(0, num_groups, (2, 9), generator=generator)
    return predictions, targets, groups


def plain(predictions, targets):
    return F.smooth_l1_loss(predictions, targets, reduction='none').mean(-1)


@pytest.mark.parametrize('normalize, factor', [('mean_one', 1),
                                               ('paper', 1 / 4)])
def test_equal_groups_reduce_to_plain_smooth_l1(normalize, factor):
    predictions, targets, groups = make_items(4)
    loss = build(counts=[7, 7, 7, 7], normalize=normalize)
    torch.testing.assert_close(
        loss(predictions, targets, groups),
        factor * plain(predictions, targets))
    loss = MODELS.build(dict(type='DistillLoss'))
    torch.testing.assert_close(
        loss(predictions, targets), plain(predictions, targets))


def test_weights_of_hand_made_counts():
    """n = 1, 5, 0, 10: tau = 1, 0.6, none, 0.1."""
    loss = build(counts=[1, 5, 0, 10])
    expected = torch.tensor([1, .6, 0, .1]) / 1.7
    torch.testing.assert_close(loss.weights, expected)
    assert loss.counts.tolist() == [1, 5, 0, 10]
    loss = build(counts=[1, 5, 0, 10], normalize='mean_one')
    # 16 regions whose weights sum to 1 * 1 + 5 * 0.6 + 10 * 0.1 = 5
    torch.testing.assert_close(loss.weights,
                               torch.tensor([1, .6, 0, .1]) * 16 / 5)


@pytest.mark.parametrize('normalize', ['paper', 'mean_one'])
def test_one_group_changes_nothing(normalize):
    predictions, targets, groups = make_items(1)
    loss = build(counts=[42], normalize=normalize)
    torch.testing.assert_close(
        loss(predictions, targets, groups), plain(predictions, targets))


def test_against_a_loop_over_items():
    predictions, targets, groups = make_items(3)
    counts = [4, 40, 9]
    losses = build(counts=counts)(predictions, targets, groups)
    tau = [1 - (n - 4) / 40 for n in counts]
    for scene in range(2):
        for token in range(9):
            expected = 0.
            for channel in range(5):
                d = abs(
                    float(predictions[scene, token, channel] -
                          targets[scene, token, channel]))
                expected += (.5 * d * d if d < 1 else d - .5) / 5
            expected *= tau[groups[scene, token]] / sum(tau)
            assert abs(float(losses[scene, token]) - expected) < 1e-5


def test_a_perfect_student_has_no_loss():
    _, targets, groups = make_items(3)
    assert build(counts=[1, 2, 3])(targets, targets, groups).eq(0).all()


def test_wraps_any_loss_per_item():
    logits, _, groups = make_items(3)
    logits, groups = logits.reshape(-1, 5), groups.reshape(-1)
    labels = torch.arange(18) % 5
    loss = build(
        counts=[1, 2, 3],
        loss=dict(type='mmdet.CrossEntropyLoss', reduction='none'))
    torch.testing.assert_close(
        loss(logits, labels, groups),
        F.cross_entropy(logits, labels, reduction='none') *
        loss.weights[groups])


def test_bf16_predictions_are_compared_in_float32():
    predictions, targets, groups = make_items(3)
    losses = build(counts=[1, 2, 3])(predictions.bfloat16(), targets, groups)
    assert losses.dtype == torch.float32


@pytest.mark.parametrize('normalize', ['paper', 'mean_one'])
def test_counts_come_from_the_data_set(normalize):
    loss = build(normalize=normalize)
    assert loss.state_dict() == {} and not list(loss.parameters())
    loss.use_metainfo(dict(group_counts=[1, 5, 0, 10]))
    loss.use_metainfo(dict(group_counts=[1, 5, 0, 10]))
    expected = build(counts=[1, 5, 0, 10], normalize=normalize)
    assert set(loss.state_dict()) == {'counts', 'weights'}
    assert loss.weights.equal(expected.weights)
    with pytest.raises(ValueError, match='1, 5, 0, 10.*have 1, 5, 1, 10'):
        loss.use_metainfo(dict(group_counts=[1, 5, 1, 10]))
    loss.use_metainfo({})
    with pytest.raises(ValueError, match='key group_ids'):
        build().use_metainfo({})


def test_counts_come_from_a_checkpoint():
    trained = nn.Sequential(nn.Linear(2, 2), build(counts=[3, 1]))
    fresh = nn.Sequential(nn.Linear(2, 2), build())
    report = load_encoder(fresh, trained.state_dict())
    assert not report.unexpected
    assert fresh[1].counts.tolist() == [3, 1]
    assert fresh[1].weights.equal(trained[1].weights)
    state = trained[1].state_dict()
    build(counts=[3, 1]).load_state_dict(state)
    with pytest.raises(ValueError, match='groups of 3, 2 regions.*3, 1'):
        build(counts=[3, 2]).load_state_dict(state)


def test_refuses():
    with pytest.raises(ValueError, match='counts|above 0'):
        build(counts=[0, 0])
    predictions, targets, groups = make_items(3)
    with pytest.raises(ValueError, match='group >= 2.*no weight'):
        build(counts=[1, 2])(predictions, targets, groups)
    for loss in (build(counts=[1, 2]), build()):
        with pytest.raises(ValueError, match='needs the group of every'):
            loss(predictions, targets)
    with pytest.raises(ValueError, match='their counts'):
        build()(predictions, targets, groups)
    reduced = dict(type='mmdet.SmoothL1Loss')
    with pytest.raises(ValueError, match="reduction='none'"):
        MODELS.build(dict(type='DistillLoss', loss=reduced))(predictions,
                                                             targets)
