"""What a detector writes lies where the scan lies, and is read as such."""
import json

import numpy as np
import pytest
from plyfile import PlyData

from sam3d_plugin.inference import Predictor, write_detections
from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 prepare_scan)
from sam3d_plugin.preparation.sources.scans.scan import CLASS_NAMES
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from tests.conftest import write_scannet
from tests.inference.test_predictor import forget_logger  # noqa: F401
from tests.inference.test_predictor import (predict_by_tool, save_model,
                                            small_config)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return save_model(small_config(), tmp_path_factory.mktemp('votenet'))


@pytest.fixture
def room(tmp_path):
    """The room 'a' of write_scannet: xyz, rgb and its octants."""
    write_scannet(tmp_path / 'scannet', ('a', ))
    points = np.fromfile(tmp_path / 'scannet/points/a.bin', np.float32)
    xyz, rgb = np.hsplit(points.reshape(-1, 6), 2)
    return xyz, rgb, (xyz > np.median(xyz, axis=0)) @ np.array([1, 2, 4])


def test_map_coordinates_lose_nothing(files, room, tmp_path):
    """UTM: five million metres, of which float32 keeps half a metre."""
    xyz, rgb, regions = room
    xyz = np.round(xyz.astype(np.float64) * 1024) / 1024  # exact far away, too
    utm = np.array([451234., 5411876., 312.])
    predict = Predictor(*files)
    found = []
    for name, move in (('near', np.zeros(3)), ('far', utm)):
        path = tmp_path / name / 'a.npz'  # its name seeds the sampling
        path.parent.mkdir()
        np.savez(path, xyz=xyz + move, rgb=rgb, region=regions)
        found.append(predict(path, score_thr=0.))
    near, far = found
    assert near.boxes.names == far.boxes.names and len(far) > 0
    moved = near.boxes.boxes + np.append(utm, np.zeros(4))
    assert np.allclose(far.boxes.boxes, moved, atol=1e-4)
    assert np.array_equal(far.points, xyz + utm)
    written = write_detections(far, tmp_path / 'out')
    vertices = PlyData.read(str(written['ply']))['vertex']
    read = np.stack([vertices[axis] for axis in 'xyz'], 1)[:len(xyz)]
    assert np.array_equal(read, xyz + utm)


def test_command_line_keeps_map_coordinates(files, room, tmp_path):
    """Boxes and points lie where the scan lies, to the last digit written."""
    xyz, rgb, regions = room
    xyz = np.round(xyz.astype(np.float64) * 1024) / 1024  # exact far away, too
    utm = np.array([451234., 5411876., 312.])
    found = {}
    for name, move in (('near', np.zeros(3)), ('far', utm)):
        path = tmp_path / name / 'a.npz'
        path.parent.mkdir()
        np.savez(path, xyz=xyz + move, rgb=rgb, region=regions)
        out = tmp_path / f'{name}_out'
        assert predict_by_tool(*files, str(path), '--score-thr', '0', '--out',
                               str(out)) == 0
        vertices = PlyData.read(str(out / 'a.ply'))['vertex']
        points = np.stack([vertices[axis] for axis in 'xyz'], 1)
        found[name] = json.loads((out / 'a.json').read_text()), points
    (near, _), (far, points) = found['near'], found['far']
    assert len(far['boxes']) == len(near['boxes']) > 0
    for box, other in zip(far['boxes'], near['boxes']):
        assert box['class'] == other['class']
        np.testing.assert_allclose(
            box['center'], other['center'] + utm, rtol=0, atol=2e-4)
        np.testing.assert_allclose(box['size'], other['size'], atol=2e-4)
    assert np.array_equal(points[:len(xyz)], xyz + utm)
    # What is read back is the scan, without the drawn boxes.
    read = read_scan(tmp_path / 'far_out/a.ply', ReadOptions())
    assert np.array_equal(read.xyz, xyz + utm)
    assert np.array_equal(read.rgb, rgb.astype(np.uint8))


def test_found_boxes_are_labels_of_an_import(files, room, tmp_path):
    """From tools/predict.py to tools/preparation/import_scans.py."""
    xyz, rgb, regions = room
    utm = np.array([451234., 5411876., 312.])
    source = tmp_path / 'source'
    source.mkdir()
    np.savez(source / 'a.npz', xyz=xyz + utm, rgb=rgb, region=regions)
    assert predict_by_tool(*files, str(source / 'a.npz'), '--score-thr', '0',
                           '--out', str(tmp_path / 'out')) == 0
    found = json.loads((tmp_path / 'out/a.json').read_text())
    low, high = xyz.min(0) + utm, xyz.max(0) + utm
    boxes = [
        box for box in found['boxes']
        if min(box['size']) > 0 and (np.abs(box['center'] -
                                            (low + high) / 2) < (high - low) /
                                     2).all()
    ][:64]
    assert boxes
    (source / 'a.boxes.json').write_text(json.dumps(dict(found, boxes=boxes)))
    scan = prepare_scan(source / 'a.npz', ImportOptions(source, tmp_path))
    expected = np.array([[*box['center'], *box['size']] for box in boxes])
    np.testing.assert_allclose(
        scan.boxes + [*scan.aligned_offset, 0, 0, 0], expected, atol=1e-5)
    assert [CLASS_NAMES[i]
            for i in scan.box_classes] == [box['class'] for box in boxes]


@pytest.mark.parametrize('without', ['colors', 'nothing'])
def test_ply_says_what_its_colors_show(files, room, tmp_path, without):
    found = Predictor(*files)(room[0],
                              None if without == 'colors' else room[1])
    path = write_detections(found, tmp_path)['ply']
    if without == 'colors':
        read = read_scan(path, ReadOptions())
        assert (read.rgb == 128).all()
        assert any('colors of height' in note for note in read.notes)
    else:
        rgb = read_scan(path, ReadOptions()).rgb
        assert np.array_equal(rgb, room[1].astype(np.uint8))
