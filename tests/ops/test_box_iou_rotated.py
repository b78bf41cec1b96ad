"""Overlap of rotated rectangles against polygons, closed forms and mmcv."""
import math

import pytest
import torch
from mmdet3d.structures import DepthInstance3DBoxes
from shapely import affinity
from shapely.geometry import box as axis_aligned

from sam3d_plugin.ops import box_iou_rotated, install
from sam3d_plugin.ops._mmcv import has_kernels, originals

UNIT = [0., 0, 1, 1, 0]


def make(count, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(count, 5, generator=generator, dtype=torch.float64)
    return torch.cat((values[:, :2] * 4 - 2, values[:, 2:4] * 2 + .05,
                      values[:, 4:] * 10 - 5), 1)


def polygon(rectangle, sign):
    x, y, width, height, angle = rectangle.tolist()
    shape = axis_aligned(-width / 2, -height / 2, width / 2, height / 2)
    shape = affinity.rotate(shape, sign * angle, use_radians=True)
    return affinity.translate(shape, x, y)


def slow(first, second, mode='iou', clockwise=True):
    sign = 1 if clockwise else -1
    rows = [polygon(rectangle, sign) for rectangle in first]
    columns = [polygon(rectangle, sign) for rectangle in second]

    def overlap(a, b):
        shared = a.intersection(b).area
        return shared / (a.union(b).area if mode == 'iou' else a.area)

    return torch.tensor([[overlap(a, b) for b in columns] for a in rows],
                        dtype=torch.float64)


@pytest.mark.parametrize('clockwise', [True, False])
@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_against_polygons(dtype, mode, clockwise):
    first, second = make(30, 0), make(20, 1)
    expected = slow(first, second, mode, clockwise).to(dtype)
    assert expected.max() > .5 and (expected == 0).any()
    pair = first.to(dtype), second.to(dtype)
    found = box_iou_rotated(*pair, mode, clockwise=clockwise)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)
    aligned = box_iou_rotated(
        pair[0][:20], pair[1], mode, aligned=True, clockwise=clockwise)
    torch.testing.assert_close(
        aligned, expected[:20].diagonal(), atol=tolerance, rtol=0)


@pytest.mark.parametrize('other, expected', [
    (UNIT, 1),
    ([0., 0, 1, 1, math.pi / 2], 1),
    ([0., 0, 2, 2, 0], 1 / 4),
    ([.5, 0, 1, 1, 0], 1 / 3),
    ([1., 0, 1, 1, 0], 0),
    ([5., 0, 1, 1, 1], 0),
    ([0., 0, 0, 0, 0], 0),
    ([0., 0, 1, 1, math.pi / 4], (math.sqrt(2) - 1) / (2 - math.sqrt(2))),
])
def test_closed_forms(other, expected):
    pair = torch.tensor([UNIT]), torch.tensor([other])
    for first, second in (pair, pair[::-1]):
        found = box_iou_rotated(first, second)
        assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.skipif(not has_kernels(), reason='mmcv-lite')
@pytest.mark.parametrize('mode', ['iou', 'iof'])
def test_like_mmcv(mode):
    first, second = make(200, 2).float(), make(100, 3).float()
    for aligned in (False, True):
        rows = first[:100] if aligned else first
        expected = originals()['box_iou_rotated'](rows, second, mode, aligned)
        found = box_iou_rotated(rows, second, mode, aligned)
        # What mmcv's differs from polygons by.
        torch.testing.assert_close(found, expected, atol=5e-5, rtol=0)


def test_chunks_and_empty_inputs():
    first, second = make(11, 0), make(5, 1)
    whole = box_iou_rotated(first, second)
    assert torch.equal(box_iou_rotated(first, second, max_pairs=12), whole)
    assert box_iou_rotated(first[:0], second).shape == (0, 5)
    assert box_iou_rotated(first, second[:0]).shape == (11, 0)
    assert box_iou_rotated(first[:0], second[:0], aligned=True).shape == (0, )


def test_mode_is_checked():
    with pytest.raises(ValueError, match='giou'):
        box_iou_rotated(make(1, 0), make(1, 0), 'giou')


def test_boxes_of_mmdet3d_use_it():
    install()
    boxes = DepthInstance3DBoxes(
        torch.tensor([[0., 0, 0, 2, 1, 1, .3], [.5, .2, .5, 1, 1, 1, 1.]]))
    found = boxes.overlaps(boxes, boxes)
    rectangles = boxes.tensor[:, [0, 1, 3, 4, 6]].double()
    shared = slow(rectangles[:1], rectangles[1:], 'iof').item() * 2 * .5
    expected = torch.eye(2)
    expected[0, 1] = expected[1, 0] = shared / (3 - shared)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
