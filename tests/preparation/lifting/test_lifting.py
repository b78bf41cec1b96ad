"""Regions of images on points: depth test, cameras, slow references."""
from dataclasses import replace

import numpy as np
import pytest

from sam3d_plugin.ops.lifting import lift_regions, projection_matrix
from sam3d_plugin.ops.projection import transform
from sam3d_plugin.preparation.lifting.lifting import frame_points, see_points
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import Cameras
from tests.preparation.lifting_scene import (HEIGHT, INTRINSICS, WIDTH,
                                             look_at, make_frame, scan_points,
                                             single_camera)

POSE = look_at((3, 0.5, 1.8), (0, 0, 0.3))


def two_cameras():
    """A colour camera of twice the resolution, 5 cm to the right."""
    color = INTRINSICS * 2
    color[2, 2] = 1
    shift = np.eye(4)
    shift[:3, 3] = [-0.05, 0.01, 0.02]
    return Cameras(color, INTRINSICS, shift, False)


def lift_slowly(xyz, frame, region_map, tolerance):
    """Point by point, in words."""
    cameras = frame.cameras
    ids = []
    for point in xyz:
        seen = np.linalg.inv(frame.pose) @ [*point, 1]
        cell = find_pixel(cameras.depth_intrinsics, seen, frame.depth.shape)
        if (cell is None or frame.depth[cell] == 0
                or abs(frame.depth[cell] - seen[2]) >= tolerance):
            ids.append(0)
            continue
        other = cameras.depth_to_color @ seen
        cell = find_pixel(cameras.color_intrinsics, other, region_map.shape)
        ids.append(0 if cell is None else region_map[cell])
    return np.array(ids)


def find_pixel(intrinsics, point, shape):
    if point[2] <= 0:
        return None
    u, v = (intrinsics @ point[:3] / point[2])[:2]
    column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
    is_inside = 0 <= row < shape[0] and 0 <= column < shape[1]
    return (row, column) if is_inside else None


@pytest.mark.parametrize('cameras, shape', [
    (single_camera(), (HEIGHT, WIDTH)),
    (two_cameras(), (2 * HEIGHT, 2 * WIDTH)),
])
def test_scan_points_equal_the_slow_reference(cameras, shape):
    frame, region_map = make_frame(POSE, cameras=cameras, shape=shape)
    xyz, instances = scan_points()
    ids, _ = see_points(xyz, frame, region_map)
    assert np.array_equal(ids, lift_slowly(xyz, frame, region_map, 0.05))
    is_covered = ids > 0
    assert 0.3 < is_covered.mean() < 0.8
    # Only at outlines can a point get the region of what lies beside it.
    assert (ids == instances)[is_covered].mean() > 0.97


@pytest.mark.parametrize('cameras, shape', [
    (single_camera(), (HEIGHT, WIDTH)),
    (two_cameras(), (2 * HEIGHT, 2 * WIDTH)),
])
def test_frame_points_equal_the_slow_reference(cameras, shape):
    frame, region_map = make_frame(POSE, cameras=cameras, shape=shape)
    xyz, ids = frame_points(frame, region_map)
    assert xyz.dtype == np.float32 and ids.dtype == np.uint16
    assert len(xyz) == np.count_nonzero(frame.depth)
    # A point of the frame lies in its own depth pixel, at its depth.
    assert np.array_equal(ids, lift_slowly(xyz, frame, region_map, 1e-3))
    in_camera, same = frame_points(frame, region_map, in_world=False)
    assert np.array_equal(ids, same)
    assert np.allclose(transform(in_camera, POSE), xyz, atol=1e-5)


def test_one_camera_takes_the_same_pixel():
    frame, region_map = make_frame(POSE)
    _, ids = frame_points(frame, region_map)
    assert np.array_equal(ids, region_map[frame.depth > 0])


def test_hidden_points_get_nothing():
    frame, region_map = make_frame(look_at((0, -3, 0.4), (0, 3, 0.4)))
    # Front, inside and back of the ball in the middle, and the one behind.
    xyz = np.array([[0, -0.4, 0.4], [0, 0, 0.4], [0, 0.4, 0.4], [0, 2, 0.4]])
    ids, is_seen = see_points(xyz, frame, region_map)
    assert ids.tolist() == [6, 0, 0, 0]
    assert is_seen.tolist() == [True, False, False, False]
    loose, _ = see_points(xyz, frame, region_map, depth_tolerance=0.5)
    assert loose.tolist() == [6, 6, 0, 0]


def test_the_tolerance_is_exclusive_and_works_both_ways():
    depth = np.full((3, 3), 2, np.float32)
    region_map = np.arange(9, dtype=np.uint16).reshape(3, 3)
    projection = projection_matrix(
        np.eye(3) + [[0, 0, 1], [0, 0, 1], [0] * 3], np.eye(4))
    z = np.array([1.75, 1.76, 2, 2.24, 2.25])
    xyz = np.stack([0 * z, 0 * z, z], 1)
    ids, _ = lift_regions(xyz, depth, region_map, projection, None, 0.25)
    assert ids.tolist() == [0, 4, 4, 4, 0]


def test_points_behind_or_beside_the_camera_get_nothing():
    frame, region_map = make_frame(POSE)
    behind = transform(
        np.array([[0, 0, -2.0], [0, 0, 0], [1e9, 0, 2], [0, -9, 2],
                  [np.nan, 0, 2]]), POSE)
    ids, is_seen = see_points(behind, frame, region_map, depth_tolerance=9)
    assert not ids.any() and not is_seen.any()


def test_points_without_measured_depth_get_nothing():
    frame, region_map = make_frame(POSE)
    frame = replace(frame, depth=np.zeros_like(frame.depth))
    ids, is_seen = see_points(scan_points()[0], frame, region_map, 100)
    assert not ids.any() and not is_seen.any()
    assert frame_points(frame, region_map)[0].shape == (0, 3)


def test_points_outside_the_colour_image_get_nothing():
    frame, region_map = make_frame(POSE, cameras=two_cameras(), shape=(96, 60))
    xyz, instances = scan_points()
    ids, is_seen = see_points(xyz, frame, region_map)
    assert np.array_equal(ids, lift_slowly(xyz, frame, region_map, 0.05))
    whole, _ = make_frame(POSE)
    more = see_points(xyz, whole, np.ones((HEIGHT, WIDTH), np.uint16))[1]
    assert 0 < is_seen.sum() < more.sum()


def test_an_empty_map_leaves_points_seen_but_in_no_region():
    frame, region_map = make_frame(POSE)
    ids, is_seen = see_points(scan_points()[0], frame, 0 * region_map)
    assert not ids.any() and is_seen.any()
    assert not frame_points(frame, 0 * region_map)[1].any()


def test_no_points():
    frame, region_map = make_frame(POSE)
    ids, _ = see_points(np.zeros((0, 3), np.float32), frame, region_map)
    assert ids.shape == (0, ) and ids.dtype == np.uint16


def test_a_map_of_another_size_is_refused():
    frame, region_map = make_frame(POSE)
    for lift in (lambda m: frame_points(frame, m),
                 lambda m: see_points(np.zeros((1, 3)), frame, m)):
        with pytest.raises(FrameError, match='64x47'):
            lift(region_map[1:])
