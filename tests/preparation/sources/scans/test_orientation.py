"""What points up, and in which unit a scan is."""
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sam3d_plugin.preparation.sources.scans.orientation import (
    estimate_up, find_stray, may_be_hall, plausible_units)
from tests.preparation.box_room import cloud, look, see

# What each file axis becomes when the named axis is turned up.
TURNS = {
    'z': lambda x, y, z: (x, y, z),
    'y': lambda x, y, z: (x, z, -y),
    'x': lambda x, y, z: (z, y, -x),
    '-y': lambda x, y, z: (x, -z, y),
    '-x': lambda x, y, z: (-z, y, x),
    '-z': lambda x, y, z: (x, -y, -z),
}


def lay_down(xyz, up):
    return np.stack(TURNS[up](*xyz.T), axis=1)


@pytest.mark.parametrize('up', TURNS)
@pytest.mark.parametrize('has_ceiling', [False, True])
@pytest.mark.parametrize('count', [3000, 20_000])
def test_the_floor_is_found(up, has_ceiling, count):
    xyz = cloud(count, has_ceiling)
    assert estimate_up(lay_down(xyz, up)) == up


def test_a_street_below_the_window_decides_nothing():
    xyz = cloud()
    rng = np.random.default_rng(1)
    street = rng.uniform((6, 0, -4), (9, 4, -3.9), (len(xyz) // 100, 3))
    xyz = np.concatenate([xyz, street])
    assert estimate_up(xyz) == 'z'
    assert estimate_up(lay_down(xyz, 'y')) == 'y'


def test_crops_of_a_room_are_right_or_a_doubt():
    xyz = cloud(30_000)
    rng = np.random.default_rng(2)
    found = []
    for _ in range(40):
        center = xyz[rng.integers(len(xyz))]
        is_near = np.abs(xyz - center).max(axis=1) < rng.uniform(0.5, 2)
        found.append(estimate_up(xyz[is_near]))
    assert set(found) <= {'z', None} and found.count('z') > 5


def test_one_view_of_a_wall_is_no_floor():
    frame = see(look([2.5, 2, 1.4], np.pi / 2, 0))
    assert estimate_up(
        np.stack([*np.indices(frame.depth.shape)[::-1] / 30.0, frame.depth],
                 -1).reshape(-1, 3)) is None


@pytest.mark.parametrize('axis, angle', [('x', 20), ('x', 60), ('x', -80),
                                         ('y', -45), ('y', 10)])
@pytest.mark.parametrize('has_ceiling', [False, True])
def test_a_tilted_room_with_aligned_walls_gets_no_axis(axis, angle,
                                                       has_ceiling):
    aligned = cloud(has_ceiling=has_ceiling) @ [[0.8, -0.6, 0], [0.6, 0.8, 0],
                                                [0, 0, 1]]
    tilt = Rotation.from_euler(axis, angle, degrees=True)
    assert estimate_up(tilt.apply(aligned)) is None


@pytest.mark.parametrize('xyz', [
    np.zeros((0, 3)),
    np.zeros((1000, 3)),
    np.full((1000, 3), np.nan),
    np.random.default_rng(0).uniform(0, 3, (5000, 3))
])
def test_what_is_no_room_is_a_doubt(xyz):
    assert estimate_up(xyz) is None


@pytest.mark.parametrize('unit, found', [
    (1.0, [1.0]),
    (0.001, [0.001]),
    (0.01, [0.01]),
    (0.0254, [0.0254]),
])
def test_units_make_rooms(unit, found):
    xyz = cloud() / unit
    assert plausible_units(xyz) == found
    stray = np.concatenate([xyz, [[480 / unit] * 3]])
    assert plausible_units(stray) == found
    assert find_stray(stray, 2).sum() == 1 and not find_stray(xyz, 2).any()


@pytest.mark.parametrize('unit', [0.3048, 0.1])
def test_feet_and_decimeters_are_a_doubt(unit):
    assert may_be_hall(cloud() / unit) and not may_be_hall(cloud())
    assert plausible_units(cloud() / unit) == [1.0]


def test_no_unit_makes_a_room_of_a_field_or_a_thing():
    rng = np.random.default_rng(0)
    field = rng.uniform(-100, 100, (5000, 3)) * [1, 1, 0.01]
    assert plausible_units(field) == plausible_units(cloud() * 0.05) == []
