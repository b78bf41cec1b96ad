import numpy as np
import pytest

from sam3d_plugin.synthrooms import sensor
from sam3d_plugin.synthrooms.camera_path import look, share_frames
from sam3d_plugin.synthrooms.layout import Room
from sam3d_plugin.synthrooms.materials import CLASS_MATERIALS, FAMILIES
from sam3d_plugin.synthrooms.ray_casting import RayCaster, pixel_directions
from sam3d_plugin.synthrooms.rendering import View
from sam3d_plugin.synthrooms.sensor import DepthSensor, observe
from sam3d_plugin.synthrooms.textures import PATTERNS, Material, bake

TRIANGLE = np.array([[[0, 0, 2], [1, 0, 2], [0, 1, 2]]], np.float32)


def test_rays_tell_where_they_hit():
    origins = np.array([[0.5, 0.25, 0], [5, 5, 0]], np.float32)
    hits = RayCaster(TRIANGLE).cast(origins, np.float32([[0, 0, 1]] * 2))
    assert hits.face.tolist() == [0, -1]
    assert hits.distance[0] == pytest.approx(2)
    # Weights of the second and the third corner.
    assert (hits.u[0], hits.v[0]) == pytest.approx((0.5, 0.25))


def test_only_what_lies_between_blocks():
    origins = np.float32([[0.2, 0.2, 0]] * 3)
    ends = np.float32([[0, 0, 1.9], [0, 0, 2.1], [0, 0, -5]])
    assert RayCaster(TRIANGLE).is_blocked(
        origins, ends).tolist() == [False, True, False]


def test_rays_through_pixels_project_back():
    intrinsics = np.array([[50, 0, 15.5], [0, 50, 11.5], [0, 0, 1]])
    rays = pixel_directions(intrinsics, 24, 32)
    uv = rays @ intrinsics.T
    assert np.allclose(uv[5 * 32 + 7], (7, 5, 1))


def test_a_level_camera_has_its_axes_right_down_forward():
    pose = look(np.zeros(3), yaw=0.0, pitch=0.0, roll=0.0)
    assert np.allclose(pose[:3, :3].T, [[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    tilted = look(np.zeros(3), 1.0, -0.5, 0.2)[:3, :3]
    assert np.allclose(tilted @ tilted.T, np.eye(3))
    assert np.linalg.det(tilted) == pytest.approx(1)
    assert tilted[2, 2] < 0  # looks down


def test_frames_are_shared_by_size():
    rooms = [Room((0, 0, 4, 4), 2.5, False), Room((4, 0, 6, 2), 2.5, True)]
    assert share_frames(rooms, 12) == [8, 4]
    assert sum(share_frames(rooms, 7)) == 7


def flat_view(depth, incidence=1.0, gloss=0.0, is_shaded=False):
    shape = (120, 160)
    return View(
        np.full(shape, depth, np.float32), np.ones(shape, np.uint16),
        np.full(shape, incidence, np.float32), np.full(shape, gloss,
                                                       np.float32),
        np.full(shape, is_shaded))


def test_noise_of_depth_grows_with_the_square_of_the_distance():
    rng = np.random.default_rng(0)
    spreads = []
    for depth in (1.0, 4.0):
        image, _ = observe(rng, flat_view(depth), DepthSensor())
        measured = image[image > 0] / 1000
        assert np.median(measured) == pytest.approx(depth, abs=0.02)
        spreads.append(measured.std())
    assert spreads[0] < 0.006 and 0.015 < spreads[1] < 0.06
    assert sensor.noise_deviation(
        np.array(4.0)) > 10 * sensor.noise_deviation(np.array(1.0))


@pytest.mark.parametrize('view, share', [
    (flat_view(2.0), 0.0),
    (flat_view(0.2), 1.0),
    (flat_view(6.0), 1.0),
    (flat_view(2.0, is_shaded=True), 1.0),
    (flat_view(2.0, gloss=0.95), 0.5),
    (flat_view(2.0, incidence=0.1), 0.7),
])
def test_holes_are_where_the_sensor_is_blind(view, share):
    image, _ = observe(np.random.default_rng(0), view, DepthSensor())
    assert (image == 0).mean() == pytest.approx(share, abs=0.16)


@pytest.mark.parametrize('kind', sorted(PATTERNS))
def test_textures_are_baked_alike(kind):
    material = Material(kind, (0.6, 0.4, 0.3), (0.2, 0.3, 0.6), seed=4)
    assert np.array_equal(bake(material), bake(material))
    assert bake(material).std() > 0


def test_classes_share_materials():
    users = {
        family: {
            name
            for name, parts in CLASS_MATERIALS.items()
            if family in parts.get('body', {})
        }
        for family in FAMILIES
    }
    assert len(users['wood']) >= 6 and len(users['white_paint']) >= 6
    assert users['porcelain'] >= {'toilet', 'sink', 'bathtub'}
    assert users['leather'] == {'sofa', 'chair'}
    used = {
        family
        for parts in CLASS_MATERIALS.values()
        for part in parts.values()
        for family in part
    }
    assert used <= set(FAMILIES)
