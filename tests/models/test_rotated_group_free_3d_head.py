"""Targets of GroupFree3D on rotated boxes agree with VoteNet's."""
from pathlib import Path

import pytest
import torch
from mmdet3d.models import GroupFree3DHead
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sam3d_plugin.models import RotatedGroupFree3DHead

MODELS_FOLDER = Path(__file__).resolve().parents[2] / 'configs/_base_/models'


def head_config(name, **changes):
    """Settings of a head of ours for SUN RGB-D."""
    init_default_scope('mmdet3d')
    model = Config.fromfile(MODELS_FOLDER / f'{name}_sunrgbd.py').model
    return dict(
        model.bbox_head.to_dict(),
        train_cfg=model.train_cfg,
        test_cfg=model.test_cfg,
        **changes)


@pytest.fixture(scope='module')
def head():
    return MODELS.build(head_config('groupfree3d', num_decoder_layers=1))


@pytest.fixture(scope='module')
def vote_head():
    return MODELS.build(head_config('votenet'))


def scene(num_boxes, seed=0):
    """Points with a region column, and rotated boxes that overlap."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(1500, 4, generator=generator) * 3
    values = torch.rand(num_boxes, 7, generator=generator)
    values[:, :3] *= 3
    values[:, 3:6] = values[:, 3:6] * 2 + .2
    values[:, 6] = values[:, 6] * 6 - 3
    labels = torch.randint(10, (num_boxes, ), generator=generator)
    return points, DepthInstance3DBoxes(values, origin=(.5, .5, .5)), labels


def targets_of_every_point(head, points, boxes, labels):
    """Targets when every point is a seed and a query."""
    every = torch.arange(len(points))
    names = ('sampling', 'size', 'size_class', 'size_res', 'dir_class',
             'dir_res', 'centers', 'center', 'label', 'objectness', 'mask')
    values = head._get_targets_single(points, boxes, labels, None, None, 64,
                                      points[:, :3], every, every)
    return dict(zip(names, values))


@pytest.mark.parametrize('num_boxes', [1, 3, 12])
def test_targets_agree_with_vote_head(head, vote_head, num_boxes):
    points, boxes, labels = scene(num_boxes)
    targets = targets_of_every_point(head, points, boxes, labels)
    votes, is_inside, *_ = vote_head._get_targets_single(
        points, boxes, labels, None, None, points[:256, :3])
    assert is_inside.sum() > 20
    assert torch.equal(targets['objectness'], is_inside)
    votes = votes.view(-1, 3, 3)
    nearest = votes.norm(dim=-1).argmin(dim=1)
    vote = votes[torch.arange(len(points)), nearest]
    inside = is_inside.bool()
    torch.testing.assert_close(targets['center'][inside],
                               (points[:, :3] + vote)[inside])


def test_targets_of_each_point_are_those_of_its_box(head):
    """Slow reference: the nearest centre of the boxes around a point."""
    points, boxes, labels = scene(3, seed=1)
    targets = targets_of_every_point(head, points, boxes, labels)
    bins, residuals = head.bbox_coder.angle2class(boxes.yaw)
    around = boxes.points_in_boxes_all(points)
    for i in range(0, len(points), 50):
        inside = around[i].nonzero().flatten()
        assert targets['objectness'][i] == (len(inside) > 0)
        if not len(inside):
            continue
        gaps = boxes.gravity_center[inside] - points[i, :3]
        box = inside[gaps.norm(dim=1).argmin()]
        assert targets['label'][i] == labels[box]
        assert torch.equal(targets['size'][i], boxes.dims[box])
        assert targets['dir_class'][i] == bins[box]
        torch.testing.assert_close(targets['dir_res'][i],
                                   residuals[box] * 12 / torch.pi)


def test_hand_computed_rotated_box(head):
    """A box of 4 x 1 m turned by 90 degrees holds points along y only."""
    box = DepthInstance3DBoxes(
        torch.tensor([[0, 0, 0, 4, 1, 2, torch.pi / 2]]), origin=(.5, .5, .5))
    points = torch.tensor([[0, 1.5, 0, 7], [1.5, 0, 0, 7], [0, 0, 3, 7.]])
    points = points.repeat(4, 1)
    targets = targets_of_every_point(head, points, box, torch.tensor([5]))
    assert targets['objectness'].tolist() == [1, 0, 0] * 4
    assert targets['label'][0] == 5
    assert targets['center'][0].tolist() == [0, 0, 0]


def test_scene_without_boxes_has_no_object(head):
    """get_targets gives such a scene one box without a size."""
    points, boxes, labels = scene(1)
    nothing = boxes.new_box(torch.zeros(1, 7))
    targets = targets_of_every_point(head, points, nothing, labels * 0)
    assert targets['objectness'].sum() == 0
    assert targets['sampling'].sum() == 0


def test_parent_still_fails(head):
    """When mmdet3d has mended its head, ours is no longer needed."""
    points, boxes, labels = scene(2)
    every = torch.arange(len(points))
    with pytest.raises(IndexError):
        GroupFree3DHead._get_targets_single(head, points, boxes, labels, None,
                                            None, 64, points[:, :3], every,
                                            every)


def test_axis_aligned_targets_are_the_parents():
    settings = Config.fromfile(MODELS_FOLDER / 'groupfree3d_scannet.py')
    config = dict(
        settings.model.bbox_head.to_dict(),
        num_decoder_layers=1,
        type='RotatedGroupFree3DHead')
    head = MODELS.build(config)
    assert isinstance(head, RotatedGroupFree3DHead)
    points, boxes, labels = scene(2)
    boxes = DepthInstance3DBoxes(
        boxes.tensor[:, :6], box_dim=6, with_yaw=False)
    every = torch.arange(len(points))
    instance = boxes.points_in_boxes_part(points).long()
    semantic = torch.where(instance < 0, 18, instance)
    inputs = (points, boxes, labels, semantic, instance, 64, points[:, :3],
              every, every)
    ours = head._get_targets_single(*inputs)
    parents = GroupFree3DHead._get_targets_single(head, *inputs)
    assert all(torch.equal(a, b) for a, b in zip(ours, parents))
