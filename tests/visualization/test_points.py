"""Choosing and colouring points, and the walls that are cut away."""
import numpy as np
import pytest

from sam3d_plugin.visualization.points import (colors_from_height,
                                               colors_from_ids, is_near_wall,
                                               scene_bounds)
from sam3d_plugin.visualization.scene import Scene, ViewOptions


def prepare(points, colors, max_points, max_height, seed):
    return Scene('room', points, colors).shown_points(
        ViewOptions(max_points=max_points, max_height=max_height, seed=seed))


def grid(*sides: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 3)


def test_ceiling_is_left_out_and_colours_stay_with_their_points():
    points = grid(np.arange(10), np.arange(10), np.linspace(5, 8, 31))
    colors = np.arange(len(points) * 3).reshape(-1, 3) % 251
    kept, kept_colors = prepare(points, colors, 10**6, 2.0, 0)
    assert kept[:, 2].max() == pytest.approx(7.0)
    assert len(kept) == (points[:, 2] < 7.01).sum()
    for index in (0, len(kept) // 2, len(kept) - 1):
        origin = (points == kept[index]).all(axis=1).argmax()
        np.testing.assert_array_equal(kept_colors[index], colors[origin])


def test_the_choice_of_points_follows_the_seed():
    points = np.random.default_rng(0).normal(size=(500, 3))
    first, _ = prepare(points, None, 50, None, 1)
    again, _ = prepare(points, None, 50, None, 1)
    other, _ = prepare(points, None, 50, None, 2)
    assert first.shape == (50, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_stray_points_do_not_widen_the_picture():
    points = np.random.default_rng(0).uniform(0, 4, size=(1000, 3))
    points[0] = 100
    low, high = scene_bounds(points)
    assert high.max() < 4.01 and low.min() > -0.01
    low, high = scene_bounds(np.ones((1, 3)))
    np.testing.assert_allclose(high - low, 1)


def test_height_runs_from_dark_to_bright():
    points = np.stack([np.zeros(5), np.zeros(5), np.arange(5)], axis=1)
    brightness = colors_from_height(points).sum(axis=1).astype(int)
    assert (np.diff(brightness) > 0).all()


def test_ids_get_their_own_colours_and_none_is_grey():
    colors = colors_from_ids(np.arange(200))
    assert len(np.unique(colors, axis=0)) == 200
    np.testing.assert_array_equal(colors[0], [205, 205, 205])
    np.testing.assert_array_equal(colors_from_ids([7])[0], colors[7])


def test_only_the_wall_before_the_camera_is_cut_away():
    line, rise = np.arange(0, 4, 0.05), np.arange(0, 2, 0.05)
    floor = grid(line, line, np.zeros(1))
    near, far = grid(line, [0.0], rise), grid(line, [3.95], rise)
    table = grid(np.arange(1, 2, .05), np.arange(1.5, 2, .05), [0.7])
    points = np.concatenate([floor, near, far, table])
    cut = is_near_wall(points, np.array([0.0, -0.7, 0.7]))
    parts = np.split(cut, np.cumsum([len(floor), len(near), len(far)]))
    assert not parts[0].any() and not parts[2].any() and not parts[3].any()
    np.testing.assert_array_equal(parts[1], near[:, 2] > 0.3)


def test_tall_things_at_the_far_side_stay():
    line, rise = np.arange(0, 4, 0.05), np.arange(0, 2, 0.05)
    points = np.concatenate(
        [grid(line, line, np.zeros(1)),
         grid(line, [3.95], rise)])
    assert not is_near_wall(points, np.array([0.0, -0.7, 0.7])).any()
    assert not is_near_wall(np.zeros((1, 3)), np.array([0.0, -1, 1])).any()


@pytest.mark.parametrize('points, colors, message', [
    (np.zeros((0, 3)), None, 'N >= 1'),
    (np.zeros((4, 6)), None, r'\(4, 6\)'),
    (np.full((2, 3), np.nan), None, 'not finite'),
    (np.zeros((2, 3)), np.zeros((3, 3)), '2 points came with colors'),
])
def test_wrong_points_are_refused(points: np.ndarray, colors: np.ndarray,
                                  message: str):
    with pytest.raises(ValueError, match=message):
        prepare(points, colors, 100, None, 0)
