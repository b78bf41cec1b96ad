"""A coloured wall seen by an RGB-D camera, stored in every layout."""
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from sam3d_plugin.ops.projection import back_project, transform
from sam3d_plugin.store.posed_images import PosedImages
from tests.preparation.box_room import ROOM, walk
from tests.tools.conftest import load_tool

SHAPE = (24, 32)
DEPTH_K = np.array([[30.0, 0, 15.8], [0, 29.0, 11.4], [0, 0, 1]])
MIRROR = np.diag([1.0, -1, 1, 1])


def pose_of(index):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler(
        'xyz', [0.1 * index, 0.05 - 0.1 * index, 0.2 * index]).as_matrix()
    pose[:3, 3] = [0.1 * index, -0.05 * index, 0.02 * index]
    return pose


def see_wall(intrinsics, pose, shape=SHAPE):
    """Depth and colours of the wall 2 - 0.2 x + 0.1 y = z of the world.

    A colour says where in the world a point lies, so that a picture of
    another place or a mirrored one is noticed.
    """
    v, u = np.indices(shape)
    rays = np.stack([u, v, np.ones(shape)],
                    axis=-1) @ np.linalg.inv(intrinsics).T
    normal = np.array([0.2, -0.1, 1])
    depth = ((2 - normal @ pose[:3, 3]) / (rays @ pose[:3, :3].T @ normal))
    world = rays * depth[..., None] @ pose[:3, :3].T + pose[:3, 3]
    return depth, color_of(world)


def color_of(world):
    return np.clip(127 + 40 * world * [1, 1, 0.5], 0, 255).astype(np.uint8)


def make_frames(count=3, color_k=DEPTH_K, depth_to_color=None, unit=1000):
    to_depth = np.linalg.inv(
        np.eye(4) if depth_to_color is None else depth_to_color)
    frames = []
    for index in range(count):
        pose = pose_of(index)
        depth = see_wall(DEPTH_K, pose)[0]
        frames.append(
            SimpleNamespace(
                pose=pose,
                depth=np.round(depth * unit).astype(np.uint16),
                color=see_wall(color_k, pose @ to_depth)[1]))
    return frames


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_7scenes(root, frames):
    for index, frame in enumerate(frames):
        stem = f'frame-{20 * index:06d}'
        save(root / f'{stem}.color.png', frame.color)
        save(root / f'{stem}.depth.png', frame.depth)
        np.savetxt(root / f'{stem}.pose.txt', frame.pose)
    np.savetxt(root / 'camera-intrinsics.txt', DEPTH_K)


def write_scannet(root, frames):
    for index, frame in enumerate(frames):
        save(root / f'color/{25 * index}.png', frame.color)
        save(root / f'depth/{25 * index}.png', frame.depth)
        (root / 'pose').mkdir(exist_ok=True)
        np.savetxt(root / f'pose/{25 * index}.txt', frame.pose)
    (root / 'intrinsic').mkdir()
    np.savetxt(root / 'intrinsic/intrinsic_depth.txt', DEPTH_K)


def trajectory_line(time, pose):
    numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
    return f'{time} {" ".join(f"{x:.9f}" for x in numbers)}\n'


def write_tum(root, frames):
    lists = dict(rgb='# color images\n', depth='', groundtruth='# poses\n')
    for index, frame in enumerate(frames):
        time = 100 + index / 30
        for folder, image, offset in (('rgb', frame.color, 0.008),
                                      ('depth', frame.depth, 0)):
            file = f'{folder}/{time + offset:.6f}.png'
            save(root / file, image)
            lists[folder] += f'{time + offset:.6f} {file}\n'
        lists['groundtruth'] += trajectory_line(time + 0.001, frame.pose)
        # Nearer to the colour image than to the depth image.
        far = pose_of(index + 7)
        lists['groundtruth'] += trajectory_line(time + 0.012, far)
    for name, text in lists.items():
        (root / f'{name}.txt').write_text(text)


def write_icl(root, frames):
    lines = ''
    for index, frame in enumerate(frames):
        save(root / f'rgb/{index}.png', frame.color)
        save(root / f'depth/{index}.png', frame.depth)
        lines += trajectory_line(index, MIRROR @ frame.pose @ MIRROR)
    (root / 'livingRoom1.gt.freiburg').write_text(lines)


WRITERS = {
    '7scenes': (write_7scenes, 1000, '30,29,15.8,11.4'),
    'scannet': (write_scannet, 1000, None),
    'tum': (write_tum, 5000, '30,29,15.8,11.4'),
    'icl': (write_icl, 5000, '30,-29,15.8,11.4'),
}


@pytest.fixture
def record(tmp_path):
    """Writes a recording; gives its folder, frames and camera options."""

    def write(layout, frames=None, **kwargs):
        writer, unit, camera = WRITERS[layout]
        if frames is None:
            frames = make_frames(**dict(dict(unit=unit), **kwargs))
        root = tmp_path / layout
        root.mkdir()
        writer(root, frames)
        options = ['--color-intrinsics', camera] if camera else []
        return root, frames, options

    return write


@pytest.fixture
def wall():
    return SimpleNamespace(
        depth_k=DEPTH_K,
        color_of=color_of,
        make_frames=make_frames,
        pose_of=pose_of,
        save=save)


@pytest.fixture(scope='module')
def frames():
    return walk()


@pytest.fixture
def run(tmp_path):
    """Imports tmp_path/in; gives the exit status."""

    def call(*options):
        return load_tool('preparation/import_rgbd_folder').main([
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
