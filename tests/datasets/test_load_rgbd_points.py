"""Tests of points from depth images and their regions."""
import numpy as np
import pytest

from sam3d_plugin.datasets.transforms.load_rgbd_points import (LoadRGBDPoints,
                                                               pixel_regions)
from sam3d_plugin.ops.lifting import depth_regions
from sam3d_plugin.ops.projection import transform
from sam3d_plugin.ops.scene_origin import find_origin
from sam3d_plugin.store.posed_images import Cameras, PosedImages
from sam3d_plugin.store.region_maps import RegionMaps
from tests.datasets import frame_store


def load(root, scan='alpha', frame='00000', **options):
    results = dict(
        scan=scan,
        frame=frame,
        posed_images=str(root / 'posed_images'),
        region_maps=str(root / 'region_maps'))
    return LoadRGBDPoints(**options).transform(results)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return frame_store.write_data_set(tmp_path_factory.mktemp('frames'))


def reference(root, scan, frame):
    """Points of all pixels in the world, with ids, as lifting has them."""
    images = PosedImages(root / 'posed_images')
    cameras = images.cameras(scan)
    xyz, ids, _ = depth_regions(
        images.read_depth(scan, frame),
        RegionMaps(root / 'region_maps').read(scan,
                                              frame), cameras.depth_intrinsics,
        cameras.depth_to_color, cameras.color_intrinsics)
    return transform(xyz, images.read_pose(scan, frame)), ids


def sort_rows(rows):
    return rows[np.lexsort(rows.round(4).T)]


@pytest.mark.parametrize('two_cameras', [False, True])
def test_all_pixels_are_those_of_lifting(tmp_path, two_cameras):
    cameras = None
    if two_cameras:
        shift = np.eye(4)
        shift[:3, 3] = 0.21, 0.013, -0.007
        intrinsics = frame_store.INTRINSICS * [[1.1], [1.07], [1]]
        cameras = Cameras(intrinsics, frame_store.INTRINSICS, shift, False)
    frame_store.write_frames(tmp_path, cameras)
    frame_store.write_region_maps(tmp_path)
    points = load(tmp_path, num_points=None, center='none')['points']
    assert points.attribute_dims == dict(region=3)
    xyz, ids = reference(tmp_path, 'alpha', '00000')
    expected = np.column_stack([xyz, ids])
    assert (ids == 0).any() == two_cameras
    np.testing.assert_allclose(
        sort_rows(points.tensor.numpy()), sort_rows(expected), atol=1e-5)


def test_points_without_a_colour_pixel_are_in_no_region(root):
    shift = np.eye(4)
    shift[0, 3] = 100
    cameras = Cameras(frame_store.INTRINSICS, frame_store.INTRINSICS, shift,
                      False)
    xyz = np.array([[0, 0, 2.0]])
    region_map = np.full((4, 4), 7, np.uint16)
    assert pixel_regions(xyz, np.array([0]), region_map, cameras) == [0]


def test_sampling_is_without_repetition_while_pixels_last(root):
    total = frame_store.HEIGHT * (frame_store.WIDTH - 4)
    points = load(root, num_points=total)['points'].tensor
    assert len(points.unique(dim=0)) == total
    points = load(root, num_points=total + 1)['points'].tensor
    assert len(points) == total + 1 > len(points.unique(dim=0))


def test_points_are_upright_and_centred(root):
    world = load(root, num_points=None, center='none')['points'].coord.numpy()
    # The camera looks along y from (3, -2, 0), over 2 metres of depth.
    assert np.allclose(world[:, 1], 0)
    floor = load(root, num_points=None)['points'].coord.numpy()
    assert np.allclose(floor[:, :2].mean(0), 0, atol=1e-5)
    assert 0 <= (floor[:, 2] < -1e-6).mean() < 0.01
    mean = load(root, num_points=None, center='mean')['points'].coord.numpy()
    assert np.allclose(mean.mean(0), 0, atol=1e-5)
    for moved in (floor, mean):
        assert np.allclose(np.ptp(moved - world, axis=0), 0, atol=1e-5)


def test_origin_of_the_floor_ignores_stray_points():
    xyz = np.random.default_rng(0).uniform(0, 1, (1000, 3))
    xyz[:9, 2] = -50
    origin = find_origin(xyz, 'floor', 0.99)
    assert 0 <= origin[2] < 0.01
    np.testing.assert_allclose(origin[:2], xyz[:, :2].mean(0))
    # numpy's percentile lies between the neighbours of the same place.
    assert origin[2] <= np.percentile(xyz[:, 2], 0.99) + 1e-9


def test_unknown_center_is_refused():
    with pytest.raises(ValueError, match="center 'top' is unknown"):
        LoadRGBDPoints(center='top')
