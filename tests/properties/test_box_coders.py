"""Boxes that are encoded and decoded again are the same boxes."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from mmdet3d.registry import TASK_UTILS
from mmdet3d.structures import DepthInstance3DBoxes

import sam3d_plugin.models  # noqa: F401 (registers)

PLACES = st.tuples(*[st.floats(-4, 4, width=32)] * 3)
SIDES = st.tuples(*[st.floats(.0625, 3, width=32)] * 3)
YAWS = st.floats(-9.5, 9.5, width=32)
BOXES = st.lists(st.tuples(PLACES, SIDES, YAWS), min_size=1, max_size=4)
MEAN_SIZES = [[.7, .8, .9], [1.8, 1.8, 1.1], [.6, .6, .7]]


def boxes_of(rows, with_rot):
    """Boxes by their geometric centres."""
    rows = torch.tensor([[*place, *sides, yaw] for place, sides, yaw in rows])
    if not with_rot:
        rows[:, 6] = 0
    return DepthInstance3DBoxes(rows, with_yaw=True, origin=(.5, .5, .5)), rows


def assert_same_boxes(found, expected):
    torch.testing.assert_close(
        found[:, :6], expected[:, :6], atol=1e-4, rtol=1e-4)
    turn = found[:, 6] - expected[:, 6]
    torch.testing.assert_close(
        turn.cos(), torch.ones_like(turn), atol=1e-5, rtol=0)


def one_hot(classes, count):
    return torch.nn.functional.one_hot(classes, count).float()


@pytest.mark.parametrize('num_bins, with_rot', [(12, True), (1, True),
                                                (1, False)])
@given(rows=BOXES, offset=st.floats(-.9, .9), reach=st.floats(.2, 3))
def test_three_detr(num_bins, with_rot, rows, offset, reach):
    coder = TASK_UTILS.build(
        dict(
            type='ThreeDETRBoxCoder',
            num_dir_bins=num_bins,
            with_rot=with_rot,
            max_center_offset=reach))
    boxes, expected = boxes_of(rows, with_rot)
    low, high = torch.full((3, ), -6.), torch.full((3, ), 6.)
    targets = coder.encode(boxes, low, high)
    torch.testing.assert_close(targets['boxes'], expected)
    assert targets['dir_res'].abs().max() <= 1 + 1e-5
    query = targets['boxes'][:, :3] - offset * reach
    raw = dict(
        center=torch.full_like(query, offset / 2 + .5).logit(),
        size=targets['size'].logit(),
        dir_class=one_hot(targets['dir_class'], num_bins),
        dir_res=one_hot(targets['dir_class'], num_bins) *
        targets['dir_res'][:, None])
    found = coder.decode({
        key: value[None, None]
        for key, value in raw.items()
    }, query[None], low[None], high[None])
    assert_same_boxes(found['boxes'][0, 0], expected)
    torch.testing.assert_close(
        found['center'][0, 0], targets['center'], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('num_bins, with_rot', [(12, True), (1, False)])
@given(rows=BOXES, offset=st.floats(-2, 2), anchor=st.floats(.1, 3))
def test_vdetr(num_bins, with_rot, rows, offset, anchor):
    coder = TASK_UTILS.build(
        dict(type='VDETRBoxCoder', num_dir_bins=num_bins, with_rot=with_rot))
    boxes, expected = boxes_of(rows, with_rot)
    targets = coder.encode(boxes, torch.zeros(3), torch.ones(3))
    torch.testing.assert_close(targets['boxes'], expected)
    size = torch.full_like(targets['size'], anchor)
    anchors = torch.cat((targets['center'] - offset * size, size), dim=1)
    found = coder.refine(
        dict(
            center=torch.full_like(size, offset),
            size=targets['size'] - size.log(),
            dir_class=one_hot(targets['dir_class'], num_bins),
            dir_res=one_hot(targets['dir_class'], num_bins) *
            targets['dir_res'][:, None]), anchors)
    assert_same_boxes(found['boxes'], expected)


@pytest.mark.parametrize('name', ['PartialBin', 'GroupFree3D'])
@pytest.mark.parametrize('num_bins, with_rot', [(12, True), (1, False)])
@given(rows=BOXES, data=st.data())
def test_bins_of_mmdet3d(name, num_bins, with_rot, rows, data):
    """The coders of our VoteNet and GroupFree3D configs."""
    coder = TASK_UTILS.build(
        dict(
            type={
                'PartialBin': 'PartialBinBasedBBoxCoder',
                'GroupFree3D': 'GroupFree3DBBoxCoder'
            }[name],
            num_dir_bins=num_bins,
            num_sizes=3,
            mean_sizes=MEAN_SIZES,
            with_rot=with_rot,
            **(dict(
                size_cls_agnostic=False) if name == 'GroupFree3D' else {})))
    boxes, expected = boxes_of(rows, with_rot)
    labels = torch.tensor([data.draw(st.integers(0, 2)) for _ in rows])
    center, size_class, size_res, dir_class, dir_res = coder.encode(
        boxes, labels)[-5:]
    if name == 'GroupFree3D':
        center, _, size_class, size_res, dir_class, dir_res = coder.encode(
            boxes, labels)
    # mmdet3d halves sizes that are not positive when it decodes
    assume((boxes.dims > 0).all())
    sizes = torch.zeros(len(rows), 3, 3)
    sizes[torch.arange(len(rows)), size_class] = size_res
    out = dict(
        center=center[None],
        dir_class=one_hot(dir_class, num_bins)[None],
        dir_res=(one_hot(dir_class, num_bins) * dir_res[:, None])[None],
        size_class=one_hot(size_class, 3)[None],
        size_res=sizes[None])
    assert_same_boxes(coder.decode(out)[0], expected)
