"""Generalised IoU against a slow polygon reference in double precision."""
import itertools
import math

import pytest
import torch
from mmdet3d.structures import DepthInstance3DBoxes

from sam3d_plugin.ops import paired_giou_3d, pairwise_giou_3d
from tools.benchmarks.giou_pairs import giou_of_pair

DEVICES = ['cpu'] + ['cuda'] * torch.cuda.is_available()
UNIT = [0., 0, 0, 1, 1, 1, 0]


def make(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(*shape, 7, generator=generator, dtype=torch.float64)
    boxes[..., :3] = boxes[..., :3] * 0.7 - 0.35
    boxes[..., 3:6] += 0.1
    boxes[..., 6] = boxes[..., 6] * 10 - 5
    return boxes


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('is_rotated', [True, False])
def test_forward(is_rotated, dtype, device):
    boxes, others = make(2, 20), make(2, 15, seed=1)
    if not is_rotated:
        boxes[..., 6], others[..., 6] = 0, 0
    expected = torch.tensor([[
        [giou_of_pair(box, other) for other in scene_others]
        for box in scene_boxes
    ] for scene_boxes, scene_others in zip(boxes.tolist(), others.tolist())])
    assert expected.max() > 0.1 and expected.min() < -0.5
    columns = [7] if is_rotated else [6, 7]
    for count in columns:
        found = pairwise_giou_3d(boxes[..., :count].to(device, dtype),
                                 others[..., :count].to(device, dtype))
        assert found.shape == (2, 20, 15)
        torch.testing.assert_close(
            found.cpu(), expected.to(dtype), atol=1e-4, rtol=0)


@pytest.mark.parametrize('is_rotated', [True, False])
def test_backward(is_rotated):
    """Against central differences of the reference."""
    boxes, others = make(40), make(40, seed=2)
    columns = 7 if is_rotated else 6
    if not is_rotated:
        boxes[..., 6], others[..., 6] = 0, 0
    inputs = [
        values[:, :columns].float().requires_grad_()
        for values in (boxes, others)
    ]
    paired_giou_3d(*inputs).sum().backward()
    for which, tensor in enumerate(inputs):
        for i, column in itertools.product(range(40), range(columns)):
            difference = 0.
            for sign in (1, -1):
                pair = [boxes[i].tolist(), others[i].tolist()]
                pair[which][column] += sign * 1e-6
                difference += sign * giou_of_pair(*pair) / 2e-6
            assert tensor.grad[i, column].item() == pytest.approx(
                difference, abs=1e-4, rel=1e-3)


def test_corners_are_those_of_mmdet3d():
    """A box that just encloses a rotated one shares all of its volume."""
    box = make(1).float()
    corners = DepthInstance3DBoxes(box, origin=(.5, .5, .5)).corners[0]
    lowest, highest = corners.amin(dim=0), corners.amax(dim=0)
    around = torch.cat(
        ((lowest + highest) / 2, highest - lowest, torch.zeros(1)))[None]
    share = box[0, 3:6].prod() / around[0, 3:6].prod()
    torch.testing.assert_close(paired_giou_3d(box, around)[0], share)


@pytest.mark.parametrize('other, expected', [
    (UNIT, 1),
    ([0., 0, 0, 1, 1, 1, math.pi / 2], 1),
    ([0., 0, 0, 1, 1, 1, math.pi], 1),
    ([0., 0, 0, 2, 2, 2, 0], 1 / 8),
    ([1., 0, 0, 1, 1, 1, 0], 0),
    ([1., 0, 0, 1, 1, 1, math.pi / 2], 0),
    ([0., 0, 1, 1, 1, 1, 0], 0),
    ([1., 1, 0, 1, 1, 1, 0], -.5),
    ([3., 0, 0, 1, 1, 1, 0], -.5),
    ([3., 0, 0, 1, 1, 1, 1e-7], -.5),
    ([0., 0, 0, 0, 0, 0, 0], 0),
    ([0., 0, 0, 0, 1, 1, 0], 0),
    ([0.5, 0, 0, 0, 0, 0, 0.3], 0),
    ([1., 0, 0, 0, 0, 0, 0], -1 / 3),
])
def test_known_and_degenerate_cases(other, expected):
    for columns in (6, 7) if other[6] == 0 else (7, ):
        pair = [
            torch.tensor(box[:columns]).requires_grad_()
            for box in (UNIT, other)
        ]
        for boxes in (pair, pair[::-1]):
            found = paired_giou_3d(*boxes)
            assert found.item() == pytest.approx(expected, abs=1e-5)
            found.backward()
        for tensor in pair:
            assert torch.isfinite(tensor.grad).all()
            assert tensor.grad.abs().max() < 100


@pytest.mark.parametrize('columns', [6, 7])
def test_two_boxes_without_volume(columns):
    for x in (0., 1.):
        pair = [torch.zeros(columns), torch.zeros(columns)]
        pair[1][0] = x
        for tensor in pair:
            tensor.requires_grad_()
        found = paired_giou_3d(*pair)
        found.backward()
        assert found == 0
        assert all(torch.isfinite(tensor.grad).all() for tensor in pair)


def test_chunks_change_nothing():
    boxes, others = make(2, 11), make(2, 5, seed=1)
    results = []
    for max_pairs in (1 << 19, 30, 1):
        pair = [boxes.clone().requires_grad_(), others.clone()]
        found = pairwise_giou_3d(*pair, max_pairs=max_pairs)
        found.square().sum().backward()
        results.append((found.detach(), pair[0].grad))
        with torch.no_grad():
            torch.testing.assert_close(
                pairwise_giou_3d(*pair, max_pairs=max_pairs), found)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


def test_no_boxes():
    empty = make(2, 0)
    assert pairwise_giou_3d(make(2, 3), empty).shape == (2, 3, 0)
    assert pairwise_giou_3d(empty, make(2, 3)).shape == (2, 0, 3)


def test_columns_are_checked():
    with pytest.raises(ValueError, match='got 7 and 6'):
        paired_giou_3d(make(3), make(3)[:, :6])
