"""Extracting posed_images from .sens recordings."""
import importlib.util
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from sam3d_plugin.ops.projection import back_project, project
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.preparation.sources.scannet.frames import (SensFrames,
                                                             camera_matrices,
                                                             count_reasons)
from sam3d_plugin.preparation.sources.scannet.sens import SensFile
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.posed_images import (DEPTH_TO_COLOR, INTRINSIC,
                                             PosedImages)

SCAN = 'scene0000_00'
TOOL = (
    Path(__file__).parents[4] / 'tools/preparation/extract_scannet_frames.py')


def sens_path(tmp_path, scan=SCAN, folder='scans'):
    return tmp_path / 'raw' / folder / scan / f'{scan}.sens'


def extract(tmp_path, **options):
    # The frames are noise.
    step = SensFrames(tmp_path / 'raw',
                      **dict(dict(stride=1, is_checked=False), **options))
    console = Console(file=io.StringIO())
    return run_step(step, tmp_path / 'out', RunOptions(workers=0), console)


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('extract_frames', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_frames_are_what_was_recorded(raw, tmp_path):
    frames = raw.frames()
    raw.write_sens(sens_path(tmp_path), frames)
    report = extract(tmp_path, stride=2)
    assert (report.made, report.skipped) == (3, {})
    images = PosedImages(tmp_path / 'out')
    assert images.scans() == [SCAN]
    assert images.frames(SCAN) == ['00000', '00002', '00004']
    for name in images.frames(SCAN):
        truth = frames[int(name)]
        content = (tmp_path / 'out' / SCAN / f'{name}.jpg').read_bytes()
        assert content == truth.color
        np.testing.assert_array_equal(images.read_pose(SCAN, name), truth.pose)
        depth = np.asarray(Image.open(tmp_path / 'out' / SCAN / f'{name}.png'))
        assert depth.dtype == np.uint16
        np.testing.assert_array_equal(depth, truth.depth)


def test_cameras_are_those_of_the_header(raw, tmp_path):
    raw.write_sens(sens_path(tmp_path), raw.frames(1))
    extract(tmp_path)
    cameras = PosedImages(tmp_path / 'out').cameras(SCAN)
    color, _, depth, _ = raw.cameras()
    np.testing.assert_array_equal(cameras.color_intrinsics, color[:3, :3])
    np.testing.assert_array_equal(cameras.depth_intrinsics, depth[:3, :3])
    np.testing.assert_array_equal(cameras.depth_to_color, np.eye(4))
    assert not cameras.is_single


def test_extrinsics_take_depth_to_colour(raw, tmp_path):
    matrices = raw.cameras()
    matrices[1, 0, 3], matrices[3, 0, 3] = 0.02, 0.05
    path = raw.write_sens(
        tmp_path / 'a.sens', raw.frames(1), matrices=matrices)
    found = camera_matrices(SensFile(str(path)).header, False, 'a')
    np.testing.assert_allclose(
        found[DEPTH_TO_COLOR][:3, 3], [0.03, 0, 0], atol=1e-7)


@pytest.mark.parametrize('place, value, message', [
    ((0, 0, 0), -1, 'pinhole'),
    ((2, 1, 2), np.nan, 'pinhole'),
    ((3, 0, 0), 2, 'depth extrinsics'),
])
def test_impossible_cameras_skip_the_scan(raw, tmp_path, place, value,
                                          message):
    matrices = raw.cameras()
    matrices[place] = value
    raw.write_sens(sens_path(tmp_path), raw.frames(2), matrices=matrices)
    report = extract(tmp_path)
    assert report.made == 0
    assert message in report.skipped[SCAN]


def test_resized_colour_sees_the_same_points(raw, tmp_path):
    raw.write_sens(sens_path(tmp_path), raw.frames(1))
    path = str(sens_path(tmp_path))
    full = camera_matrices(SensFile(path).header, False, 'a')[INTRINSIC]
    extract(tmp_path, resize_color=True)
    frame = PosedImages(tmp_path / 'out').read(SCAN, '00000')
    assert frame.color.shape[:2] == frame.depth.shape
    points = back_project(
        np.full((12, 16), 2.0), frame.cameras.depth_intrinsics,
        np.arange(12 * 16))
    large = project(points, full)[0]
    small = project(points, frame.cameras.color_intrinsics)[0]
    np.testing.assert_allclose((large + 0.5) / 2 - 0.5, small, atol=1e-5)


@pytest.mark.parametrize('color_type', [0, 1])
def test_other_colour_formats_become_jpeg(raw, tmp_path, color_type):
    frames = raw.frames(1)
    image = np.full((24, 32, 3), (200, 90, 30), np.uint8)  # r, g, b
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG')
    frames[0].color = image.tobytes() if color_type == 0 else buffer.getvalue()
    raw.write_sens(sens_path(tmp_path), frames, color_type=color_type)
    assert extract(tmp_path).made == 1
    color = PosedImages(tmp_path / 'out').read_color(SCAN, '00000')
    assert np.abs(color.astype(int) - image).max() <= 3


def test_bad_frames_are_skipped_and_counted(raw, tmp_path):
    frames = raw.frames(8)
    frames[1].pose[:] = -np.inf
    frames[2].pose[0, 3] = np.nan
    frames[3].depth[:] = 0
    frames[4].color = frames[4].color[:-10]
    frames[5].depth = b'no zlib'
    frames[6].color = raw.jpeg(0, (8, 8))
    frames[7].pose[0, 0] = 3
    raw.write_sens(sens_path(tmp_path), frames)
    report = extract(tmp_path)
    assert report.made == 1
    reasons = {k.split('/')[1]: v for k, v in report.skipped.items()}
    assert sorted(reasons) == [f'{i:05}' for i in range(1, 8)]
    for name, text in reasons.items():
        path = f'scans/{SCAN}/{SCAN}.sens'
        assert text.startswith(f'{path}, frame {name}: ')
    assert 'no pixel has depth' in reasons['00003']
    assert 'JPEG' in reasons['00004']
    assert 'the depth is damaged' in reasons['00005']
    assert '(8, 8)' in reasons['00006']
    counts = count_reasons(report.skipped)
    assert counts['the pose is not finite'] == 2
    assert sum(counts.values()) == 7
    record = Store(tmp_path / 'out').manifest()[SCAN]
    assert record.items['00003'].status == 'skipped'
    assert list(record.completed) == ['00000']


def test_a_truncated_recording_keeps_its_whole_frames(raw, tmp_path):
    path = raw.write_sens(sens_path(tmp_path), raw.frames())
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    report = extract(tmp_path)
    assert report.made == 2
    assert all('truncated: 2 of 6 frames' in text
               for text in report.skipped.values())
    path.write_bytes(content)  # copied again
    report = extract(tmp_path)
    assert (report.made, report.kept, report.skipped) == (6, 0, {})


def test_a_damaged_header_skips_only_its_scan(raw, tmp_path):
    raw.write_sens(sens_path(tmp_path), raw.frames(2))
    raw.write_sens(
        sens_path(tmp_path, 'scene0707_00', 'scans_test'), raw.frames(1))
    sens_path(tmp_path).write_bytes(b'\4\0')
    report = extract(tmp_path)
    assert report.made == 1
    assert report.skipped[SCAN].startswith(
        f'scans/{SCAN}/{SCAN}.sens is empty or cut off in its header')


def test_a_step_in_use_goes_to_workers(raw, tmp_path):
    raw.write_sens(sens_path(tmp_path), raw.frames(3))
    step = SensFrames(tmp_path / 'raw', stride=1)
    step.scans()
    first = step.process(SCAN, ['00001', '00002'])
    copy = pickle.loads(pickle.dumps(step))
    assert copy.process(SCAN, ['00001', '00002']) == first


def test_another_stride_is_refused(raw, tmp_path):
    raw.write_sens(sens_path(tmp_path), raw.frames(2))
    extract(tmp_path)
    with pytest.raises(StoreError, match='stride 1, now 2'):
        extract(tmp_path, stride=2)
    with pytest.raises(StoreError, match='stride'):
        extract(tmp_path, stride=0)


def test_asked_scans_must_have_recordings(raw, tmp_path):
    raw.write_sens(sens_path(tmp_path), raw.frames(1))
    sens_path(tmp_path, 'scene0001_00').parent.mkdir()
    assert SensFrames(tmp_path / 'raw').scans() == [SCAN]
    with pytest.raises(StoreError, match='no recording scene0001_00/scene'):
        SensFrames(tmp_path / 'raw', only=[SCAN, 'scene0001_00']).scans()
    with pytest.raises(StoreError, match='holds no scan folder'):
        SensFrames(tmp_path / 'elsewhere').scans()
    sens_path(tmp_path).unlink()
    with pytest.raises(StoreError, match='no recording <scan>/<scan>.sens'):
        SensFrames(tmp_path / 'raw').scans()


def test_tool(raw, tmp_path, tool, capsys):
    frames = raw.frames(5)
    frames[2].pose[:] = np.nan
    raw.write_sens(sens_path(tmp_path), frames)
    raw.write_sens(sens_path(tmp_path, 'scene0001_00'), frames)
    names = tmp_path / 'list.txt'
    names.write_text(f'{SCAN}\n')
    out = tmp_path / 'out'
    arguments = ['--source', str(tmp_path / 'raw'), '--out', str(out)]
    arguments += ['--stride', '2', '--workers', '0', '--list', str(names)]
    assert tool.main(arguments) == 0
    assert '1 skipped: the pose is not finite' in capsys.readouterr().out
    assert PosedImages(out).frames(SCAN) == ['00000', '00004']
    settings = json.loads((out / 'store.json').read_text())['settings']
    assert settings == dict(source='scannet', stride=2, color='as recorded')
    assert not (out / 'scene0001_00').exists()
    assert tool.main(arguments[:-1] + [str(tmp_path / 'no')]) == 1
    assert 'error: ' in capsys.readouterr().err


def test_frames_of_others_are_not_replaced(raw, tmp_path, tool, capsys):
    raw.write_sens(sens_path(tmp_path), raw.frames(2))
    other = tmp_path / f'out/{SCAN}/00000.txt'
    other.parent.mkdir(parents=True)
    other.write_text('of mmdet3d')
    arguments = ['--source', str(tmp_path / 'raw'), '--workers', '0']
    arguments += ['--out', str(tmp_path / 'out')]
    assert tool.main(arguments) == 1
    assert f'out/{SCAN} exists' in capsys.readouterr().err
    assert other.read_text() == 'of mmdet3d'
