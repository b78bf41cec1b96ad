"""Position bias, attention, box coder and assignment of V-DETR."""
import itertools
import math

import pytest
import torch
from mmdet3d.registry import TASK_UTILS
from torch import nn

from sam3d_plugin.models.dense_heads.vdetr_head import in_any_box
from sam3d_plugin.models.dense_heads.vdetr_layers import (MultiQueryAttention,
                                                          VertexPositionBias,
                                                          offsets_in_boxes,
                                                          signed_log)
from tests.models.test_three_detr_parts import SCENE, random_boxes

CORNERS = list(itertools.product((-1, 1), repeat=3))


@pytest.fixture
def bias():
    torch.manual_seed(0)
    return VertexPositionBias(num_heads=2, hidden_dims=8, table_size=4)


def random_case(num_scenes=2, num_boxes=3, num_tokens=4):
    generator = torch.Generator().manual_seed(1)
    boxes = torch.rand(num_scenes, num_boxes, 7, generator=generator) * 2
    xyz = torch.rand(num_scenes, num_tokens, 3, generator=generator) * 3
    return boxes, xyz


def test_signed_log_in_closed_form():
    values = torch.tensor([0., 7 / 512, 63 / 512, 4095 / 512])
    expected = torch.tensor([0., 1, 2, 4])
    torch.testing.assert_close(signed_log(values), expected)
    torch.testing.assert_close(signed_log(-values), -expected)


def vertex_offset(box, token, corner):
    """Along the axes of the box, in plain Python."""
    x, y, z = (token[:3] - box[:3]).tolist()
    yaw = box[6].item()
    along = (x * math.cos(yaw) + y * math.sin(yaw),
             y * math.cos(yaw) - x * math.sin(yaw), z)
    return [
        a - side * size / 2
        for a, side, size in zip(along, corner, box[3:6].tolist())
    ]


def read_table(mlp, position, steps):
    """Interpolate between the 8 entries around a position."""
    cells = [
        min(int((steps <= p).sum()) - 1,
            len(steps) - 2) for p in position
    ]
    total = 0.
    for ends in itertools.product((0, 1), repeat=3):
        weight, entry = 1., []
        for p, cell, end in zip(position, cells, ends):
            share = (p - steps[cell]) / (steps[cell + 1] - steps[cell])
            weight = weight * (share if end else 1 - share)
            entry.append(steps[cell + end])
        total = total + weight * mlp(torch.stack(entry))
    return total


def test_bias_is_that_of_a_slow_loop(bias):
    boxes, xyz = random_case()
    found = bias(boxes, xyz)
    assert found.shape == (2, 2, 3, 4) and found.dtype == torch.float32
    steps = torch.linspace(-4, 4, 4)
    for scene, query, token in itertools.product(range(2), range(3), range(4)):
        expected = 0.
        for corner, mlp in zip(CORNERS, bias.mlps):
            offset = vertex_offset(boxes[scene, query], xyz[scene, token],
                                   corner)
            expected = expected + read_table(
                mlp, signed_log(torch.tensor(offset)), steps)
        torch.testing.assert_close(
            found[scene, :, query, token], expected, atol=1e-4, rtol=1e-4)


def test_bias_at_entries_of_the_table_is_that_of_the_mlps(bias):
    """A point as the box: its 8 vertices are one."""
    steps = torch.linspace(-4, 4, 4)
    places = torch.stack((steps[2], steps[1], steps[3]))
    xyz = places.sign() * (8**places.abs() - 1) / 512
    found = bias(torch.zeros(1, 1, 7), xyz[None, None])
    expected = sum(mlp(places) for mlp in bias.mlps)
    torch.testing.assert_close(found[0, :, 0, 0], expected)


def test_bias_does_not_change_with_the_frame(bias):
    """Boxes and tokens move and turn about z together."""
    boxes, xyz = random_case()
    angle = .7
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0],
                         [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    shift = torch.tensor([3., -2, 1])
    moved = boxes.clone()
    moved[..., :3] = boxes[..., :3] @ turn.T + shift
    moved[..., 6] += angle
    torch.testing.assert_close(
        bias(moved, xyz @ turn.T + shift),
        bias(boxes, xyz),
        atol=1e-4,
        rtol=1e-4)
    assert not torch.allclose(bias(boxes, xyz + .3), bias(boxes, xyz))


def test_opposite_vertices_have_opposite_offsets(bias):
    """A token on the other side of the center sees the vertices reversed."""
    boxes, xyz = random_case(num_boxes=1)
    mirrored = VertexPositionBias(2, 8, 4)
    mirrored.load_state_dict(bias.state_dict())
    mirrored.mlps = mirrored.mlps[::-1]
    for mlp in mirrored.mlps:
        mlp[0].weight.data.neg_()
    torch.testing.assert_close(
        mirrored(boxes, 2 * boxes[..., :3] - xyz),
        bias(boxes, xyz),
        atol=1e-4,
        rtol=1e-4)


def test_tokens_beyond_the_table_get_its_border(bias):
    boxes = torch.zeros(1, 1, 7)
    far = bias(boxes, torch.tensor([[[8., 0, 0], [80, 0, 0]]]))
    torch.testing.assert_close(far[..., 0], far[..., 1])


def test_bias_is_learnt_and_computed_in_full_precision(bias):
    boxes, xyz = random_case()
    found = bias(boxes.half().float(), xyz.half())
    assert found.dtype == torch.float32
    found.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in bias.parameters())
    assert not list(bias.state_dict().keys() & {'entries'})


def test_offsets_of_one_box():
    box = torch.tensor([[[1., 2, 3, 4, 4, 4, math.pi / 2]]])
    found = offsets_in_boxes(box, torch.tensor([[[1., 3, 3.5]]]))
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1., 0, .5]))


@pytest.mark.parametrize('with_bias', [True, False])
def test_one_key_and_value_are_those_of_every_head(with_bias):
    """torch's attention with the same key and value repeated."""
    torch.manual_seed(0)
    shared = MultiQueryAttention(12, 3, 0.)
    every = nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        every.in_proj_weight.copy_(
            torch.cat((shared.query_projection.weight,
                       shared.key_projection.weight.repeat(3, 1),
                       shared.value_projection.weight.repeat(3, 1))))
        every.in_proj_bias.copy_(
            torch.cat((shared.query_projection.bias,
                       shared.key_projection.bias.repeat(3),
                       shared.value_projection.bias.repeat(3))))
        every.out_proj.load_state_dict(shared.output_projection.state_dict())
    query, key, value = (torch.randn(2, n, 12) for n in (5, 7, 7))
    mask = torch.randn(2, 3, 5, 7) if with_bias else None
    found, weights = shared(query, key, value, mask, need_weights=True)
    expected, _ = every(
        query,
        key,
        value,
        attn_mask=None if mask is None else mask.flatten(0, 1))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))


def test_heads_divide_the_channels():
    with pytest.raises(ValueError, match='num_heads'):
        MultiQueryAttention(10, 3, 0.)


def coder(num_dir_bins=12, with_rot=True):
    return TASK_UTILS.build(
        dict(
            type='VDETRBoxCoder', num_dir_bins=num_dir_bins,
            with_rot=with_rot))


def raw_of(targets, anchors, bins):
    """What the MLPs would have to put out."""
    one_hot = nn.functional.one_hot(targets['dir_class'], bins).float()
    return dict(
        center=(targets['center'] - anchors[:, :3]) / anchors[:, 3:],
        size=targets['size'] - anchors[:, 3:].log(),
        dir_class=one_hot * 100,
        dir_res=one_hot * targets['dir_res'][:, None])


@pytest.mark.parametrize('bins, with_rot', [(12, True), (1, False)])
def test_coder_round_trip(bins, with_rot):
    boxes, box_coder = random_boxes(with_rot=with_rot), coder(bins, with_rot)
    targets = box_coder.encode(boxes, *SCENE)
    anchors = torch.rand(30, 6) + .2
    found = box_coder.refine(raw_of(targets, anchors, bins), anchors)
    for name in ('boxes', 'center', 'size'):
        torch.testing.assert_close(
            found[name], targets[name], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found['anchor_size'], anchors[:, 3:])


def test_coder_does_not_know_the_scene():
    first = coder().encode(random_boxes(), *SCENE)
    second = coder().encode(random_boxes(), SCENE[0] - 5, SCENE[1] + 5)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name])


def test_silent_mlps_repeat_the_anchor_and_loud_ones_stay_finite():
    anchors = torch.tensor([[1., 2, 3, .5, 1, 2]])
    zeros = dict(
        center=torch.zeros(1, 3),
        size=torch.zeros(1, 3),
        dir_class=torch.zeros(1, 1),
        dir_res=torch.zeros(1, 1))
    found = coder(1, False).refine(zeros, anchors)
    torch.testing.assert_close(found['boxes'][:, :6], anchors)
    loud = dict(zeros, size=torch.full((1, 3), 1e4))
    assert torch.isfinite(coder(1, False).refine(loud, anchors)['boxes']).all()


def test_points_in_any_box():
    boxes = torch.tensor([[0., 0, 0, 2, 1, 1, math.pi / 2],
                          [5, 5, 5, 1, 1, 1, 0]])
    xyz = torch.tensor([[0., .9, 0], [.9, 0, 0], [5.4, 5, 5], [2, 2, 2]])
    assert in_any_box(xyz, boxes).tolist() == [True, False, True, False]
    assert not in_any_box(xyz, boxes[:0]).any()


def assigner(**changes):
    return TASK_UTILS.build({
        **dict(
            type='RepeatedBoxAssigner',
            class_cost=3.,
            center_cost=1.,
            size_cost=.5,
            giou_cost=2.,
            with_rot=True,
            repeats=2),
        **changes
    })


def predictions_and_targets(num_queries=9, num_boxes=3, num_stages=3):
    """Random boxes of random anchors, and true boxes of one scene."""
    generator = torch.Generator().manual_seed(1)

    def rand(channels):
        return torch.rand(
            num_stages, num_queries, channels, generator=generator)

    raw = dict(
        center=rand(3), size=rand(3) - 1, dir_class=rand(12), dir_res=rand(12))
    predictions = coder().refine(raw, rand(6) + .2)
    targets = coder().encode(random_boxes(num_boxes), *SCENE)
    targets['labels'] = torch.arange(num_boxes) % 3
    return dict(predictions, cls_logits=rand(4) * 4 - 2), targets


def test_costs_in_closed_form():
    predictions, targets = predictions_and_targets()
    names = 'class_cost', 'center_cost', 'size_cost', 'giou_cost'
    alone = {
        name:
        assigner(**{
            **dict.fromkeys(names, 0.), name: 1.
        }).costs(predictions, targets)
        for name in names
    }
    torch.testing.assert_close(
        assigner().costs(predictions, targets),
        3 * alone['class_cost'] + alone['center_cost'] +
        .5 * alone['size_cost'] + 2 * alone['giou_cost'])
    p = predictions['cls_logits'][1, 2, 1].sigmoid()
    torch.testing.assert_close(
        alone['class_cost'][1, 2, 1],
        .25 * (1 - p)**2 * -p.log() - .75 * p**2 * -(1 - p).log())
    box, true = predictions['boxes'][1, 2], targets['boxes'][1]
    scale = predictions['anchor_size'][1, 2]
    torch.testing.assert_close(alone['center_cost'][1, 2, 1],
                               ((box[:3] - true[:3]) / scale).abs().sum())
    torch.testing.assert_close(alone['size_cost'][1, 2, 1],
                               (box[3:6] / true[3:6]).log().abs().sum())


@pytest.mark.parametrize('num_queries, num_boxes', [(9, 3), (4, 3), (3, 5),
                                                    (4, 0), (5, 1)])
def test_a_true_box_gets_several_queries_after_the_proposals(
        num_queries, num_boxes):
    predictions, targets = predictions_and_targets(num_queries, num_boxes)
    layers, queries, boxes = assigner().assign(predictions, targets)
    costs = assigner().costs(predictions, targets)
    for layer in range(3):
        mine = layers == layer
        repeats = 2 if layer else 1
        matched = min(num_queries, repeats * num_boxes)
        assert mine.sum() == matched
        assert len(set(queries[mine].tolist())) == matched
        counts = boxes[mine].bincount(minlength=num_boxes)
        assert (counts <= repeats).all()
        if matched and num_queries <= 5:
            slots = [box for box in range(num_boxes) for _ in range(repeats)]
            best = min(
                sum(costs[layer, q, b].item()
                    for q, b in zip(chosen, arranged))
                for chosen in itertools.combinations(
                    range(num_queries), matched)
                for arranged in set(itertools.permutations(slots, matched)))
            found = costs[layer, queries[mine], boxes[mine]].sum().item()
            assert found == pytest.approx(best, abs=1e-4)


def test_perfect_predictions_are_matched_to_themselves():
    targets = coder().encode(random_boxes(6), *SCENE)
    targets['labels'] = torch.arange(6) % 4
    anchors = torch.ones(6, 6)
    predictions = coder().refine(raw_of(targets, anchors, 12), anchors)
    logits = nn.functional.one_hot(targets['labels'], 4) * 10. - 5
    predictions = {
        name: value[None]
        for name, value in dict(predictions, cls_logits=logits).items()
    }
    _, queries, boxes = assigner().assign(predictions, targets)
    assert queries.tolist() == boxes.tolist() == list(range(6))
