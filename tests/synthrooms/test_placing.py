import numpy as np
import pytest

from sam3d_plugin.synthrooms.placing import Boxes, box_between, overlap


def turned(x, y, yaw, half=(0.5, 0.5, 0.5)):
    return Boxes(np.array([[x, y, 0.5]]), np.array([half]), np.array([yaw]))


@pytest.mark.parametrize('low, meets', [
    ((0.9, 0, 0), True),
    ((1.0, 0, 0), False),
    ((0, 0, 0.9), True),
    ((0, 0, 1.0), False),
    ((0.999, 0.999, 0.999), False),
])
def test_boxes_overlap_unless_they_touch(low, meets):
    first = box_between((0, 0, 0), (1, 1, 1))
    second = box_between(low, np.add(low, 1))
    assert overlap(first, second).tolist() == [[meets]]


def test_turned_boxes_are_not_their_hulls():
    unit = turned(0, 0, 0)
    # A square on its corner reaches 0.707 along x.
    assert overlap(unit, turned(1.15, 0, np.pi / 4)).all()
    assert not overlap(unit, turned(1.25, 0, np.pi / 4)).any()
    # The hulls of these two overlap, the boxes do not.
    assert not overlap(unit, turned(0.95, 0.95, np.pi / 4)).any()


def test_overlap_agrees_with_sampled_points():
    rng = np.random.default_rng(0)
    for _ in range(60):
        first = turned(0, 0, rng.uniform(0, 3), (0.5, 0.2, 0.5))
        second = turned(*rng.uniform(-0.9, 0.9, 2), rng.uniform(0, 3),
                        (0.4, 0.3, 0.5))
        grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 60)] * 2),
                        -1).reshape(-1, 2)
        inside = first.half[0, :2] * grid
        cos, sin = np.cos(first.yaw[0]), np.sin(first.yaw[0])
        world = inside @ [[cos, sin], [-sin, cos]] - second.center[0, :2]
        cos, sin = np.cos(second.yaw[0]), np.sin(second.yaw[0])
        local = world @ [[cos, -sin], [sin, cos]]
        depth = (second.half[0, :2] - np.abs(local)).min(1).max()
        if abs(depth) > 0.05:
            assert overlap(first, second)[0, 0] == (depth > 0)
