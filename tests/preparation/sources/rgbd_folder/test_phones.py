"""Exports of phone apps: a made room must come out of each of them."""
import importlib
import json
import pickle
import zipfile

import cv2
import lzfse
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from sam3d_plugin.ops.projection import scale_intrinsics
from sam3d_plugin.preparation.sources.rgbd_folder import phones
from sam3d_plugin.preparation.sources.rgbd_folder.parts import VideoParts
from sam3d_plugin.preparation.sources.rgbd_folder.step import RGBDFolderStep
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import PosedImages
from tests.preparation.box_room import INTRINSICS, SHAPE, see, walk
from tests.preparation.sources.rgbd_folder.conftest import assert_room

LARGE = (240, 320)  # of the color images
CAMERA = scale_intrinsics(INTRINSICS, SHAPE, LARGE)
FX, FY, CX, CY = CAMERA[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
# From a world with z up to one with y up, as ARKit has it.
Y_UP = np.array([[1., 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


@pytest.fixture(scope='module')
def scene():
    """Depth (meters), colors and ARKit's pose of each frame."""
    frames = []
    for frame in walk(8):
        # ARKit's camera: x right, y up, looking along -z.
        arkit = Y_UP @ frame.pose @ np.diag([1., -1, -1, 1])
        frames.append((frame.depth, see(frame.pose, LARGE,
                                        CAMERA).color, arkit))
    return frames


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def millimeters(depth):
    return np.round(1000 * depth).astype(np.uint16)


def write_polycam(root, scene, folder='', scale=1.):
    for index, (depth, color, pose) in enumerate(scene):
        time = 262195552056 + index
        base = root / 'keyframes'
        save(base / f'{folder}images/{time}.jpg', color)
        save(base / f'depth/{time}.png', millimeters(depth))
        camera = dict(
            fx=scale * FX,
            fy=scale * FY,
            cx=CX,
            cy=CY,
            width=320,
            height=240,
            blur_score=3.,
            timestamp=time)
        camera.update(
            {f't_{i}{j}': pose[i, j]
             for i in range(3)
             for j in range(4)})
        path = base / f'{folder}cameras/{time}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(camera))


def to_pose(arkit):
    """The pose of box_room's camera."""
    return Y_UP.T @ arkit @ np.diag([1., -1, -1, 1])


def write_nerfcapture(root, scene, depth_scale=10 / 65535):
    frames = []
    for index, (_, color, pose) in enumerate(scene):
        save(root / f'images/{index}.png', color)
        large = see(to_pose(pose), LARGE, CAMERA).depth
        save(root / f'images/{index}.depth.png',
             np.round(large / depth_scale).astype(np.uint16))
        frames.append(
            dict(
                file_path=f'images/{index}',
                depth_path=f'images/{index}.depth.png',
                transform_matrix=pose.tolist()))
    (root / 'transforms.json').write_text(
        json.dumps(
            dict(
                w=320,
                h=240,
                fl_x=FX,
                fl_y=FY,
                cx=CX,
                cy=CY,
                frames=frames,
                integer_depth_scale=depth_scale)))


def write_stray(root, scene, with_header=True):
    root.mkdir(parents=True)
    video = cv2.VideoWriter(
        str(root / 'rgb.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 30,
        LARGE[::-1])
    lines = ['timestamp, frame, x, y, z, qx, qy, qz, qw'] * with_header
    for index, (depth, color, pose) in enumerate(scene):
        video.write(np.ascontiguousarray(color[..., ::-1]))
        save(root / f'depth/{index:06d}.png', millimeters(depth))
        # As the app does: half a turn about x after ARKit's rotation.
        turn = Rotation.from_matrix(pose[:3, :3]) * Rotation.from_quat(
            [1, 0, 0, 0])
        numbers = [*pose[:3, 3], *turn.as_quat()]
        start = [0.1 * index, f'{index:06d}'] if with_header else []
        lines.append(', '.join(map(str, [*start, *numbers])))
    video.release()
    (root / 'odometry.csv').write_text('\n'.join(lines))
    np.savetxt(root / 'camera_matrix.csv', CAMERA, delimiter=', ')


def write_record3d(root, scene, packed=True):
    """Writes ``root.r3d``, or the folder."""
    poses, files = [], {}
    for index, (depth, color, pose) in enumerate(scene):
        save(root / f'rgbd/{index}.jpg', color)
        files[f'rgbd/{index}.depth'] = lzfse.compress(
            depth.astype('<f4').tobytes())
        turn = Rotation.from_matrix(pose[:3, :3])
        poses.append([*turn.as_quat(), *pose[:3, 3]])
    meta = dict(
        w=320,
        h=240,
        dw=80,
        dh=60,
        K=CAMERA.T.reshape(-1).tolist(),
        poses=poses,
        fps=30)
    files['metadata'] = json.dumps(meta).encode()
    for name, content in files.items():
        (root / name).write_bytes(content)
    if packed:
        with zipfile.ZipFile(f'{root}.r3d', 'w') as archive:
            for path in root.rglob('*.*'):
                archive.write(path, path.relative_to(root))
            archive.write(root / 'metadata', 'metadata')


def share(tmp_path):
    path = tmp_path / 'out/posed_images/room/checks.json'
    return json.loads(path.read_bytes())['agreement']['share']


def skipped(tmp_path):
    items = Store(tmp_path / 'out/posed_images').record('room').items
    return {n: r.reason for n, r in items.items() if r.status != 'ok'}


@pytest.mark.parametrize(
    'write, options', [
        (write_polycam, []),
        (write_nerfcapture, []),
        (write_stray, []),
        (lambda root, scene: write_stray(root, scene, False), []),
        (lambda root, scene: write_record3d(root, scene, False), ['--up=y']),
    ],
    ids=['polycam', 'nerfcapture', 'stray', 'old stray', 'record3d'])
def test_the_room_comes_out(scene, run, tmp_path, write, options):
    """Points of all frames meet in the room, and colors fit them."""
    write(tmp_path / 'in', scene)
    assert run(*options) == 0
    assert_room(tmp_path)
    assert share(tmp_path) > 0.9 and not skipped(tmp_path)
    images = PosedImages(tmp_path / 'out/posed_images')
    frame = images.read('room', images.frames('room')[3])
    assert frame.color.shape[:2] == LARGE
    error = np.abs(frame.color.astype(int) - scene[3][1])
    assert error.mean() < 12  # of compression
    np.testing.assert_allclose(frame.cameras.color_intrinsics, CAMERA)


def resize_images(root, size):
    for path in [*root.rglob('*.jpg'), *root.rglob('images/?.png')]:
        Image.open(path).resize(size, Image.LANCZOS).save(path)


@pytest.mark.parametrize(
    'write, options', [
        (write_polycam, []),
        (write_nerfcapture, []),
        (lambda root, scene: write_record3d(root, scene, False), ['--up=y']),
    ],
    ids=['polycam', 'nerfcapture', 'record3d'])
@pytest.mark.parametrize('size', [(272, 204), (223, 168), (640, 480)])
def test_resized_images_have_scaled_cameras(scene, run, tmp_path, capsys,
                                            write, options, size):
    write(tmp_path / 'in', scene[:4])
    resize_images(tmp_path / 'in', size)
    assert run(*options) == 0
    assert f'{size[0]}x{size[1]} and the recording' in capsys.readouterr().out
    images = PosedImages(tmp_path / 'out/posed_images')
    frame = images.read('room', images.frames('room')[1])
    assert frame.color.shape[:2] == size[::-1]
    camera = scale_intrinsics(CAMERA, LARGE, size[::-1])
    np.testing.assert_allclose(frame.cameras.color_intrinsics, camera)
    truth = see(to_pose(scene[1][2]), size[::-1], camera).color
    assert np.abs(frame.color.astype(int) - truth).mean() < 12


@pytest.mark.parametrize(
    'write', [
        write_polycam,
        write_nerfcapture,
        lambda root, scene: write_record3d(root, scene, False),
    ],
    ids=['polycam', 'nerfcapture', 'record3d'])
@pytest.mark.parametrize('size', [(240, 320), (256, 240), (320, 230)])
def test_cropped_and_turned_images_are_refused(scene, run, tmp_path, capsys,
                                               write, size):
    write(tmp_path / 'in', scene[:2])
    resize_images(tmp_path / 'in', size)
    assert run() == 1
    error = capsys.readouterr().err
    assert f'{size[0]}x{size[1]}, but the recording says 320x240' in error
    assert error.count('\n') == 1


@pytest.mark.parametrize('factor', [0.5, 0.85, 1.25])
def test_a_video_of_another_size_is_refused(scene, run, tmp_path, capsys,
                                            factor):
    write_stray(tmp_path / 'in', scene[:2])
    np.savetxt(
        tmp_path / 'in/camera_matrix.csv',
        scale_intrinsics(CAMERA, (1, 1), (factor, factor)),
        delimiter=', ')
    assert run() == 1
    error = capsys.readouterr().err
    assert 'rgb.mp4 is 320x240' in error and error.count('\n') == 1


@pytest.mark.parametrize('write', [write_polycam, write_nerfcapture])
def test_an_unreadable_first_image_skips_its_frame(scene, run, tmp_path,
                                                   write):
    write(tmp_path / 'in', scene[:3])
    paths = [*tmp_path.rglob('*.jpg'), *tmp_path.rglob('images/?.png')]
    min(paths).write_bytes(b'')
    run()
    assert list(skipped(tmp_path)) == ['00000']


def test_a_file_of_record3d(scene, run, tmp_path):
    write_record3d(tmp_path / 'capture', scene)
    (tmp_path / 'in').mkdir()
    assert run('--source', str(tmp_path / 'capture.r3d'), '--up=y') == 0
    assert_room(tmp_path)


@pytest.mark.parametrize('write, wrong, right',
                         [(write_polycam, 'opencv', 'opengl'),
                          (write_stray, 'opengl', 'opencv')])
def test_camera_axes_of_another_program_are_refused(scene, run, tmp_path,
                                                    capsys, write, wrong,
                                                    right):
    write(tmp_path / 'in', scene)
    assert run('--camera-axes', wrong) == 1
    assert f'--camera-axes {right}' in capsys.readouterr().err


def test_the_users_up_counts(scene, run, tmp_path):
    write_polycam(tmp_path / 'in', scene)
    assert run('--up=z') == 0
    images = PosedImages(tmp_path / 'out/posed_images')
    pose = images.read('room', '00000').pose
    expected = scene[0][2] @ np.diag([1., -1, -1, 1])
    np.testing.assert_allclose(pose, expected, atol=1e-6)


def test_optimized_cameras_of_polycam_are_preferred(scene, run, tmp_path,
                                                    capsys):
    moved = [(depth, color, np.eye(4)) for depth, color, _ in scene]
    write_polycam(tmp_path / 'in', moved)
    write_polycam(tmp_path / 'in', scene, 'corrected_')
    assert run() == 0
    assert 'optimized poses' in capsys.readouterr().out
    assert_room(tmp_path)


def test_frames_of_another_camera_are_skipped(scene, run, tmp_path, capsys):
    write_polycam(tmp_path / 'in', scene[:5])
    for index, scale in ((1, 1.01), (2, 1.5)):
        path = sorted((tmp_path / 'in/keyframes/cameras').iterdir())[index]
        camera = json.loads(path.read_text())
        camera['fx'] *= scale
        path.write_text(json.dumps(camera))
    run()
    assert list(skipped(tmp_path)) == ['00002']
    assert 'no camera, or another' in skipped(tmp_path)['00002']
    assert 'differ by up to 1.0%' in capsys.readouterr().out


def test_missing_parts_skip_their_frames(scene, run, tmp_path, capsys):
    write_stray(tmp_path / 'in', scene)
    path = tmp_path / 'in/odometry.csv'
    lines = path.read_text().splitlines()
    path.write_text('\n'.join(lines[:2] + lines[3:]))
    save(tmp_path / 'in/depth/000008.png', millimeters(scene[0][0]))
    run()
    assert '8 frames, and depth/ 9' in capsys.readouterr().out
    assert 'no pose' in skipped(tmp_path)['00001']
    assert 'no pose' in skipped(tmp_path)['00008']
    assert list(skipped(tmp_path)) == ['00001', '00008']


def test_a_video_is_read_in_any_order(scene, tmp_path):
    write_stray(tmp_path / 'in', scene)
    video = VideoParts(str(tmp_path / 'in/rgb.mp4'))
    assert video.read('depth/000000.png') is None
    for number in (5, 2, 7, 2):
        content = np.frombuffer(video.read(f'rgb.mp4/{number}'), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
        errors = [np.abs(pixels.astype(int) - c).mean() for _, c, _ in scene]
        assert np.argmin(errors) == number
    with pytest.raises(FrameError, match='ends before frame 8'):
        video.read('rgb.mp4/8')


@pytest.mark.parametrize('write', [write_stray, write_record3d])
def test_workers_get_a_copy(scene, tmp_path, write):
    write(tmp_path / 'in', scene)
    step = RGBDFolderStep(str(tmp_path / 'in'), 'room')
    copy = pickle.loads(pickle.dumps(step))
    frame = copy.frames['00001']
    assert copy._color(frame)[0].shape == (*LARGE, 3)
    assert copy.inputs('room', '00001') == step.inputs('room', '00001')


def test_a_changed_video_changes_its_frames(scene, tmp_path):
    write_stray(tmp_path / 'in', scene)
    step = RGBDFolderStep(str(tmp_path / 'in'), 'room')
    before = step.inputs('room', '00001')
    with open(tmp_path / 'in/rgb.mp4', 'ab') as file:
        file.write(b'more')
    assert step.inputs('room', '00001') != before


def test_a_missing_library_is_named(scene, run, tmp_path, capsys, monkeypatch):
    write_record3d(tmp_path / 'in', scene[:2], packed=False)

    def fail(name):
        raise ImportError(f'No module named {name!r}')

    monkeypatch.setattr(importlib, 'import_module', fail)
    assert run() == 1
    assert "'.[scans]'" in capsys.readouterr().err


def break_depth(root):
    for path in (root / 'rgbd').glob('*.depth'):
        path.write_bytes(b'bvx2 damaged')


@pytest.mark.parametrize('write, spoil, message', [
    (write_polycam, lambda r: next(
        (r / 'keyframes/cameras').iterdir()).write_text('{'), 'cannot be re'),
    (write_polycam, lambda r: next(
        (r / 'keyframes/cameras').iterdir()).write_text('{}'), 'a pose'),
    (write_nerfcapture, lambda r:
     (r / 'transforms.json').write_text('[]'), 'not an object'),
    (write_nerfcapture,
     lambda r: [path.unlink() for path in
                (r / 'images').glob('*.depth.png')], 'no depth image'),
    (write_stray, lambda r: (r / 'rgb.mp4').write_bytes(b'no'), 'video'),
    (write_stray, lambda r: (r / 'odometry.csv').unlink(), 'layouts'),
    (write_stray, lambda r:
     (r / 'odometry.csv').write_text('a, b\n1, 2'), 'qx'),
    (write_stray, lambda r:
     (r / 'camera_matrix.csv').write_text('1, x'), 'numbers'),
    (write_record3d, lambda r: (r / 'metadata').write_text('{}'), 'metadata'),
])
def test_damage_is_told_in_a_sentence(scene, run, tmp_path, capsys, write,
                                      spoil, message):
    write(tmp_path / 'in', scene[:2])
    spoil(tmp_path / 'in')
    assert run() == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


@pytest.mark.parametrize('size', [0, 100, 0.5])
def test_truncated_files_of_record3d(scene, run, tmp_path, capsys, size):
    write_record3d(tmp_path / 'capture', scene[:2])
    path = tmp_path / 'capture.r3d'
    content = path.read_bytes()
    path.write_bytes(content[:int(size * len(content)) if size < 1 else size])
    assert run('--source', str(path)) == 1
    error = capsys.readouterr().err
    assert 'cannot be read' in error and error.count('\n') == 1


def test_damaged_depth_of_record3d_skips_frames(scene, run, tmp_path):
    write_record3d(tmp_path / 'in', scene[:2], packed=False)
    break_depth(tmp_path / 'in')
    run()
    assert all('damaged' in reason for reason in skipped(tmp_path).values())
    assert len(skipped(tmp_path)) == 2


def test_archives_are_to_be_unpacked(run, tmp_path, capsys):
    (tmp_path / 'a.zip').write_bytes(b'PK')
    assert run('--source', str(tmp_path / 'a.zip')) == 1
    assert 'unpack' in capsys.readouterr().err


def test_distorted_images_are_refused(scene, run, tmp_path, capsys):
    write_nerfcapture(tmp_path / 'in', scene[:2])
    path = tmp_path / 'in/transforms.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), k1=0.1)))
    assert run() == 1
    assert 'undistort' in capsys.readouterr().err


def test_arkit_looks_along_minus_z():
    """A closed form: what is 2 m ahead of the first camera of a recording."""
    from sam3d_plugin.preparation.sources.rgbd_folder.conventions import \
        Convention
    from sam3d_plugin.preparation.sources.rgbd_folder.matrices import \
        rotation_to_z
    pose = Convention(camera_axes='opengl').pose(
        phones.to_pose([0, 0, 0, 0, 0, 0, 1]))
    ahead = pose[:3, :3] @ [0, 0, 2]  # y up, ARKit's -z
    np.testing.assert_allclose(ahead, [0, 0, -2], atol=1e-12)
    below = pose[:3, :3] @ [0, 1, 0]
    turn = rotation_to_z(np.array(phones._Y_UP))
    np.testing.assert_allclose(turn @ below, [0, 0, -1], atol=1e-12)
