"""Color and depth images of other kinds."""
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.image_files import decode_color, decode_image
from sam3d_plugin.store.posed_images import PosedImages
from tests.preparation.box_room import change, write_recording
from tests.preparation.sources.rgbd_folder.conftest import assert_room


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
