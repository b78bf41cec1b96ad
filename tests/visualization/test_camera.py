"""Cameras."""
import numpy as np
import pytest

from sam3d_plugin.visualization.camera import (Camera, perspective_camera,
                                               top_camera)

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
