"""Tests of points from depth images and their regions."""
import cv2
import numpy as np
import pytest
import torch
from mmdet3d.datasets import GlobalRotScaleTrans, RandomFlip3D

from sam3d_plugin.datasets import LoadFrameImage
from sam3d_plugin.datasets.transforms.load_rgbd_points import (LoadRGBDPoints,
                                                               seen_values)
from sam3d_plugin.ops.image_sampling import locate_points, sample_image
from sam3d_plugin.ops.lifting import depth_regions
from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.ops.scene_origin import find_origin
from sam3d_plugin.store.posed_images import Cameras, PosedImages, encode_depth
from sam3d_plugin.store.region_maps import RegionMaps
from tests.datasets import frame_store


def load(root, scan='alpha', frame='00000', **options):
    results = dict(data_root=str(root), scan=scan, frame=frame)
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


def two_cameras():
    """A color camera of another place and focal length."""
    shift = np.eye(4)
    shift[:3, 3] = 0.21, 0.013, -0.007
    intrinsics = frame_store.INTRINSICS * [[1.1], [1.07], [1]]
    return Cameras(intrinsics, frame_store.INTRINSICS, shift, False)


@pytest.mark.parametrize('cameras', [None, two_cameras()])
def test_all_pixels_are_those_of_lifting(tmp_path, cameras):
    frame_store.write_frames(tmp_path, cameras)
    frame_store.write_region_maps(tmp_path)
    points = load(tmp_path, num_points=None, center='none')['points']
    assert points.attribute_dims == dict(region=3)
    xyz, ids = reference(tmp_path, 'alpha', '00000')
    expected = np.column_stack([xyz, ids])
    assert (ids == 0).any() == (cameras is not None)
    np.testing.assert_allclose(
        sort_rows(points.tensor.numpy()), sort_rows(expected), atol=1e-5)


def test_points_without_a_colour_pixel_are_in_no_region(root):
    shift = np.eye(4)
    shift[0, 3] = 100
    cameras = Cameras(frame_store.INTRINSICS, frame_store.INTRINSICS, shift,
                      False)
    xyz = np.array([[0, 0, 2.0]])
    region_map = np.full((4, 4), 7, np.uint16)
    assert seen_values(xyz, np.array([0]), region_map, cameras) == [0]
    colors = np.full((4, 4, 3), 7, np.uint8)
    assert not seen_values(xyz, np.array([0]), colors, cameras).any()


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
    origin = find_origin(xyz, 'floor')
    assert 0 <= origin[2] < 0.01
    np.testing.assert_allclose(origin[:2], xyz[:, :2].mean(0))
    # numpy's percentile lies between the neighbours of the same place.
    assert origin[2] <= np.percentile(xyz[:, 2], 0.99) + 1e-9


def test_unknown_center_is_refused():
    with pytest.raises(ValueError, match="center 'top' is unknown"):
        LoadRGBDPoints(center='top')


def write_ramp(root, cameras=None):
    """Frames whose color images tell their own pixels."""
    frame_store.write_frames(root, cameras)
    v, u = np.indices((frame_store.HEIGHT, frame_store.WIDTH))
    image = np.stack([4 * u, 4 * v, 0 * u + 9], axis=-1).astype(np.uint8)
    (root / 'posed_images' / 'alpha' / '00000.jpg').write_bytes(
        cv2.imencode('.png', image[..., ::-1])[1].tobytes())
    return image


def test_columns_have_names_and_a_fixed_order(root):
    points = load(root, num_points=50, columns=('color', 'pixel'))['points']
    assert points.attribute_dims == dict(pixel=3, color=[4, 5, 6])
    assert points.color.shape == (50, 3)
    points = load(
        root, columns=('origin', 'pixel', 'region', 'color'))['points']
    assert points.attribute_dims == dict(
        region=3, pixel=4, origin=[5, 6, 7], color=[8, 9, 10])
    assert points.tensor.shape[1] == points.points_dim == 11
    with pytest.raises(ValueError, match="'uv'; choose from region, pixel"):
        LoadRGBDPoints(columns=('uv', ))


def test_origin_and_pixel_survive_augmentation(root):
    results = load(root, columns=('pixel', 'origin'))
    results = RandomFlip3D(
        sync_2d=False, flip_ratio_bev_horizontal=1.0)(
            GlobalRotScaleTrans([1, 2], [1.5, 1.6])(results))
    points = results['points']
    origin = points.tensor[:, points.attribute_dims['origin']].numpy()
    pixels = points.tensor[:, points.attribute_dims['pixel']].numpy()
    assert not np.allclose(points.coord.numpy(), origin, atol=0.1)
    images = PosedImages(root / 'posed_images')
    expected = back_project(
        images.read_depth('alpha', '00000'),
        images.cameras('alpha').depth_intrinsics, pixels.astype(int))
    expected = transform(expected, images.read_pose('alpha', '00000'))
    np.testing.assert_allclose(origin, expected, atol=1e-5)


@pytest.mark.parametrize('cameras', [None, two_cameras()])
def test_colors_are_those_of_the_color_pixel(tmp_path, cameras):
    write_ramp(tmp_path, cameras)
    points = load(tmp_path, columns=('origin', 'color'))['points'].tensor
    image = image_of(tmp_path)
    uv = project_origins(points[:, 3:6].numpy(), image)
    is_seen = ((uv > -0.5) & (uv < [63.5, 47.5])).all(1)
    assert is_seen.all() == (cameras is None)
    expected = np.column_stack([4 * np.floor(uv + .5), np.full(len(uv), 9)])
    expected[~is_seen] = 0
    np.testing.assert_array_equal(points[:, 6:].numpy(), expected)


def image_of(root, **options):
    results = dict(data_root=str(root), scan='alpha', frame='00000')
    return LoadFrameImage(**options).transform(results)


def project_origins(origins, image, kind='color'):
    """u, v of world points by what LoadFrameImage tells of the camera."""
    camera = origins @ image[f'{kind}_pose'][:3, :3].T
    camera = (camera + image[f'{kind}_pose'][:3, 3]).astype(float)
    homogeneous = camera @ image[f'{kind}_intrinsics'].T
    # Positions fall on pixel centers; a rounding error must not move one.
    return (homogeneous[:, :2] / homogeneous[:, 2:]).round(3)


def test_depth_image_shows_the_points(root):
    points = load(root, columns=('pixel', 'origin'))['points'].tensor.numpy()
    image = image_of(root, kind='depth')
    assert image['depth_image'].shape == (1, 48, 64)
    assert image['depth_image'].dtype == np.float32
    uv = project_origins(points[:, 4:], image, 'depth')
    np.testing.assert_allclose(uv[:, 1] * 64 + uv[:, 0], points[:, 3])
    assert (
        image['depth_image'].reshape(-1)[points[:, 3].astype(int)] == 2).all()


@pytest.mark.parametrize('cameras', [None, two_cameras()])
def test_a_resized_image_shows_the_same_points_at_rescaled_pixels(
        tmp_path, cameras):
    ramp = write_ramp(tmp_path, cameras)
    origins = load(tmp_path, columns=('origin', ))['points'].tensor[:, 3:]
    full, half = image_of(tmp_path), image_of(tmp_path, size=(24, 32))
    np.testing.assert_array_equal(full['color_image'], ramp.transpose(2, 0, 1))
    assert half['color_image'].shape == (3, 24, 32)
    # A pixel of half the size is the mean of four; centers move by 0.5.
    np.testing.assert_array_equal(half['color_image'][0, 0],
                                  8 * np.arange(32) + 2)
    expected = (project_origins(origins.numpy(), full) + .5) / 2 - .5
    np.testing.assert_allclose(
        project_origins(origins.numpy(), half), expected, atol=2e-3)


@pytest.mark.parametrize('cameras', [None, two_cameras()])
def test_an_image_shows_augmented_points_where_they_were(tmp_path, cameras):
    """The ramp has their pixel, whatever happened to points and size."""
    write_ramp(tmp_path, cameras)
    results = load(tmp_path, num_points=500, columns=('origin', ))
    results = RandomFlip3D(
        sync_2d=False, flip_ratio_bev_horizontal=1.0)(
            GlobalRotScaleTrans([1, 2], [1.5, 1.6])(results))
    origins = results['points'].tensor[None, :, 3:]
    found = []
    for size in (None, (24, 32)):
        image = {
            key: torch.as_tensor(value)[None]
            for key, value in image_of(tmp_path, size=size).items()
            if key.startswith('color')
        }
        pixels = image['color_image']
        uv, is_seen = locate_points(origins, image['color_pose'],
                                    image['color_intrinsics'],
                                    pixels.shape[2:])
        assert is_seen.all() == (cameras is None) and is_seen.any()
        found.append((sample_image(pixels, uv, pixels.shape[2:]), is_seen, uv))
    (full, is_seen, uv), (half, *_) = found
    is_inner = is_seen & ((uv > 1) & (uv < uv.new_tensor([62, 46]))).all(-1)
    torch.testing.assert_close(
        full[is_inner][:, :2], 4 * uv[is_inner], atol=1e-3, rtol=0)
    torch.testing.assert_close(
        half[is_inner][:, :2], 4 * uv[is_inner], atol=.1, rtol=0)


def test_nearest_depth_is_never_a_mean(tmp_path):
    frame_store.write_frames(tmp_path)
    depth = np.full((48, 64), 1000, np.uint16)
    depth[:, 31:] = 3000
    (tmp_path / 'posed_images/alpha/00000.png').write_bytes(
        encode_depth(depth))
    image = image_of(tmp_path, kind='depth', size=(13, 17))['depth_image']
    assert set(image.reshape(-1).tolist()) == {1.0, 3.0}


def test_unknown_kind_of_image_is_refused():
    with pytest.raises(ValueError, match="'infrared'.*color or depth"):
        LoadFrameImage(kind='infrared')
