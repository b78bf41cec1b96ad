"""Recordings of other conventions and layouts."""
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.ops.projection import transform
from sam3d_plugin.preparation.sources.rgbd_folder.conventions import (
    CAMERA_AXES, POSES, Convention, camera_axes, change_axes)
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from tests.preparation.box_room import INTRINSICS, change, write_recording
from tests.preparation.sources.rgbd_folder.conftest import assert_room
from tests.tools.conftest import load_tool


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
    fuse = load_tool('preparation/fuse_frames')
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
    fuse = load_tool('preparation/fuse_frames')
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
    fuse = load_tool('preparation/fuse_frames')
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
    'lowres_wide', 'images.txt', 'sparse', 'pose_intrinsic_imu.json',
    'undistorted_camera_parameters', 'transforms_train.json'
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
