"""Recordings of other conventions, layouts and kinds of images."""
import importlib.util
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.preparation.sources.rgbd_folder.conventions import (
    CAMERA_AXES, POSES, Convention, camera_axes, change_axes)
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.image_files import decode_color, decode_image
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from tests.preparation.box_room import (INTRINSICS, ROOM, change, walk,
                                        write_recording)

TOOLS = Path(__file__).parents[4] / 'tools/preparation'


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def frames():
    return walk()


@pytest.fixture
def run(tmp_path):
    """Imports tmp_path/in; gives the exit status."""

    def call(*options):
        return load_tool('import_rgbd_folder').main([
            '--source',
            str(tmp_path / 'in'), '--out',
            str(tmp_path / 'out'), '--scan', 'room', '--workers', '0', *options
        ])

    return call


def points(tmp_path):
    images = PosedImages(tmp_path / 'out/posed_images')
    parts = []
    for name in images.frames('room'):
        frame = images.read('room', name)
        pixels = np.flatnonzero(frame.depth.reshape(-1))
        seen = back_project(
            frame.depth.astype(float), frame.cameras.depth_intrinsics, pixels)
        parts.append(transform(seen, frame.pose))
    return np.concatenate(parts)


def assert_room(tmp_path):
    xyz = points(tmp_path)
    assert np.abs(xyz.min(axis=0)).max() < 0.01
    assert np.abs(xyz.max(axis=0)[:2] - ROOM[:2]).max() < 0.01


@pytest.mark.parametrize('changes, unit, options', [
    (dict(pose=lambda p: p @ np.diag([1, -1, -1, 1])), 1000,
     ['--camera-axes', 'opengl']),
    (dict(pose=lambda p: p @ np.diag([1, -1, -1, 1])), 1000,
     ['--camera-axes', 'right,up,backward']),
    (dict(pose=np.linalg.inv), 1000, ['--poses', 'world-to-camera']),
    (dict(pose=np.transpose), 1000, ['--poses', 'column-major']),
    (dict(), 256, ['--depth-scale', '256']),
    (dict(pose=lambda p: p * np.array([[1, 1, 1, 1000]] * 3 + [[1] * 4])),
     1000, ['--pose-scale', '0.001']),
])
def test_a_refused_recording_is_imported_as_advised(frames, run, tmp_path,
                                                    capsys, changes, unit,
                                                    options):
    write_recording(tmp_path / 'in', change(frames, **changes), unit)
    assert run() == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and options[0] in error
    assert not (tmp_path / 'out').exists()
    assert run(*options) == 0
    assert_room(tmp_path)
    assert run(*options) == 0
    assert run('--unchecked') == 1  # another way than the first time


def test_agreement_is_recorded_and_fused_scans_repeat_it(
        frames, run, tmp_path, capsys):
    write_recording(tmp_path / 'in', frames)
    assert run() == 0
    assert 'agree on' in capsys.readouterr().out
    path = tmp_path / 'out/posed_images/room/checks.json'
    checks = json.loads(path.read_bytes())
    assert checks['agreement']['share'] > 0.95 and checks['up'] == 'z'
    fuse = load_tool('fuse_frames')
    assert fuse.main(['--data', str(tmp_path / 'out'), '--workers', '0']) == 0
    assert 'agree on' in capsys.readouterr().out
    item = Store(tmp_path / 'out').manifest()['room'].items['room']
    again = item.fields['checks']['agreement']
    assert again['confirmed'] == checks['agreement']['confirmed']


def test_fusing_refuses_frames_that_disagree(frames, run, tmp_path, capsys):
    wrong = change(frames, pose=np.linalg.inv)
    write_recording(tmp_path / 'in', wrong)
    assert run('--unchecked') == 0
    assert 'world-to-camera' in capsys.readouterr().out
    (tmp_path / 'out/posed_images/room/checks.json').unlink()
    fuse = load_tool('fuse_frames')
    arguments = ['--data', str(tmp_path / 'out'), '--workers', '0']
    fuse.main(arguments)
    assert '--poses world-to-camera' in capsys.readouterr().out
    assert not (tmp_path / 'out/points').exists()
    assert fuse.main([*arguments, '--unchecked']) == 0
    assert (tmp_path / 'out/points/room.bin').exists()


def test_a_world_with_y_up_is_turned(frames, run, tmp_path, capsys):
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    write_recording(tmp_path / 'in', change(frames, pose=lambda p: turn @ p))
    assert run() == 1
    assert '--up=y' in capsys.readouterr().err
    assert run('--up=y') == 0
    assert_room(tmp_path)


def test_y_stays_up_if_the_user_says_so(frames, run, tmp_path):
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    write_recording(tmp_path / 'in', change(frames, pose=lambda p: turn @ p))
    assert run('--up=z') == 0
    fuse = load_tool('fuse_frames')
    assert fuse.main(['--data', str(tmp_path / 'out'), '--workers', '0']) == 0
    assert (tmp_path / 'out/points/room.bin').exists()


def test_scannet_frames_25k_is_read(frames, run, tmp_path):
    root = write_recording(tmp_path / 'in', frames)
    for name in ('color', 'depth'):
        (root / f'intrinsic/intrinsic_{name}.txt').rename(
            root / f'intrinsics_{name}.txt')
    (root / 'intrinsic').rmdir()
    for path in (root / 'color').iterdir():
        path.rename(path.with_suffix('.PNG'))
    assert run() == 0
    assert_room(tmp_path)


def write_frames(root, frames, depth):
    root.mkdir(parents=True)
    for i, frame in enumerate(frames):
        stem = f'{root}/frame-{i:06d}'
        Image.fromarray(frame.color).save(f'{stem}.color.jpg', quality=95)
        image = np.round(frame.depth * 1000).astype(np.uint16)
        if depth == 'pgm':
            header = f'P5 {image.shape[1]} {image.shape[0]} 9999\n'.encode()
            (root / f'frame-{i:06d}.depth.pgm'
             ).write_bytes(header + image.astype('>u2').tobytes())
        else:
            Image.fromarray(image).save(f'{stem}.depth.{depth}')
        np.savetxt(f'{stem}.pose.txt', frame.pose)


@pytest.mark.parametrize('folder, info, depth', [
    ('in', '_info.txt', 'pgm'),
    ('in/sequence', '_info.txt', 'pgm'),
    ('in', 'info.txt', 'png'),
])
def test_3rscan_and_bundlefusion_are_read(frames, run, tmp_path, folder, info,
                                          depth):
    write_frames(tmp_path / folder, frames, depth)
    matrix = np.eye(4)
    matrix[:3, :3] = INTRINSICS
    numbers = ' '.join(map(str, matrix.reshape(-1)))
    (tmp_path / folder / info).write_text(
        'm_versionNumber = 4\nm_depthShift = 1000\n'
        f'm_calibrationColorIntrinsic = {numbers}\n'
        f'm_calibrationDepthIntrinsic = {numbers}\n')
    assert run() == 0
    assert_room(tmp_path)


def test_a_calibration_without_cameras_is_named(frames, run, tmp_path, capsys):
    write_frames(tmp_path / 'in', frames[:1], 'pgm')
    (tmp_path / 'in/_info.txt').write_text('m_depthShift = 1000\n')
    assert run() == 1
    assert '_info.txt' in capsys.readouterr().err


@pytest.mark.parametrize('place', ['in', '.'])
def test_replica_is_read(frames, run, tmp_path, place):
    results = tmp_path / 'in/results'
    results.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame.color).save(results / f'frame{i:06d}.jpg')
        depth = np.round(frame.depth * 6553.5).astype(np.uint16)
        Image.fromarray(depth).save(results / f'depth{i:06d}.png')
    np.savetxt(tmp_path / 'in/traj.txt', [f.pose.reshape(-1) for f in frames])
    camera = dict(fx=60, fy=60, cx=39.5, cy=29.5, scale=6553.5)
    (tmp_path / place / 'cam_params.json').write_text(
        json.dumps(dict(camera=camera)))
    assert run() == 0
    assert_room(tmp_path)


@pytest.mark.parametrize('name', [
    'lowres_wide', 'images.txt', 'sparse', 'keyframes', 'odometry.csv',
    'pose_intrinsic_imu.json', 'undistorted_camera_parameters',
    'transforms_train.json'
])
def test_what_cannot_be_read_is_named(run, tmp_path, capsys, name):
    (tmp_path / 'in' / name).mkdir(parents=True)
    assert run() == 1
    assert 'color/, depth/, pose/' in capsys.readouterr().err


def test_no_camera_is_offered(frames, run, tmp_path, capsys):
    write_frames(tmp_path / 'in', frames[:1], 'png')
    assert run() == 1
    error = capsys.readouterr().err
    assert '--color-intrinsics' in error and '525' not in error


@pytest.mark.parametrize('text', [*CAMERA_AXES, 'down,left,forward'])
def test_axes_and_back_are_the_identity(text, frames):
    axes = camera_axes(text)
    pose = change_axes(frames[1].pose, axes)
    assert np.linalg.det(pose) == pytest.approx(1)
    point = np.array([0.3, -0.2, 1.5])
    mirror = [np.sign(np.linalg.det(axes)), 1, 1]
    np.testing.assert_allclose(
        transform(axes @ point, pose),
        mirror * transform(point, frames[1].pose))


@pytest.mark.parametrize('options', [
    dict(camera_axes='right,right,up'),
    dict(camera_axes='nerf'),
    dict(poses='inverse'),
    dict(depth_along='z'),
    dict(depth_scale=0.0),
    dict(pose_scale=np.nan),
])
def test_unknown_conventions_are_refused(options):
    with pytest.raises(StoreError, match='--'):
        Convention(**options)


def test_poses_become_camera_to_world(frames):
    pose = frames[1].pose
    for name, wrong in (('world-to-camera', np.linalg.inv(pose)),
                        ('column-major', pose.T)):
        np.testing.assert_allclose(POSES[name](wrong), pose, atol=1e-12)


def encode(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize('mode, format', [('CMYK', 'JPEG'), ('L', 'JPEG'),
                                          ('RGBA', 'PNG'), ('P', 'PNG'),
                                          ('LA', 'PNG'), ('YCbCr', 'JPEG')])
def test_colors_are_rgb_in_every_mode(mode, format):
    v, u = np.mgrid[:64, :64]
    rgb = np.stack([4 * u, 4 * v, 127 + 0 * u], axis=-1).astype(np.uint8)
    image = Image.fromarray(rgb)
    expected = rgb.astype(int)
    if mode in ('L', 'LA'):
        expected = np.asarray(image.convert('L').convert('RGB')).astype(int)
    found = decode_color(encode(image.convert(mode), format), 'a')
    assert found.dtype == np.uint8 and found.shape == rgb.shape
    # Palettes have few colors, and JPEG files of CMYK few details.
    assert np.abs(found - expected).mean() < 25


def test_depth_is_no_color():
    depth = Image.fromarray(np.full((4, 4), 3000, np.uint16))
    with pytest.raises(FrameError, match='depth'):
        decode_color(encode(depth, 'PNG'), 'a.png')


def test_cmyk_is_stored_as_rgb(frames, run, tmp_path):
    root = write_recording(tmp_path / 'in', frames)
    for index, frame in enumerate(frames):
        (root / f'color/{index}.png').unlink()
        Image.fromarray(frame.color).convert('CMYK').save(
            root / f'color/{index}.jpg', quality=95)
    assert run() == 0
    path = tmp_path / 'out/posed_images/room/00000.jpg'
    with Image.open(path) as image:
        assert image.mode == 'RGB'
        error = np.abs(np.asarray(image).astype(int) - frames[0].color)
    assert error.mean() < 8


def test_orientation_in_exif_is_not_applied_twice(frames, run, tmp_path):
    root = write_recording(tmp_path / 'in', frames)
    exif = Image.Exif()
    exif[0x0112] = 3
    (root / 'color/0.png').unlink()
    Image.fromarray(frames[0].color).save(
        root / 'color/0.jpg', exif=exif, quality=95)
    assert run() == 0
    path = tmp_path / 'out/posed_images/room/00000.jpg'
    with Image.open(path) as image:
        assert 0x0112 not in image.getexif()
        error = np.abs(np.asarray(image).astype(int) - frames[0].color)
    assert error.mean() < 8


@pytest.mark.parametrize('largest', [4095, 9999, 65535])
def test_values_of_pgm_files_are_not_stretched(largest):
    values = np.arange(0, 4000, 7, dtype='>u2')
    content = b'P5\n# depth\n%d 1\n%d\n' % (len(values), largest)
    image = decode_image(content + values.tobytes(), 'a.pgm')
    assert (image[0] == values).all()


def rewrite_depth(root, ending, save):
    """Write millimeters in another form; the first columns have none."""
    for path in (root / 'depth').iterdir():
        depth = np.asarray(Image.open(path))
        path.unlink()
        save(path.with_suffix(ending), depth)


def save_array(path, image):
    np.save(path, image)


def save_image(path, image):
    Image.fromarray(image).save(path)


@pytest.mark.parametrize('ending, save', [('.npy', save_array),
                                          ('.tiff', save_image)])
def test_depth_may_be_meters_as_floats(frames, run, tmp_path, capsys, ending,
                                       save):
    write_recording(tmp_path / 'in', frames)

    def to_meters(path, depth):
        meters = depth.astype(np.float32) / 1000
        meters[:, 0], meters[:, 1], meters[:, 2] = np.nan, np.inf, -1
        save(path, meters)

    rewrite_depth(tmp_path / 'in', ending, to_meters)
    assert run() == 1
    assert '--depth-scale 1 ' in capsys.readouterr().err
    assert run('--depth-scale', '1') == 0
    assert_room(tmp_path)
    images = PosedImages(tmp_path / 'out/posed_images')
    depth = images.read('room', '00000').depth
    assert not depth[:, :3].any() and depth[:, 3:].all()


@pytest.mark.parametrize('value', [-9999, -1, 65535])
def test_depth_that_means_none_is_none(frames, run, tmp_path, value):
    write_recording(tmp_path / 'in', frames)

    def fill(path, depth):
        depth = depth.astype(np.int32)
        depth[:, :5] = value
        save_image(path, depth)

    rewrite_depth(tmp_path / 'in', '.tiff', fill)
    assert run() == 0
    assert_room(tmp_path)
    images = PosedImages(tmp_path / 'out/posed_images')
    assert not images.read('room', '00000').depth[:, :5].any()


def test_a_value_for_no_depth_is_named_and_left_out(frames, run, tmp_path,
                                                    capsys):

    def fill(depth):
        return np.where(np.arange(depth.shape[1]) < 8, 10, depth)

    write_recording(tmp_path / 'in', change(frames, depth=fill))
    assert run() == 0
    assert '--no-depth 10000' in capsys.readouterr().out
    assert run('--no-depth', '10000') == 1  # imported in another way
    assert 'no_depth' in capsys.readouterr().err
    shutil.rmtree(tmp_path / 'out')
    assert run('--no-depth', '10000') == 0
    assert_room(tmp_path)


@pytest.mark.parametrize('channels', [0, 3])
def test_pictures_of_depth_are_no_depth(frames, run, tmp_path, capsys,
                                        channels):
    write_recording(tmp_path / 'in', frames)
    rewrite_depth(
        tmp_path / 'in', '.png', lambda path, depth: save_image(
            path,
            np.stack([(depth / 25).astype(np.uint8)] * channels, -1)
            if channels else (depth / 25).astype(np.uint8)))
    assert run() == 1
    assert 'not a depth image' in ''.join(capsys.readouterr())


def test_depth_of_unknown_ending_is_named(frames, run, tmp_path, capsys):
    write_recording(tmp_path / 'in', frames)
    for path in (tmp_path / 'in/depth').iterdir():
        path.rename(path.with_suffix('.exr'))
    assert run() == 1
    error = capsys.readouterr().err
    assert '.exr' in error and 'copy' not in error


def test_extrinsics_of_sens_files_move_the_cameras(frames, run, tmp_path):
    root = write_recording(tmp_path / 'in', frames)
    for name, x in (('color', 0.1), ('depth', 0.02)):
        matrix = np.eye(4)
        matrix[0, 3] = x
        np.savetxt(root / f'intrinsic/extrinsic_{name}.txt', matrix)
    assert run() == 0
    cameras = PosedImages(tmp_path / 'out/posed_images').cameras('room')
    assert np.allclose(cameras.depth_to_color[:3, 3], [-0.08, 0, 0])


def test_intrinsics_may_lie_above_all_scans(frames, run, tmp_path):
    """As in the scannet_2d of OpenScene and 3DMV."""
    root = write_recording(tmp_path / 'in', frames)
    (root / 'intrinsic/intrinsic_depth.txt').rename(tmp_path /
                                                    'intrinsics.txt')
    shutil.rmtree(root / 'intrinsic')
    assert run() == 0
    assert_room(tmp_path)


def test_sens_files_have_their_own_tool(run, tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in/scene0000_00.sens').write_bytes(b'')
    assert run() == 1
    assert 'extract_scannet_frames.py' in capsys.readouterr().err


def test_a_reconstruction_beside_the_frames_is_no_obstacle(
        frames, run, tmp_path):
    (write_recording(tmp_path / 'in', frames) / 'sparse').mkdir()
    assert run() == 0
    assert_room(tmp_path)
