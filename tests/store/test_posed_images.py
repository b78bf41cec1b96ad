"""RGB-D frames in mmdet3d's posed_images."""
import io

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.posed_images import (Cameras, PosedImages,
                                             decode_color, decode_depth,
                                             encode_color, frame_files)

INTRINSICS = np.array([[50.0, 0, 15.5], [0, 50, 11.5], [0, 0, 1]])
ONE = Cameras(INTRINSICS, INTRINSICS, np.eye(4), True)
POSE = np.array([[0, -1.0, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


def write(root, cameras=ONE, color=(24, 32), depth=(24, 32), pose=POSE):
    images = PosedImages(root)
    images.write_cameras('room', cameras)
    image = np.full((*color, 3), (200, 100, 0), np.uint8)
    files = frame_files(
        encode_color(image), np.full(depth, 1500, np.uint16), pose)
    for ending, content in files.items():
        (root / f'room/00007{ending}').write_bytes(content)
    return images


def test_a_frame_comes_back(tmp_path):
    images = write(tmp_path)
    assert images.scans() == ['room'] and images.frames('room') == ['00007']
    frame = images.read('room', '00007')
    assert np.allclose(frame.color, (200, 100, 0), atol=3)  # RGB, not BGR
    assert (frame.depth == np.float32(1.5)).all()
    assert (frame.pose == POSE).all()
    assert frame.cameras.is_single
    assert (frame.cameras.depth_intrinsics == INTRINSICS).all()


def test_two_cameras_come_back(tmp_path):
    shift = np.eye(4)
    shift[0, 3] = -0.03
    cameras = Cameras(2 * INTRINSICS, INTRINSICS, shift, False)
    frame = write(tmp_path, cameras, color=(48, 64)).read('room', '00007')
    assert frame.color.shape == (48, 64, 3) and frame.depth.shape == (24, 32)
    assert (frame.cameras.depth_to_color == shift).all()
    assert frame.cameras.color_intrinsics[0, 0] == 100
    assert not frame.cameras.is_single


def test_sizes_of_one_camera_must_agree(tmp_path):
    images = write(tmp_path, color=(48, 64))
    with pytest.raises(FrameError, match=r'depth is 32x24'):
        images.read('room', '00007')


@pytest.mark.parametrize('pose, message', [
    (np.full((4, 4), np.nan), 'not finite'),
    (np.diag([1, 1, -1.0, 1]), 'rotation'),
    (np.diag([2, 2, 2.0, 1]), 'rotation'),
    (np.ones((4, 4)), 'rotation'),
    (np.diag([1, 1, 1.0, 2]), 'rotation'),
])
def test_a_pose_must_be_rigid(tmp_path, pose, message):
    with pytest.raises(FrameError, match=message):
        write(tmp_path, pose=pose).read('room', '00007')


@pytest.mark.parametrize('ending', ['.jpg', '.png', '.txt'])
def test_a_missing_or_torn_file_is_named(tmp_path, ending):
    images = write(tmp_path)
    path = tmp_path / f'room/00007{ending}'
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FrameError, match=f'00007{ending} '):
        images.read('room', '00007')
    path.unlink()
    with pytest.raises(FrameError, match=f'00007{ending} is missing'):
        images.read('room', '00007')


def test_a_folder_in_place_of_an_image_cannot_be_read(tmp_path):
    images = write(tmp_path)
    (tmp_path / 'room/00007.jpg').unlink()
    (tmp_path / 'room/00007.jpg').mkdir()
    with pytest.raises(FrameError, match='cannot be read'):
        images.read('room', '00007')


def test_depth_must_be_there():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(buffer, 'PNG')
    with pytest.raises(FrameError, match='no pixel with depth'):
        decode_depth(buffer.getvalue(), 'x')


def test_gray_images_are_colors_but_not_depth():
    gray = np.arange(16, dtype=np.uint8).reshape(4, 4)
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, 'PNG')
    assert (decode_color(buffer.getvalue(), 'a.png') == gray[..., None]).all()
    with pytest.raises(FrameError, match='16-bit'):
        decode_depth(buffer.getvalue(), 'a.png')


def test_duplicate_frames_are_refused(tmp_path):
    images = write(tmp_path)
    (tmp_path / 'room/00007.jpeg').write_bytes(b'')
    with pytest.raises(FrameError, match='two color images'):
        images.frames('room')


def test_missing_intrinsics_are_named(tmp_path):
    images = write(tmp_path)
    (tmp_path / 'room/intrinsic.txt').unlink()
    with pytest.raises(FrameError, match='intrinsic.txt is missing'):
        images.cameras('room')
    assert images.scans() == ['room'], 'to be named, not forgotten'
