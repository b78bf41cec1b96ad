import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.ops.registration import color_pixels_of_depth
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages

LAYOUTS = ('7scenes', 'scannet', 'tum', 'icl')
NAMES = {
    '7scenes': ['00000', '00020', '00040'],
    'scannet': ['00000', '00025', '00050']
}


@pytest.fixture(scope='module')
def tool():
    path = Path(__file__).parents[4] / 'tools/preparation'
    spec = importlib.util.spec_from_file_location(
        'import_rgbd_folder', path / 'import_rgbd_folder.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tool, tmp_path):
    """Imports a recording as ``scan``; gives the exit status."""

    def call(root, *options, scan='scan'):
        return tool.main([
            '--source',
            str(root), '--out',
            str(tmp_path / 'out'), '--scan', scan, '--workers', '0', *options
        ])

    return call


def reader(tmp_path):
    return PosedImages(tmp_path / 'out/posed_images')


def skipped(tmp_path):
    items = Store(tmp_path / 'out/posed_images').record('scan').items
    return {n: r.reason for n, r in items.items() if r.status != 'ok'}


def world_points(frame):
    """World coordinates and colours of a frame's depth pixels."""
    cameras = frame.cameras
    colors = color_pixels_of_depth(frame.depth, cameras.depth_intrinsics,
                                   cameras.depth_to_color,
                                   cameras.color_intrinsics,
                                   frame.color.shape[:2]).reshape(-1)
    pixels = np.flatnonzero(colors >= 0)
    points = back_project(
        frame.depth.astype(float), cameras.depth_intrinsics, pixels)
    return (transform(points,
                      frame.pose), frame.color.reshape(-1, 3)[colors[pixels]])


def assert_colors_tell_the_place(frame, wall, share=0.9):
    points, colors = world_points(frame)
    assert len(points) > share * frame.depth.size
    error = np.abs(wall.color_of(points).astype(int) - colors)
    # JPEG, and the nearest pixel instead of the exact place.
    assert error.mean() < 2.5 and error.max() < 15


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_gives_the_frames_back(record, run, wall, tmp_path,
                                            layout):
    root, frames, options = record(layout)
    assert run(root, *options) == 0
    images = reader(tmp_path)
    names = images.frames('scan')
    assert names == NAMES.get(layout, ['00000', '00001', '00002'])
    for name, frame in zip(names, frames):
        found = images.read('scan', name)
        np.testing.assert_allclose(found.pose, frame.pose, atol=1e-6)
        unit = 1000 if layout in NAMES else 5000
        np.testing.assert_allclose(
            found.depth, frame.depth / unit, atol=0.00051)
        np.testing.assert_allclose(found.cameras.depth_intrinsics,
                                   wall.depth_k)
        assert_colors_tell_the_place(found, wall)
    assert images.cameras('scan').is_single == (layout != '7scenes')


def test_two_cameras_are_kept_apart(record, run, wall, tmp_path):
    color_k = np.array([[27.0, 0, 16.1], [0, 27.5, 11.1], [0, 0, 1]])
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler('y', 0.02).as_matrix()
    motion[:3, 3] = [-0.2, 0.01, 0.02]
    np.savetxt(tmp_path / 'motion.txt', motion)
    root, frames, _ = record('7scenes', color_k=color_k, depth_to_color=motion)
    assert run(root, '--color-intrinsics', '27,27.5,16.1,11.1',
               '--depth-to-color', str(tmp_path / 'motion.txt')) == 0
    found = reader(tmp_path).read('scan', '00020')
    np.testing.assert_allclose(found.cameras.color_intrinsics, color_k)
    np.testing.assert_allclose(found.cameras.depth_to_color, motion)
    np.testing.assert_allclose(found.pose, frames[1].pose)
    assert_colors_tell_the_place(found, wall, share=0.8)


def test_a_motion_in_millimeters_is_refused(record, run, tmp_path, capsys):
    """No depth pixel would have a color, nor a region."""
    root, _, camera = record('7scenes')
    assert run(root, *camera, '--depth-to-color=-25,0,0') == 1
    said = capsys.readouterr().err
    assert 'color camera sees no point' in said and 'meters' in said
    assert not (tmp_path / 'out').exists()
    assert run(root, *camera, '--depth-to-color=-0.025,0,0') == 0


def test_pose_of_the_color_camera_becomes_that_of_the_depth_camera(
        record, run, wall, tmp_path):
    motion = np.eye(4)
    motion[:3, 3] = [-0.2, 0.01, 0.02]
    frames = wall.make_frames(unit=5000, depth_to_color=motion)
    for frame in frames:
        frame.pose = frame.pose @ np.linalg.inv(motion)
    root, _, options = record('tum', frames)
    assert run(root, *options, '--depth-to-color=-0.2,0.01,0.02') == 0
    found = reader(tmp_path).read('scan', '00002')
    np.testing.assert_allclose(found.pose, wall.pose_of(2), atol=1e-6)
    assert_colors_tell_the_place(found, wall, share=0.8)


def test_jpegs_are_copied_as_they_are(record, run, tmp_path):
    root, frames, options = record('7scenes')
    (root / 'frame-000000.color.png').unlink()
    Image.fromarray(frames[0].color).save(
        root / 'frame-000000.color.jpg', quality=50)
    assert run(root, *options) == 0
    assert ((tmp_path / 'out/posed_images/scan/00000.jpg').read_bytes() == (
        root / 'frame-000000.color.jpg').read_bytes())


@pytest.mark.parametrize('layout', ['7scenes', 'tum'])
def test_values_without_depth_become_zero(record, run, wall, tmp_path, layout):
    frames = wall.make_frames(unit=5000 if layout == 'tum' else 1000)
    frames[0].depth[:5] = 65535
    frames[0].depth[5:7] = 0
    root, _, options = record(layout, frames)
    assert run(root, *options) == 0
    depth = reader(tmp_path).read_depth('scan', '00000')
    assert (depth[:7] == 0).all() and (depth[7:] > 0).all()


def test_stride_and_scale(record, run, tmp_path):
    root, frames, _ = record('scannet', unit=2000)
    assert run(root, '--stride', '2', '--depth-scale', '2000') == 0
    images = reader(tmp_path)
    assert images.frames('scan') == ['00000', '00050']
    np.testing.assert_allclose(
        images.read_depth('scan', '00050'), frames[2].depth / 2000, atol=.001)


@pytest.mark.parametrize('option', ['--up=-y', '--up=0,-2,0', '--down=y'])
@pytest.mark.parametrize('layout', ['scannet', 'icl'])
def test_world_is_turned_upright(record, run, tmp_path, layout, option):
    root, frames, options = record(layout)
    if layout == 'icl':  # its y axis is mirrored with the world
        option = {
            '--up=-y': '--up=y',
            '--up=0,-2,0': '--up=0,2,0',
            '--down=y': '--down=-y'
        }[option]
    assert run(root, *options, option) == 0
    images = reader(tmp_path)
    for name, frame in zip(images.frames('scan'), frames):
        pose = images.read_pose('scan', name)
        turn = pose @ np.linalg.inv(frame.pose)
        np.testing.assert_allclose(
            turn[:3, :3], [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-6)


def break_frame(root, frames, what, save):
    stem = root / 'frame-000020'
    color, depth, pose = (
        Path(f'{stem}.{end}')
        for end in ('color.png', 'depth.png', 'pose.txt'))
    if what in ('no colour', 'no depth', 'no pose'):
        dict(colour=color, depth=depth, pose=pose)[what[3:]].unlink()
    elif what == 'truncated colour':
        color.write_bytes(color.read_bytes()[:-200])
    elif what == 'truncated depth':
        depth.write_bytes(depth.read_bytes()[:100])
    elif what == 'zero depth':
        save(depth, np.zeros((24, 32), np.uint16))
    elif what == 'all invalid':
        save(depth, np.full((24, 32), 65535, np.uint16))
    elif what == 'eight bits':
        save(depth, np.ones((24, 32), np.uint8))
    elif what == 'smaller':
        save(depth, np.ones((10, 12), np.uint16))
    elif what == 'twice':
        save(root / 'frame-000020.color.jpg', frames[0].color)
    else:
        matrix = frames[1].pose.copy()
        matrix[1] *= dict(nan=np.nan, scaled=2, mirrored=-1)[what]
        np.savetxt(pose, matrix)


@pytest.mark.parametrize('what, reason', [
    ('no colour', '^the color image of frame 20'),
    ('no depth', '^the depth image of frame 20 is missing'),
    ('no pose', '^the pose of frame 20 is missing'),
    ('truncated colour', '^frame-000020.color.png is not a readable image'),
    ('truncated depth', '^frame-000020.depth.png is not a readable image'),
    ('zero depth', 'no pixel with depth'),
    ('all invalid', 'no pixel with depth'),
    ('eight bits', 'not a depth image.*uint8'),
    ('smaller', 'depth.png 12x10 .*another size'),
    ('twice', 'frame 20 has two'),
    ('nan', '^frame-000020.pose.txt: the pose is not finite'),
    ('scaled', 'rotation'),
    ('mirrored', 'rotation'),
])
def test_bad_frame_is_skipped_and_named(record, run, wall, tmp_path, what,
                                        reason):
    root, frames, options = record('7scenes')
    break_frame(root, frames, what, wall.save)
    assert run(root, *options) == 0
    assert reader(tmp_path).frames('scan') == ['00000', '00040']
    reasons = skipped(tmp_path)
    assert list(reasons) == ['00020']
    assert re.search(reason, reasons['00020'])


def test_other_size_with_one_camera_asks_for_the_depth_camera(
        record, run, wall, tmp_path):
    root, _, _ = record('scannet')
    wall.save(root / 'depth/25.png', np.ones((48, 64), np.uint16))
    assert run(root) == 0
    assert re.search(
        'depth/25.png is 64x48, but color/25.png 32x24; give '
        '--depth-intrinsics',
        skipped(tmp_path)['00025'])


def test_tum_images_without_partner_are_counted(record, run, tmp_path, capsys):
    root, frames, options = record('tum')
    lists = (root / 'depth.txt').read_text().splitlines()
    (root / 'depth.txt').write_text('\n'.join(lists[:2]) + '\n')
    poses = (root / 'groundtruth.txt').read_text().splitlines()
    (root / 'groundtruth.txt').write_text('\n'.join(poses[3:]) + '\n')
    assert run(root, *options) == 0
    assert '2 pairs' in (capsys.readouterr().out)
    reasons = skipped(tmp_path)
    assert reader(tmp_path).frames('scan') == ['00001']
    assert 'no pose within 0.02 s of depth/100.0' in reasons['00000']
    assert 'no depth image within 0.02 s' in reasons['00002']


def test_tum_pose_that_is_no_rotation_skips_its_frame(record, run, tmp_path):
    root, _, options = record('tum')
    lines = (root / 'groundtruth.txt').read_text().splitlines()
    lines[1] = lines[1].split()[0] + ' nan' * 7
    (root / 'groundtruth.txt').write_text('\n'.join(lines))
    assert run(root, *options) == 0
    assert 'not finite' in skipped(tmp_path)['00000']


def test_running_again_keeps_everything_that_is_whole(record, run, tmp_path,
                                                      capsys):
    root, _, options = record('icl')
    assert run(root, *options) == 0
    manifest = tmp_path / 'out/posed_images/manifest.json'
    content = manifest.read_bytes()
    (tmp_path / 'out/posed_images/scan/00001.txt').unlink()
    capsys.readouterr()
    assert run(root, *options) == 0
    assert re.search('1 frames made .*, 2 kept', capsys.readouterr().out)
    assert manifest.read_bytes() == content
    assert str(tmp_path).encode() not in content


def test_scans_share_a_store_but_not_their_settings(record, run, tmp_path,
                                                    capsys):
    root, _, options = record('7scenes')
    other, _, _ = record('scannet')
    assert run(root, *options) == 0
    assert run(other, scan='other') == 0
    assert reader(tmp_path).scans() == ['other', 'scan']
    assert run(root, *options, '--stride', '2') == 1
    assert re.search('scan was imported in another way: stride 1, now 2',
                     capsys.readouterr().err)


@pytest.mark.parametrize('layout, options, message', [
    ('7scenes', [],
     'give --color-intrinsics fx,fy,cx,cy, and --depth-to-color'),
    ('7scenes', ['--color-intrinsics', '1,2,3'], 'intrinsics'),
    ('7scenes', ['--color-intrinsics', 'nowhere.txt'], 'numbers'),
    ('7scenes', ['--color-intrinsics', '9,-9,5,5'], 'in one camera only'),
    ('scannet', ['--depth-to-color', '1,2'], 'rigid'),
    ('scannet', ['--depth-to-color', ','.join('2' * 16)], 'rigid'),
    ('scannet', ['--stride', '0'], 'stride'),
    ('scannet', ['--depth-scale', '-1'], 'must be positive'),
    ('scannet', ['--up', '0,0,0'], 'points nowhere'),
    ('scannet', ['--up', '1,2'], 'give 3 numbers'),
    ('scannet', ['--layout', 'tum'], 'rgb.txt is missing'),
    ('scannet', ['--layout', 'icl'], r'0 files \*.gt.freiburg'),
    ('scannet', ['--layout', '7scenes'], 'no frames like frame-000000'),
    ('scannet', ['--scan', 'a/b'], 'folder'),
])
def test_what_concerns_the_whole_stops_the_run(record, run, tmp_path, capsys,
                                               layout, options, message):
    root, _, _ = record(layout)
    assert run(root, *options) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    assert re.search(message, error)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('file, line, message', [
    ('rgb.txt', '100.0 a.png b.png', 'time'),
    ('rgb.txt', '9 rgb/100.008000.png', 'names rgb/100.008000.png twice'),
    ('groundtruth.txt', '100 1 2 3', 'is not "time tx ty tz qx qy qz qw"'),
])
def test_damaged_lists_stop_the_run(record, run, capsys, file, line, message):
    root, _, options = record('tum')
    with open(root / file, 'a') as stream:
        stream.write(line + '\n')
    assert run(root, *options) == 1
    assert message in capsys.readouterr().err


def test_unknown_folder_lists_the_layouts(run, tmp_path, capsys):
    assert run(tmp_path / 'nothing') == 1
    assert 'looks like none of the known layouts' in capsys.readouterr().err


def test_poses_of_a_map_are_moved_before_float32(record, run, wall, tmp_path,
                                                 capsys):
    """Millions of metres (UTM), of which float32 keeps half a metre."""
    utm = np.array([451234.7, 5411876.46, 312.2])
    frames = wall.make_frames()
    for frame in frames:
        frame.pose[:3, 3] += utm
    root, _, options = record('scannet', frames)
    assert run(root, *options) == 0
    moved = re.search(r'poses moved by \((\S+), (\S+), (\S+)\) m',
                      capsys.readouterr().out)
    move = np.array([float(x) for x in moved.groups()])
    for name, frame in zip(reader(tmp_path).frames('scan'), frames):
        found = reader(tmp_path).read('scan', name).pose
        assert np.abs(found[:3, 3]).max() < 5
        np.testing.assert_allclose(
            found[:3, 3], frame.pose[:3, 3] + move, atol=1e-6)
    settings = json.loads(
        (tmp_path / 'out/posed_images/scan/import.json').read_text())
    assert np.array(settings['world'])[:3, 3].tolist() == move.tolist()
    assert run(root, *options) == 0  # the same again
