"""Cuboids of points that are kept or dropped."""
import numpy as np
import pytest
import torch
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import DepthInstance3DBoxes, DepthPoints

from sam3d_plugin.datasets import DropCuboid
from sam3d_plugin.store.errors import UserError

BOXES = [[1., 1, 1, .5, .5, .5], [3, 2, 1, .5, .5, .5], [1, 3, 1, 9, 9, 9]]


def build(**kwargs):
    return TRANSFORMS.build(dict(type='RandomCuboid', **kwargs))


def make(num_points=2000, boxes=BOXES):
    generator = np.random.default_rng(0)
    xyz = generator.uniform(0, (4, 4, 2), (num_points, 3))
    columns = np.hstack([xyz, np.arange(num_points)[:, None]])
    tensor = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6)
    return dict(
        points=DepthPoints(
            torch.tensor(columns, dtype=torch.float32),
            points_dim=4,
            attribute_dims=dict(region=3)),
        gt_bboxes_3d=DepthInstance3DBoxes(
            tensor, box_dim=6, with_yaw=False, origin=(.5, .5, .5)),
        gt_labels_3d=np.arange(len(tensor)),
        pts_instance_mask=np.arange(num_points),
        pts_semantic_mask=np.arange(num_points) % 7)


@pytest.mark.parametrize('seed', range(5))
def test_points_boxes_and_labels_stay_together(seed):
    np.random.seed(seed)
    before = make()
    after = build(min_points=300)(make())
    xyz = after['points'].coord.numpy()
    kept = after['points'].tensor[:, 3].numpy().astype(int)
    assert 300 <= len(xyz) < 2000
    assert (after['pts_instance_mask'] == kept).all()
    assert (after['pts_semantic_mask'] == kept % 7).all()
    # exactly the points in the cuboid around those that are left
    every = before['points'].coord.numpy()
    inside = ((every >= xyz.min(axis=0)) & (every <= xyz.max(axis=0)))
    assert inside.all(axis=1).nonzero()[0].tolist() == kept.tolist()
    # whole boxes, those with their centre in the range
    centers = before['gt_bboxes_3d'].gravity_center.numpy()
    expected = ((centers >= xyz.min(axis=0)) & (centers <= xyz.max(axis=0)))
    labels = expected.all(axis=1).nonzero()[0]
    assert len(labels) and after['gt_labels_3d'].tolist() == labels.tolist()
    torch.testing.assert_close(after['gt_bboxes_3d'].tensor,
                               before['gt_bboxes_3d'].tensor[labels])


def test_sizes_are_within_the_range():
    np.random.seed(0)
    for _ in range(20):
        xyz = build(
            min_points=1, min_crop=.5,
            max_crop=.6)(make())['points'].coord.numpy()
        assert (np.ptp(xyz, axis=0) <= .6 * np.array([4, 4, 2])).all()


def test_two_axes_are_cut_alike():
    """With an aspect that no cuboid has, the scene stays as it is."""
    after = build(min_points=1, aspect=1.01)(make())
    assert len(after['points']) == 2000 and len(after['gt_labels_3d']) == 3


@pytest.mark.parametrize('min_points', [2001, 2000])
def test_too_few_points_leave_the_scene_alone(min_points):
    after = build(min_points=min_points, max_crop=.6)(make())
    assert len(after['points']) == 2000 and len(after['gt_labels_3d']) == 3


def test_a_crop_holds_a_box_if_the_scene_does():
    np.random.seed(0)
    for _ in range(20):
        after = build(min_points=10, max_crop=.6)(make(boxes=BOXES[:1]))
        assert len(after['gt_labels_3d']) == 1


def test_a_scene_without_boxes_is_cropped():
    np.random.seed(0)
    after = build(min_points=10, max_crop=.6)(make(boxes=[]))
    assert len(after['points']) < 2000 and len(after['gt_bboxes_3d']) == 0


def test_points_alone_are_cropped():
    """By the same numbers as a scene without boxes."""
    with_boxes = make(boxes=[])
    alone = dict(points=make()['points'])
    for results in (with_boxes, alone):
        np.random.seed(0)
        build(min_points=10, max_crop=.6)(results)
    assert len(alone['points']) < 2000 and list(alone) == ['points']
    assert torch.equal(alone['points'].tensor, with_boxes['points'].tensor)


@pytest.mark.parametrize('seed', range(3))
def test_a_cuboid_is_dropped(seed):
    """What is missing fits into a fifth of the range; the rest is outside."""
    before = make()['points']
    np.random.seed(seed)
    after = DropCuboid(.2)(dict(points=make()['points']))['points']
    kept = after.tensor[:, 3].long()
    is_dropped = torch.ones(2000, dtype=torch.bool)
    is_dropped[kept] = False
    xyz, dropped = before.coord, before.coord[is_dropped]
    assert torch.equal(after.tensor, before.tensor[kept])
    assert 0 < len(dropped) < 100
    sizes = dropped.amax(0) - dropped.amin(0)
    assert (sizes <= .2 * (xyz.amax(0) - xyz.amin(0))).all()
    inside = (xyz >= dropped.amin(0)) & (xyz <= dropped.amax(0))
    assert torch.equal(inside.all(1), is_dropped)


def test_points_at_one_place_are_not_dropped():
    points = DepthPoints(torch.ones(5, 3))
    assert len(DropCuboid(.2)(dict(points=points))['points']) == 5
    with pytest.raises(UserError, match='size of DropCuboid'):
        DropCuboid(1.)
