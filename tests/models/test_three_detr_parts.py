"""Box coder, assignment, losses, encoder and decoder parts of 3DETR."""
import itertools
import math

import pytest
import torch
from mmdet3d.registry import MODELS, TASK_UTILS
from mmdet3d.structures import DepthInstance3DBoxes

from sam3d_plugin.models.backbones.three_detr_encoder import outside_radius
from sam3d_plugin.models.dense_heads import three_detr_losses as losses
from sam3d_plugin.models.dense_heads.three_detr_layers import \
    FourierPositionEmbedding
from tests.models.three_detr_cases import MASKED, build

SCENE = torch.tensor([-1., 0, 0]), torch.tensor([3., 3, 2])


def coder(num_dir_bins=12, with_rot=True, **kwargs):
    return TASK_UTILS.build(
        dict(
            type='ThreeDETRBoxCoder',
            num_dir_bins=num_dir_bins,
            with_rot=with_rot,
            **kwargs))


def random_boxes(count=30, with_rot=True):
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(count, 7, generator=generator)
    boxes[:, 3:6] += 0.1
    boxes[:, 6] = (boxes[:, 6] - 0.5) * 2 * math.pi
    return DepthInstance3DBoxes(boxes, with_yaw=with_rot, origin=(.5, .5, .5))


def raw_of(targets, query_xyz, box_coder):
    """What the MLPs would have to put out, (1, 1, n, ...)."""
    offset = targets['boxes'][:, :3] - query_xyz
    fraction = offset / (2 * box_coder.max_center_offset) + 0.5
    one_hot = torch.nn.functional.one_hot(targets['dir_class'],
                                          box_coder.num_dir_bins).float()
    raw = dict(
        center=torch.logit(fraction),
        size=torch.logit(targets['size']),
        dir_class=one_hot * 100,
        dir_res=one_hot * targets['dir_res'][:, None])
    return {name: value[None, None] for name, value in raw.items()}


@pytest.mark.parametrize('bins, with_rot', [(12, True), (5, True), (1, False)])
def test_coder_round_trip(bins, with_rot):
    boxes, box_coder = random_boxes(with_rot=with_rot), coder(bins, with_rot)
    targets = box_coder.encode(boxes, *SCENE)
    assert targets['dir_res'].abs().max() <= 1
    assert targets['dir_class'].max() < bins
    queries = boxes.gravity_center + 0.4 * torch.rand(30, 3) - 0.2
    decoded = box_coder.decode(
        raw_of(targets, queries, box_coder), queries[None],
        *(limit[None] for limit in SCENE))
    for name in ('boxes', 'center', 'size'):
        torch.testing.assert_close(
            decoded[name][0, 0], targets[name], atol=1e-5, rtol=1e-5)
    expected = boxes.tensor.clone()
    expected[:, 2] += expected[:, 5] / 2
    expected[:, 6] *= with_rot
    torch.testing.assert_close(targets['boxes'], expected)


def test_coder_keeps_centers_near_their_query():
    raw = dict(
        center=torch.full((1, 1, 2, 3), 100.),
        size=torch.zeros(1, 1, 2, 3),
        dir_class=torch.zeros(1, 1, 2, 1),
        dir_res=torch.ones(1, 1, 2, 1))
    decoded = coder(
        1, False,
        max_center_offset=0.7).decode(raw, torch.zeros(1, 2, 3),
                                      *(limit[None] for limit in SCENE))
    torch.testing.assert_close(decoded['boxes'][0, 0, 0],
                               torch.tensor([.7, .7, .7, 2, 1.5, 1, 0]))


def test_flat_scene_is_0_1_m_thick():
    flat = torch.zeros(3), torch.tensor([3., 3, 0])
    targets = coder().encode(random_boxes(), *flat)
    assert torch.isfinite(targets['size']).all()
    torch.testing.assert_close(targets['size'][:, 2],
                               targets['boxes'][:, 5] * 10)


def predictions_and_targets(num_queries=5, num_boxes=3, num_layers=2):
    """Random predictions (L, Q) and true boxes of one scene."""
    generator = torch.Generator().manual_seed(1)
    boxes = torch.rand(num_layers, num_queries, 7, generator=generator)
    targets = coder().encode(random_boxes(num_boxes), *SCENE)
    targets['labels'] = torch.arange(num_boxes) % 3
    return dict(
        cls_logits=torch.randn(
            num_layers, num_queries, 4, generator=generator),
        boxes=boxes,
        center=(boxes[..., :3] - SCENE[0]) / (SCENE[1] - SCENE[0])), targets


def assigner(**changes):
    return TASK_UTILS.build({
        **dict(
            type='BoxSetAssigner',
            class_cost=1.,
            objectness_cost=2.,
            center_cost=5.,
            giou_cost=3.,
            with_rot=True),
        **changes
    })


def test_costs_are_the_published_ones():
    predictions, targets = predictions_and_targets()
    every = assigner().costs(predictions, targets)
    names = 'class_cost', 'objectness_cost', 'center_cost', 'giou_cost'
    alone = {}
    for name in names:
        weights = {**dict.fromkeys(names, 0.), name: 1.}
        alone[name] = assigner(**weights).costs(predictions, targets)
    torch.testing.assert_close(
        every, alone['class_cost'] + 2 * alone['objectness_cost'] +
        5 * alone['center_cost'] + 3 * alone['giou_cost'])
    probability = predictions['cls_logits'][1, 2].softmax(dim=0)
    assert alone['class_cost'][1, 2, 1] == -probability[1]
    torch.testing.assert_close(alone['objectness_cost'][1, 2, 1],
                               -probability[:3].sum())
    torch.testing.assert_close(alone['center_cost'][1, 2, 1],
                               (predictions['center'][1, 2] -
                                targets['center'][1]).abs().sum())
    assert alone['giou_cost'].abs().max() <= 1


@pytest.mark.parametrize('num_queries, num_boxes', [(5, 3), (3, 5), (4, 0),
                                                    (4, 1)])
def test_assignment_against_brute_force(num_queries, num_boxes):
    predictions, targets = predictions_and_targets(num_queries, num_boxes)
    costs = assigner().costs(predictions, targets)
    layers, queries, boxes = assigner().assign(predictions, targets)
    matched = min(num_queries, num_boxes)
    assert len(layers) == len(queries) == len(boxes) == 2 * matched
    for layer in range(2):
        mine = layers == layer
        assert len(set(queries[mine].tolist())) == matched
        assert len(set(boxes[mine].tolist())) == matched
        if not matched:
            continue
        longer, shorter = range(max(num_queries, num_boxes)), range(matched)
        best = min(
            sum((costs[layer, a,
                       b] if num_queries >= num_boxes else costs[layer, b,
                                                                 a]).item()
                for a, b in zip(choice, shorter))
            for choice in itertools.permutations(longer, matched))
        found = costs[layer, queries[mine], boxes[mine]].sum().item()
        assert found == pytest.approx(best, abs=1e-5)


def test_assignment_names_a_diverged_training():
    predictions, targets = predictions_and_targets()
    predictions['boxes'][0, 0, 0] = float('nan')
    with pytest.raises(ValueError, match='training has diverged'):
        assigner().assign(predictions, targets)


def pairs_of(*rows):
    return losses.MatchedPairs(*torch.tensor(rows).T)


def test_classification_loss_in_closed_form():
    """Equal logits: every query loses log(K + 1), whatever its weight."""
    logits = torch.zeros(2, 1, 6, 5)
    pairs = pairs_of((0, 0, 1, 0), (1, 0, 3, 0))
    found = losses.classification_loss(logits, torch.tensor([2]), pairs, .25)
    torch.testing.assert_close(found, torch.full((2, ), math.log(5)))
    # A layer whose matched query is right loses only at the other five.
    logits[0, 0, 1, 2] = 100
    found = losses.classification_loss(logits, torch.tensor([2]), pairs, .25)
    share = 5 * .25 / (1 + 5 * .25)
    torch.testing.assert_close(found[0], torch.tensor(share * math.log(5)))


def test_box_losses_in_closed_form():
    zeros = torch.zeros(1, 1, 2, 3)
    predictions = dict(
        boxes=torch.tensor([[[[0., 0, 0, 1, 1, 1, 0]] * 2]]),
        center=zeros,
        size=zeros,
        dir_class=torch.zeros(1, 1, 2, 12),
        dir_res=torch.zeros(1, 1, 2, 12))
    targets = dict(
        boxes=torch.tensor([[1., 0, 0, 1, 1, 1, 0]]),
        center=torch.tensor([[.1, -.2, .3]]),
        size=torch.tensor([[.5, .5, 0]]),
        dir_class=torch.tensor([7]),
        dir_res=torch.tensor([-.5]))
    found = losses.box_losses(predictions, targets, pairs_of((0, 0, 1, 0)),
                              True, True)
    expected = dict(
        center=.6, size=1., dir_class=math.log(12), dir_res=.125, giou=1.)
    assert {
        name: pytest.approx(value.item())
        for name, value in found.items()
    } == expected


def test_sum_by_layer():
    found = losses.sum_by_layer(
        torch.tensor([1., 2, 4]), torch.tensor([2, 0, 2]), 3)
    assert found.tolist() == [2, 0, 5]


def test_radius_mask():
    xyz = torch.tensor([[[0., 0, 0], [.3, 0, 0], [0, .5, 0], [0, .5, 5]]])
    assert outside_radius(xyz, .4)[0].tolist() == [[False, False, True, True],
                                                   [False, False, True, True],
                                                   [True, True, False, True],
                                                   [True, True, True, False]]


def masked_encoder(radii, dropout=0.):
    torch.manual_seed(0)
    encoder = MODELS.build(
        dict(
            type='ThreeDETREncoder',
            embed_dims=16,
            feedforward_dims=8,
            dropout=dropout,
            radii=radii))
    encoder.init_weights()
    return encoder


@pytest.mark.parametrize('is_training', [True, False])
def test_tokens_see_within_the_radius_of_their_layer(is_training):
    """Token 0 sees 1 at once; 2 through 1, in the wider last layer only."""
    xyz = torch.tensor([[[0., 0, 0], [.3, 0, 0], [.9, 0, 0], [9, 0, 0]]])
    features = torch.randn(1, 4, 16).requires_grad_()
    for radii, seen in (([.4, .4, .4], [0, 1]), ([.4, .7, .4], [0, 1, 2]),
                        ([.4, .4,
                          1.2], [0, 1, 2]), ([.1, .1,
                                              .1], [0]), (None, [0, 1, 2, 3])):
        encoder = masked_encoder(radii).train(is_training)
        output = encoder(features, xyz)
        gradient, = torch.autograd.grad(output[0, 0].sum(), features)
        assert gradient[0].abs().sum(dim=1).nonzero()[:, 0].tolist() == seen
        with torch.no_grad():  # torch's fast path
            torch.testing.assert_close(
                encoder(features, xyz), output, atol=1e-5, rtol=1e-5)


def test_scenes_of_a_batch_have_masks_of_their_own():
    encoder = masked_encoder([.4, .8, 1.2]).eval()
    xyz, features = torch.rand(3, 10, 3) * 3, torch.randn(3, 10, 16)
    together = encoder(features, xyz)
    for i in range(3):
        torch.testing.assert_close(
            encoder(features[i:i + 1], xyz[i:i + 1])[0], together[i])


def test_encoder_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match='3 layers need 3 radii, got 2'):
        masked_encoder([.4, .8])
    encoder = masked_encoder(None)
    padding = torch.tensor([[False, True]])
    with pytest.raises(ValueError, match='takes no padding'):
        encoder(torch.zeros(1, 2, 16), torch.zeros(1, 2, 3), padding)
    downsampling = build(backbone=MASKED).backbone.encoder
    with pytest.raises(ValueError, match='downsample=None'):
        downsampling(torch.zeros(1, 2, 48), torch.zeros(1, 2, 3))


def test_fourier_embedding_is_that_of_the_position_in_the_scene():
    torch.manual_seed(0)
    embedding = FourierPositionEmbedding(16)
    lowest, highest = torch.tensor([[0., 0, 0]]), torch.tensor([[4., 3, 2]])
    xyz = torch.rand(1, 5, 3)
    found = embedding(xyz, lowest, highest)
    assert found.shape == (1, 5, 16)
    torch.testing.assert_close(
        embedding(xyz * 2 + 1, lowest * 2 + 1, highest * 2 + 1), found)
    torch.testing.assert_close(
        found[..., :8].square() + found[..., 8:].square(), torch.ones(1, 5, 8))
    assert 'frequencies' in embedding.state_dict()
    with pytest.raises(ValueError, match='must be even'):
        FourierPositionEmbedding(15)
