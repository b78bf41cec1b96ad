"""points_in_boxes against a loop over points and boxes."""
import math

import numpy as np
import pytest
import torch

from sam3d_plugin.ops import points_in_boxes_all, points_in_boxes_part
from sam3d_plugin.ops._mmcv import has_kernels


def is_inside(point, box):
    x, y, z, size_x, size_y, size_z, yaw = box.tolist()
    dx, dy, dz = point[0] - x, point[1] - y, point[2] - z - size_z / 2
    local_x = dx * math.cos(yaw) + dy * math.sin(yaw)
    local_y = -dx * math.sin(yaw) + dy * math.cos(yaw)
    return (abs(dz) <= size_z / 2 and abs(local_x) < size_x / 2
            and abs(local_y) < size_y / 2)


def slow_all(points, boxes):
    return torch.tensor([[[int(is_inside(point, box)) for box in scene_boxes]
                          for point in scene]
                         for scene, scene_boxes in zip(points, boxes)])


def make(num_points, num_boxes, batch_size=2, with_yaw=True):
    generator = np.random.default_rng(num_points + num_boxes)
    points = generator.uniform(-2, 2, (batch_size, num_points, 3))
    boxes = generator.uniform(-2, 2, (batch_size, num_boxes, 7))
    boxes[..., 3:6] = np.abs(boxes[..., 3:6]) + 0.5
    boxes[..., 6] *= with_yaw
    return torch.tensor(points).float(), torch.tensor(boxes).float()


@pytest.mark.parametrize('with_yaw', [True, False])
@pytest.mark.parametrize('num_points, num_boxes', [(1, 1), (150, 20)])
def test_all_and_part(num_points, num_boxes, with_yaw, device):
    points, boxes = make(num_points, num_boxes, with_yaw=with_yaw)
    expected = slow_all(points, boxes)
    found = points_in_boxes_all(points.to(device), boxes.to(device))
    assert found.dtype == torch.int32 and torch.equal(found.cpu(),
                                                      expected.int())
    first = points_in_boxes_part(points.to(device), boxes.to(device))
    any_box = expected.any(-1)
    assert first.dtype == torch.int32
    assert torch.equal(first.cpu() >= 0, any_box)
    assert torch.equal(first.cpu()[any_box],
                       expected.argmax(-1)[any_box].int())
    assert num_points == 1 or any_box.any()


def test_faces_and_duplicates(device):
    box = torch.tensor([[[0, 0, 0, 2, 2, 2, 0], [0, 0, 0, 2, 2, 2, 0]]],
                       device=device).float()
    points = torch.tensor([[[0, 0, 0], [0, 0, 2], [1, 0, 1], [0, -1, 1],
                            [0, 0, 1], [0, 0, 1]]]).to(box)
    inside = torch.tensor([1, 1, 0, 0, 1, 1], device=device)
    found = points_in_boxes_all(points, box)[0]
    assert torch.equal(found, inside[:, None].expand(6, 2).int())
    assert torch.equal(
        points_in_boxes_part(points, box)[0], (inside - 1).int())


@pytest.mark.skipif(not has_kernels(), reason='mmcv-lite')
def test_like_mmcv_on_cpu():
    from mmcv.ops import points_in_boxes_cpu
    points, boxes = make(2000, 50, batch_size=1)
    assert torch.equal(
        points_in_boxes_all(points, boxes), points_in_boxes_cpu(points, boxes))


def test_threads_agree(monkeypatch):
    points, boxes = make(20000, 150)
    threaded = (points_in_boxes_all(points, boxes),
                points_in_boxes_part(points, boxes))
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    assert torch.equal(threaded[0], points_in_boxes_all(points, boxes))
    assert torch.equal(threaded[1], points_in_boxes_part(points, boxes))


def test_half_precision_is_widened(device):
    points, boxes = (tensor.to(device) for tensor in make(200, 10))
    with torch.autocast(device, dtype=torch.bfloat16):
        found = points_in_boxes_all(points.bfloat16(), boxes.half())
    assert torch.equal(
        found,
        points_in_boxes_all(points.bfloat16().float(),
                            boxes.half().float()))


def test_empty_and_bad_shapes(device):
    points = torch.zeros(2, 4, 3, device=device)
    boxes = torch.zeros(2, 5, 7, device=device)
    assert points_in_boxes_all(points, boxes[:, :0]).shape == (2, 4, 0)
    assert points_in_boxes_all(points[:, :0], boxes).shape == (2, 0, 5)
    assert points_in_boxes_part(points, boxes[:, :0]).eq(-1).all()
    assert points_in_boxes_part(points[:, :0], boxes).shape == (2, 0)
    for call in (points_in_boxes_all, points_in_boxes_part):
        with pytest.raises(ValueError, match='points must be'):
            call(points, boxes[:1])
        with pytest.raises(ValueError, match='points must be'):
            call(points, boxes[..., :6])
