"""Superpixels of rendered boxes, whose true regions are known."""
import pickle
from dataclasses import replace

import numpy as np
import pytest

from sam3d_plugin.ops import _frame_kernels as kernels
from sam3d_plugin.preparation.regions.generators.superpixel import (
    SuperpixelRegions, depth_in_color, surface_images, working_shape)
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import Cameras, RGBDFrame

H, W = 96, 128
K = np.array([[110., 0, 63.5], [0, 110., 47.5], [0, 0, 1]])


def plane_depth(normal, distance):
    """Depth of the plane normal . p = distance, seen by K."""
    v, u = np.mgrid[:H, :W]
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1],
                     np.ones((H, W))], -1)
    return (distance / (rays @ normal)).astype(np.float32)


def make_frame(color, depth, **cameras):
    single = dict(
        color_intrinsics=K,
        depth_intrinsics=K,
        depth_to_color=np.eye(4),
        is_single=True)
    return RGBDFrame('scan', '00000', color.astype(np.uint8), depth, np.eye(4),
                     Cameras(**{
                         **single,
                         **cameras
                     }))


@pytest.fixture
def room():
    """A floor and a wall of one colour, a box before it, a poster on it."""
    floor = plane_depth([0, 1., 0], 1.)
    floor[floor <= 0] = np.inf
    depth = np.minimum(floor, 3.)
    truth = np.where(floor < 3, 1, 2)
    color = np.full((H, W, 3), 150)
    color[10:30, 80:110] = (200, 60, 60)
    truth[10:30, 80:110] = 3
    depth[40:70, 20:50] = 1.6
    truth[40:70, 20:50] = 4
    noise = np.random.default_rng(0).normal(0, 2, color.shape)
    return make_frame(color + noise, depth), truth


def generate(frame, **options):
    return SuperpixelRegions(**options).generate([frame])[0]


def purity(ids, truth):
    counts = np.zeros((ids.max() + 1, truth.max() + 1), int)
    np.add.at(counts, (ids, truth), 1)
    return counts[1:].max(axis=1).sum() / ids.size


def test_regions_are_objects_where_colour_or_surface_tells(room):
    frame, truth = room
    ids = generate(frame)
    assert ids.dtype == np.uint16 and ids.shape == truth.shape
    assert set(np.unique(ids)) == set(range(1, ids.max() + 1))
    assert ids.max() < 12
    assert purity(ids, truth) > 0.97


def test_colour_alone_cannot_tell_what_depth_does(room):
    frame, truth = room
    flat = generate(replace(frame, depth=np.zeros_like(frame.depth)))
    # The poster is found, floor, wall and box are one.
    assert purity(flat, (truth == 3).astype(int)) > 0.98
    assert purity(flat, truth) < 0.85
    blind = generate(frame, depth_weight=0, normal_weight=0, turn=0, offset=0)
    assert purity(blind, truth) < 0.85


def test_holes_in_the_depth_do_not_become_regions(room):
    frame, truth = room
    depth = frame.depth.copy()
    depth[np.random.default_rng(1).random((H, W)) < 0.2] = 0
    ids = generate(replace(frame, depth=depth))
    assert ids.min() == 1 and ids.max() < 25
    assert purity(ids, truth) > 0.95


def test_the_same_frame_gives_the_same_bytes(room):
    frame, _ = room
    generator = SuperpixelRegions()
    first, second = generator.generate([frame, frame])
    copy = pickle.loads(pickle.dumps(generator))
    assert first.tobytes() == second.tobytes()
    assert copy.generate([frame])[0].tobytes() == first.tobytes()


def test_shares_bound_the_areas(room):
    frame, _ = room
    fine = generate(frame, threshold=0, scale=1, min_share=5e-4)
    coarse = generate(frame, threshold=0, scale=1, min_share=0.02)
    assert np.bincount(fine.ravel())[1:].min() >= 5e-4 * H * W
    assert np.bincount(coarse.ravel())[1:].min() >= 0.02 * H * W
    assert coarse.max() < fine.max()
    small = generate(frame, max_share=0.2)
    assert np.bincount(small.ravel())[1:].max() <= 0.2 * H * W
    assert (small == 0).any()


def test_nothing_left_is_an_error_of_the_frame(room):
    error = generate(room[0], min_share=1e-3, max_share=2e-3, threshold=1e9)
    assert isinstance(error, FrameError)
    assert str(error).startswith('scan/00000 has no region')


def test_long_images_are_segmented_smaller(room):
    frame, truth = room
    ids = generate(frame, long_side=64)
    assert ids.shape == (H, W)
    assert (ids[::2, ::2] == ids[1::2, 1::2]).all()
    assert purity(ids, truth) > 0.93
    assert working_shape((968, 1296), 640) == (478, 640)
    assert working_shape((968, 1296), None) == (968, 1296)
    assert working_shape((4, 2000), 100) == (1, 100)


def test_normals_of_a_slanted_plane_point_at_the_camera():
    normal = np.array([0.3, -0.2, 0.9])
    normal /= np.linalg.norm(normal)
    depth = plane_depth(normal, 2.)
    found = kernels.depth_normals(depth, K, 4, 2, 0.1)
    np.testing.assert_allclose(
        found[8:-8, 8:-8],
        np.broadcast_to(-normal, (H - 16, W - 16, 3)),
        atol=2e-3)
    depth[:] = 0
    assert not kernels.depth_normals(depth, K, 4, 2, 0.1).any()


def test_normals_keep_to_their_side_of_a_step():
    depth = np.full((H, W), 2., np.float32)
    depth[:, W // 2:] = 1.
    found = kernels.depth_normals(depth, K, 4, 2, 0.03)
    np.testing.assert_allclose(found[..., 2], -1, atol=1e-5)


def test_edges_reach_the_eight_neighbours_once():
    lab = np.random.default_rng(0).uniform(0, 9, (4, 5, 3)).astype('f4')
    none = np.zeros_like(lab)
    sources, targets, weights = kernels.pixel_edges(lab, none, none, 1., 1.)
    pairs = {tuple(sorted(pair)) for pair in zip(sources, targets)}
    assert len(pairs) == len(sources) == 4 * 4 + 3 * 5 + 2 * 3 * 4
    flat = lab.reshape(-1, 3)
    expected = np.linalg.norm(flat[sources] - flat[targets], axis=1)
    np.testing.assert_allclose(weights / 256, expected, atol=1 / 256)


def test_depth_of_another_camera_is_moved_into_the_colour_image(room):
    frame, truth = room
    moved = np.eye(4)
    moved[0, 3] = -0.05
    two = make_frame(
        frame.color, frame.depth, depth_to_color=moved, is_single=False)
    depth = depth_in_color(two, K, (H, W))
    # The box at 1.6 m moves by 110 * 0.05 / 1.6 = 3.4 pixels.
    assert depth[55, 18] == pytest.approx(1.6)
    assert depth[55, 49] > 2
    assert (depth[5:, :-5] > 0).mean() > 0.97
    xyz, _ = surface_images(two, (H, W))
    np.testing.assert_array_equal(xyz[..., 2], depth)
    same = make_frame(frame.color, frame.depth, is_single=False)
    np.testing.assert_array_equal(depth_in_color(same, K, (H, W)), frame.depth)


@pytest.mark.parametrize('options, message', [
    (dict(min_share=0.5, max_share=0.4), 'invalid'),
    (dict(max_share=2), 'invalid'),
    (dict(scale='big'), 'scale'),
    (dict(threshold=-1), 'threshold'),
    (dict(long_side=0), 'must be over 0'),
])
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SuperpixelRegions(**options)
