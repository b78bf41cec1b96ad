"""Pinhole cameras."""
import numpy as np

from sam3d_plugin.ops.projection import (back_project, pixel_indices, project,
                                         scale_intrinsics, transform)

INTRINSICS = np.array([[60.0, 0, 20], [0, 50, 14], [0, 0, 1]])


def test_projecting_undoes_back_projecting():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 4, (30, 40))
    pixels = np.arange(depth.size)
    points = back_project(depth, INTRINSICS, pixels)
    uv, z = project(points, INTRINSICS)
    assert np.allclose(z, depth.reshape(-1))
    found, inside = pixel_indices(uv, 30, 40)
    assert inside.all() and (found == pixels).all()


def test_a_known_point():
    depth = np.full((30, 40), 2.0)
    point = back_project(depth, INTRINSICS, np.array([14 * 40 + 26]))
    assert np.allclose(point, [[6 / 60 * 2, 0, 2]])


def test_points_behind_the_camera_are_nowhere():
    uv, z = project(np.array([[0, 0, -1.0], [0, 0, 0], [0, 0, 1]]), INTRINSICS)
    found, inside = pixel_indices(uv, 30, 40)
    assert inside.tolist() == [False, False, True]
    assert found.tolist() == [0, 0, 14 * 40 + 20]


def test_the_border_is_half_a_pixel_wide():
    uv = np.array([[-0.5, 0], [-0.51, 0], [39.49, 29.49], [39.5, 0]])
    _, inside = pixel_indices(uv, 30, 40)
    assert inside.tolist() == [True, False, True, False]


def test_transforms_compose():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(5, 3))
    a, b = rng.normal(size=(2, 4, 4))
    a[3] = b[3] = [0, 0, 0, 1]
    assert np.allclose(
        transform(transform(points, a), b), transform(points, b @ a))


def test_scaling_keeps_what_a_pixel_sees():
    # The outer borders of the image see the same before and after.
    scaled = scale_intrinsics(INTRINSICS, (30, 40), (60, 120))
    old, new = INTRINSICS, scaled
    assert np.isclose((-0.5 - old[0, 2]) / old[0, 0],
                      (-0.5 - new[0, 2]) / new[0, 0])
    assert np.isclose((29.5 - old[1, 2]) / old[1, 1],
                      (59.5 - new[1, 2]) / new[1, 1])
