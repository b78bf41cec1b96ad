import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.preparation.running.runs import run_step
from sam3d_plugin.preparation.sources.sunrgbd import infos as sun_infos
from sam3d_plugin.preparation.sources.sunrgbd.infos import (check_totals,
                                                            write_infos)
from sam3d_plugin.preparation.sources.sunrgbd.official import unrotate_depth
from sam3d_plugin.preparation.sources.sunrgbd.scan import SunBox, fit_rotation
from sam3d_plugin.preparation.sources.sunrgbd.sources import open_source
from sam3d_plugin.preparation.sources.sunrgbd.step import SunRGBDStep
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from tests.preparation.sources.sunrgbd.prepared import (HERE, prepare,
                                                        read_infos)

FORMS = ('official', 'trainval')


def read_points(out, scan):
    return np.fromfile(out / f'points/{scan}.bin', '<f4').reshape(-1, 6)


def assert_close(found, expected):
    """Equal structures; numbers to the digits of label and calib files."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_close(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected):
            assert_close(*pair)
    else:
        assert found == pytest.approx(
            expected, rel=1e-4, abs=1e-3) if (isinstance(
                expected, float)) else found == expected


@pytest.mark.parametrize('form', FORMS)
def test_points_equal_the_matlab_scripts(write, scans, tmp_path, form):
    write('trainval')
    write('official')
    report = prepare(tmp_path / form, tmp_path / 'out', num_points=0)
    assert report.made == 3 and not report.skipped
    for scan in scans:
        raw = loadmat(tmp_path / f'trainval/depth/{scan.name}.mat')['instance']
        points = read_points(tmp_path / 'out', scan.name)
        np.testing.assert_allclose(points, raw, atol=2e-6)


@pytest.mark.parametrize('form', FORMS)
def test_frames_give_depth_and_points_back(write, scans, tmp_path, form):
    write(form)
    prepare(tmp_path / form, tmp_path / 'out', num_points=0)
    frames = PosedImages(tmp_path / 'out/posed_images')
    assert frames.scans() == [scan.name for scan in scans]
    for scan in scans:
        frame = frames.read(scan.name, '00000')
        assert np.array_equal(np.round(1000 * frame.depth), scan.depth)
        path = tmp_path / f'out/posed_images/{scan.name}/00000.jpg'
        assert path.read_bytes() == scan.color
        assert frame.cameras.is_single
        columns, rows = np.nonzero(frame.depth.T)
        pixels = rows * frame.depth.shape[1] + columns
        xyz = transform(
            back_project(
                frame.depth.astype(float), frame.cameras.depth_intrinsics,
                pixels), frame.pose)
        points = read_points(tmp_path / 'out', scan.name)
        rgb = frame.color.reshape(-1, 3)[pixels] / 255
        np.testing.assert_allclose(
            np.column_stack([xyz, rgb]), points, atol=1e-5)


def test_both_forms_give_the_same_infos(write, tmp_path):
    for form in FORMS:
        prepare(write(form), tmp_path / f'{form}_out')
    for name in ('infos_train', 'infos_val', 'v1_infos_train', 'v1_infos_val'):
        official, trainval = [
            read_infos(tmp_path / f'{form}_out', f'sunrgbd_{name}')
            for form in FORMS
        ]
        assert_close(trainval, official)


def test_infos_hold_the_ten_classes_in_mmdet3ds_form(write, scans, tmp_path):
    prepare(write('official'), tmp_path / 'out')
    val = read_infos(tmp_path / 'out', 'sunrgbd_infos_val')
    train = read_infos(tmp_path / 'out', 'sunrgbd_infos_train')
    old = read_infos(tmp_path / 'out', 'sunrgbd_v1_infos_train')
    assert [i['lidar_points']['lidar_path'] for i in val] == ['000001.bin']
    assert [i['lidar_points']['lidar_path']
            for i in train] == ['000002.bin', '000003.bin']
    # A lamp is none of the ten classes.
    assert [[o['bbox_label_3d'] for o in i['instances']]
            for i in train] == [[0], [0, 7]]
    assert [len(i['instances']) for i in old] == [1, 1]
    box = train[1]['instances'][1]
    assert box['bbox'] == [5, 4.5, 15, 12.75]
    assert box['bbox_3d'] == pytest.approx(
        [1.0, 3.0, -0.4, 1.8, 0.8, 0.6, 2.3])
    assert set(train[1]) == {'lidar_points', 'images', 'instances'}


def test_depth2img_projects_to_pixels_counted_from_one(write, tmp_path):
    prepare(write('official'), tmp_path / 'out', num_points=0)
    info = read_infos(tmp_path / 'out', 'sunrgbd_infos_val')[0]
    camera = info['images']['CAM0']
    points = read_points(tmp_path / 'out', '000001')
    u, v, z = np.array(camera['depth2img']) @ points[:, :3].T.astype(float)
    pixels = np.column_stack([u / z, v / z])
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)
    columns, rows = np.round(pixels).astype(int).T - 1
    color = np.asarray(
        Image.open(tmp_path / 'out/sunrgbd_trainval/image/'
                   '000001.jpg'))
    assert color.shape[:2] == (camera['height'], camera['width'])
    np.testing.assert_allclose(
        color[rows, columns] / 255, points[:, 3:], atol=1e-6)


def test_box_turns_its_length_into_the_direction():
    angle = 0.7
    direction = np.array([np.cos(angle), np.sin(angle)])
    box = SunBox('bed', np.zeros(4), np.array([1, 2, 0.5]),
                 np.array([-0.3, 0.9, 0.4]), direction).box
    tip = box[:2] + 0.9 * direction
    turn = np.array([[np.cos(box[6]), np.sin(box[6])],
                     [-np.sin(box[6]), np.cos(box[6])]])
    np.testing.assert_allclose(
        turn @ (tip - box[:2]), [box[3] / 2, 0], atol=1e-12)
    assert box[3:6] == pytest.approx([1.8, 0.6, 0.8])


def test_depth_bits_are_turned_back_and_capped_at_eight_metres():
    millimeters = np.array([[0, 1, 7999, 8000], [8001, 8191, 8192, 65535]],
                           dtype=np.uint16)
    turned = (millimeters << 3) | (millimeters >> 13)
    assert np.array_equal(
        unrotate_depth(turned, 'd'), np.minimum(millimeters, 8000))
    with pytest.raises(FrameError, match='no pixel with depth'):
        unrotate_depth(np.zeros((2, 2), np.uint16), 'd')
    with pytest.raises(FrameError, match='16-bit depth image: uint8'):
        unrotate_depth(np.ones((2, 2), np.uint8), 'd')


def test_rotation_is_found_from_points():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    points = rng.normal(size=(50, 3))
    np.testing.assert_allclose(
        fit_rotation(points, points @ turn.T), turn, atol=1e-12)


def test_sampling_is_seeded_and_repeats_points_of_small_scans(write, tmp_path):
    source = write('trainval')
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        prepare(source, tmp_path / name, num_points=1000, seed=seed)
    a, b, c = [read_points(tmp_path / n, '000002') for n in 'abc']
    raw = loadmat(source / 'depth/000002.mat')['instance']
    assert a.shape == (1000, 6) and len(raw) < 1000
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    assert {row.tobytes() for row in a} <= {row.tobytes() for row in raw}


def test_running_again_keeps_everything_that_is_whole(write, tmp_path):
    source = write('official')
    prepare(source, tmp_path / 'out')
    manifest = (tmp_path / 'out/manifest.json').read_bytes()
    report = prepare(source, tmp_path / 'out')
    assert (report.made, report.kept) == (0, 3)
    assert (tmp_path / 'out/manifest.json').read_bytes() == manifest
    points = tmp_path / 'out/points/000002.bin'
    points.write_bytes(points.read_bytes()[:-1])
    assert prepare(source, tmp_path / 'out').made == 1
    assert (tmp_path / 'out/manifest.json').read_bytes() == manifest


def test_other_settings_are_refused(write, tmp_path):
    source = write('trainval')
    prepare(source, tmp_path / 'out', num_points=10)
    with pytest.raises(StoreError, match='num_points 10, now 20'):
        prepare(source, tmp_path / 'out', num_points=20)


def test_infos_name_region_files_that_exist(write, tmp_path):
    source = write('trainval')
    prepare(source, tmp_path / 'out')
    (tmp_path / 'out/regions').mkdir()
    (tmp_path / 'out/regions/000003.npz').write_bytes(b'')
    prepare(source, tmp_path / 'out')
    train = read_infos(tmp_path / 'out', 'sunrgbd_infos_train')
    assert [i.get('pts_region_path') for i in train] == [None, '000003.npz']


def test_totals_are_those_of_the_release(write, monkeypatch, tmp_path):
    check_totals(dict(train=5285, val=5050), 'DIR', partial=False)
    with pytest.raises(
            StoreError,
            match='^DIR has 2 train and 1 val scans, '
            'not 5285 train and 5050 val; .* --partial'):
        check_totals(dict(train=2, val=1), 'DIR', partial=False)
    with pytest.raises(StoreError, match='DIR has no scan'):
        check_totals(dict(train=0, val=0), 'DIR', partial=True)
    # A skipped scan is missed at the end, too.
    source = write('trainval')
    (source / 'depth/000003.mat').write_bytes(b'')
    monkeypatch.setattr(sun_infos, 'TOTALS', dict(train=2, val=1))
    step = SunRGBDStep(open_source(source))
    run_step(step, tmp_path / 'out', HERE)
    with pytest.raises(StoreError, match='has 1 train and 1 val scans'):
        write_infos(step.source, Store(tmp_path / 'out'), partial=False)


def test_without_lists_the_first_5050_are_val(write):
    source = write('trainval')
    for split in ('train', 'val'):
        (source / f'{split}_data_idx.txt').unlink()
    (source / 'depth/000003.mat').rename(source / 'depth/005051.mat')
    assert open_source(source).splits() == dict(
        train=['005051'], val=['000001', '000002'])


def test_partial_release_leaves_out_what_is_not_unzipped(write):
    source = write('official')
    for path in source.glob('SUNRGBD/kv1/NYUdata/NYU000002/depth_bfx/*'):
        path.unlink()
    assert open_source(source).splits()['train'] == ['000002', '000003']
    splits = open_source(source, partial=True).splits()
    assert splits == dict(train=['000003'], val=['000001'])


def test_box_without_rectangle_of_its_class_is_left_out_and_counted(
        write, tmp_path):
    source = write('official')
    path = source / 'SUNRGBDMeta2DBB_v2.mat'
    content = loadmat(path)
    # In MATLAB: SUNRGBDMeta2DBB(3).groundtruth2DBB(2).classname = 'chair'
    rectangles = content['SUNRGBDMeta2DBB'][0, 2]['groundtruth2DBB']
    rectangles[0, 1]['classname'] = 'chair'
    savemat(path, dict(SUNRGBDMeta2DBB=content['SUNRGBDMeta2DBB']))
    step = SunRGBDStep(open_source(source))
    run_step(step, tmp_path / 'out', HERE)
    lines = write_infos(step.source, Store(tmp_path / 'out'), partial=True)
    assert lines[0] == ('sunrgbd_infos_train.pkl: 2 scans, 3 boxes; 1 boxes '
                        'without a 2D box are skipped')
    labels = step.source.labels('000003')
    assert [box.name for box in labels.boxes['v2']] == ['bed', 'night_stand']
    assert labels.incomplete == dict(v2=1, v1=0)
