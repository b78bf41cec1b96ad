import numpy as np
import pytest

from sam3d_plugin.ops.registration import color_pixels_of_depth

DEPTH_K = np.array([[58.5, 0, 31.5], [0, 58.5, 23.5], [0, 0, 1.0]])
COLOR_K = np.array([[105.0, 0, 64.2], [0, 104.0, 47.6], [0, 0, 1.0]])
COLOR_SHAPE = (96, 128)


def small_motion():
    matrix = np.eye(4)
    c, s = np.cos(0.03), np.sin(0.03)
    matrix[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    matrix[:3, 3] = [-0.12, 0.004, 0.01]
    return matrix


def rough_depth(seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.6, 4, (48, 64)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = 0
    return depth


def slow_pixels(depth, depth_k, motion, color_k, shape):
    """One pixel at a time, in the words of the pinhole model."""
    hits = {}
    for v, u in np.ndindex(depth.shape):
        z = float(depth[v, u])
        if z <= 0:
            continue
        ray = np.linalg.inv(depth_k) @ [u, v, 1]
        x, y, w = (motion @ [*(ray * z), 1])[:3]
        if w <= 0:
            continue
        column = int(np.floor(color_k[0, 0] * x / w + color_k[0, 2] + 0.5))
        row = int(np.floor(color_k[1, 1] * y / w + color_k[1, 2] + 0.5))
        if 0 <= row < shape[0] and 0 <= column < shape[1]:
            hits[v, u] = (row * shape[1] + column, w)
    return hits


def test_one_camera_is_the_identity_where_there_is_depth():
    depth = rough_depth()
    pixels = color_pixels_of_depth(depth, DEPTH_K, np.eye(4), DEPTH_K,
                                   depth.shape)
    own = np.arange(depth.size).reshape(depth.shape)
    assert pixels.dtype == np.int64
    assert np.array_equal(pixels, np.where(depth > 0, own, -1))


def test_projection_gives_the_identity_too():
    depth = rough_depth()
    almost = DEPTH_K * (1 + 1e-9)
    almost[2, 2] = 1
    pixels = color_pixels_of_depth(depth, DEPTH_K, np.eye(4), almost,
                                   depth.shape)
    own = np.arange(depth.size).reshape(depth.shape)
    assert np.array_equal(pixels, np.where(depth > 0, own, -1))


def test_two_cameras_agree_with_the_slow_reference():
    depth = rough_depth()
    expected = np.full(depth.shape, -1)
    hits = slow_pixels(depth, DEPTH_K, small_motion(), COLOR_K, COLOR_SHAPE)
    for place, (pixel, _) in hits.items():
        expected[place] = pixel
    pixels = color_pixels_of_depth(depth, DEPTH_K, small_motion(), COLOR_K,
                                   COLOR_SHAPE)
    assert len(hits) > 1500
    assert (expected[depth > 0] == -1).any()  # some leave the image
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize('value', [0.0, np.nan, np.inf, -1.0])
def test_pixels_without_depth_get_none(value):
    depth = np.full((4, 6), value, dtype=np.float32)
    for k in (DEPTH_K, COLOR_K):
        pixels = color_pixels_of_depth(depth, DEPTH_K, np.eye(4), k, (4, 6))
        assert (pixels == -1).all()


def test_points_behind_the_color_camera_get_none():
    depth = np.ones((48, 64), dtype=np.float32)
    behind = np.eye(4)
    behind[2, 3] = -2
    pixels = color_pixels_of_depth(depth, DEPTH_K, behind, COLOR_K,
                                   COLOR_SHAPE)
    assert (pixels == -1).all()
