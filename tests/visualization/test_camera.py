"""Cameras, the rasterizer and the placing of captions."""
import numpy as np
import pytest

from sam3d_plugin.visualization.camera import (Camera, Frame,
                                               perspective_camera, rasterize,
                                               shade_edges, top_camera)
from sam3d_plugin.visualization.labels import place_captions

LOW, HIGH = np.array([-2.0, -3, 0]), np.array([2.0, 3, 2.5])


def test_top_view_keeps_metres_and_sees_the_highest_first():
    camera = top_camera(LOW, HIGH)
    xy, depth = camera.project(np.array([[0, 0, 0], [1.5, 2, 1]]))
    np.testing.assert_allclose(xy[1] - xy[0], [1.5, 2])
    assert depth[1] == depth[0] - 1


@pytest.mark.parametrize('azimuth', [-60, 0, 45, 200])
def test_perspective_view_holds_every_corner(azimuth: float):
    camera = perspective_camera(LOW, HIGH, azimuth, 40, field_of_view=45)
    np.testing.assert_allclose(
        camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.axes) == pytest.approx(1)
    corners = np.array(np.meshgrid(*np.stack([LOW, HIGH], 1)))
    xy, depth = camera.project(corners.reshape(3, -1).T)
    angle = np.arctan(np.linalg.norm(xy, axis=1) / camera.distance)
    assert (depth > 0).all()
    assert np.degrees(angle.max()) == pytest.approx(22.5)


def test_up_is_up_and_near_is_large():
    camera = perspective_camera(LOW, HIGH, azimuth=0, elevation=30)
    up, _ = camera.project(camera.center + [[0, 0, -1], [0, 0, 1]])
    assert up[1, 1] > up[0, 1]
    near, near_depth = camera.project(camera.center + [[1, 0, 0], [1, 1, 0]])
    far, far_depth = camera.project(camera.center - [[1, 0, 0], [1, -1, 0]])
    assert near_depth[0] < far_depth[0]
    assert near[1, 0] - near[0, 0] > far[1, 0] - far[0, 0] > 0


def test_points_behind_the_camera_are_nowhere():
    camera = Camera(np.zeros(3), np.eye(3), distance=2.0)
    xy, depth = camera.project(np.array([[0.1, 0, 3.0], [0.1, 0, 1.0]]))
    assert np.isnan(xy[0]).all() and depth[0] < 0
    np.testing.assert_allclose(xy[1], [0.2, 0])
    frame = Frame(-1, -1, 20, 20, 10)
    np.testing.assert_array_equal(
        frame.contains(*frame.pixels(xy)), [False, True])


def test_rasterizer_equals_a_loop_over_pixels():
    rng = np.random.default_rng(0)
    frame = Frame(0.0, 0.0, 30, 20, 10.0)
    xy = rng.uniform(-0.3, 3.3, size=(60, 2))
    depth, radius = rng.uniform(1, 5, 60), rng.uniform(0.5, 4, 60)
    shown, buffer = rasterize(xy, depth, radius, frame)
    expected = np.full((20, 30), -1)
    nearest = np.full((20, 30), np.inf)
    for i in range(60):
        column = int(np.floor(xy[i, 0] * 10))
        row = 19 - int(np.floor(xy[i, 1] * 10))
        for v in range(20):
            for u in range(30):
                inside = (u - column)**2 + (v - row)**2 <= radius[i]**2
                if inside and depth[i] < nearest[v, u]:
                    nearest[v, u], expected[v, u] = depth[i], i
    assert (expected >= 0).any() and (expected < 0).any()
    np.testing.assert_array_equal(shown, expected)
    np.testing.assert_array_equal(buffer, nearest)


def test_shadow_falls_on_the_far_side_of_a_step_only():
    depth = np.full((20, 20), 2.0)
    depth[:, 10:] = 3.0
    shade = shade_edges(depth)
    assert (shade[:, :10] == 1).all() and (shade[:, 12:] == 1).all()
    assert (shade[:, 10:12] < 1).all()
    assert (shade_edges(np.full((3, 3), np.inf)) == 1).all()


def test_captions_at_one_place_do_not_overlap_and_stay_inside():
    anchors = np.full((12, 2), 5.0)
    sizes = np.full((12, 2), [60.0, 12.0])
    centers = place_captions(anchors, sizes, (0, 0, 400, 300))
    assert (centers >= sizes / 2).all()
    gap = np.abs(centers[:, None] - centers[None]) - sizes[0]
    apart = (gap > -1e-6).any(axis=2) | np.eye(12, dtype=bool)
    assert apart.all()
    assert place_captions(np.zeros((0, 2)), np.zeros((0, 2)),
                          (0, 0, 9, 9)).shape == (0, 2)
