"""Recordings for the Rerun viewer, by a stand-in that keeps what it gets.

The library needs numpy 2 and half a gigabyte. Files that version 0.41 wrote
for these functions were read with its own reader.
"""
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.inference import Detections, Segmentation, write_detections
from sam3d_plugin.inference.writers import write_segmentation
from sam3d_plugin.visualization.boxes import LabelledBoxes, box_corners

STAND_IN = """
import json

def make(kind):
    def build(*args, **kwargs):
        return dict(kind=kind, args=args, **kwargs)
    return build

Points3D, Boxes3D, AnnotationContext = map(
    make, ('points', 'boxes', 'context'))

class ViewCoordinates:
    RIGHT_HAND_Z_UP = dict(kind='z up')

class RecordingStream:
    def __init__(self, application_id):
        self.content = None

    def binary_stream(self):
        self.content = {}
        return self

    def log(self, path, what, static):
        assert static
        self.content.setdefault(path, []).append(what)

    def read(self):
        plain = lambda value: value.tolist()
        return json.dumps(self.content, default=plain).encode()
"""
POINTS = np.random.default_rng(0).uniform(0, 2, (50, 3))


@pytest.fixture
def rerun(tmp_path, monkeypatch):
    (tmp_path / 'library').mkdir()
    (tmp_path / 'library' / 'rerun.py').write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / 'library')
    monkeypatch.delitem(sys.modules, 'rerun', raising=False)
    yield
    sys.modules.pop('rerun', None)


def detections():
    boxes = LabelledBoxes([[1, 1, .5, .6, .4, 1, .3], [2, 1, .5, 1, 1, 1, 0],
                           [0, 1, .5, .5, .5, 1, -2.]],
                          ['night stand', 'bed', 'night stand'], [.9, .8, .7])
    return Detections('room', boxes, POINTS, None, np.eye(4), .3, 'kNN', [])


def read(path):
    return json.loads(Path(path).read_text())


def test_boxes_are_where_they_are_in_the_other_files(rerun, tmp_path):
    found = detections()
    content = read(write_detections(found, tmp_path)['rrd'])
    assert content['scan'] == [dict(kind='z up')]
    points, = content['scan/points']
    np.testing.assert_allclose(points['args'][0], POINTS)
    stands, = content['scan/predicted/night_stand']
    assert stands['labels'] == ['night stand 0.90', 'night stand 0.70']
    assert len(content['scan/predicted/bed'][0]['centers']) == 1
    expected = box_corners(found.boxes.boxes[[0, 2]])
    signs = (np.arange(8)[:, None] >> np.arange(3) & 1) * 2 - 1
    for i, (x, y, z, w) in enumerate(stands['quaternions']):
        assert x == y == 0 and np.isclose(z * z + w * w, 1)
        turn = np.array([[1 - 2 * z * z, -2 * z * w, 0],
                         [2 * z * w, 1 - 2 * z * z, 0], [0, 0, 1]])
        corners = signs * stands['half_sizes'][i] @ turn.T
        np.testing.assert_allclose(
            corners + stands['centers'][i], expected[i], atol=1e-9)


def test_classes_of_points_are_written(rerun, tmp_path):
    labels = np.arange(50) % 2
    found = Segmentation('room', labels, np.ones(50), ('wall', 'floor'),
                         [[1, 2, 3], [4, 5, 6]], POINTS, np.eye(4), 'kNN', [])
    content = read(write_segmentation(found, tmp_path)['rrd'])
    assert content['scan/points'][0]['class_ids'] == labels.tolist()
    assert content['scan'][1]['args'] == [[[0, 'wall', [1, 2, 3]],
                                           [1, 'floor', [4, 5, 6]]]]


def test_without_the_library_the_other_files_are_written(
        tmp_path, monkeypatch):
    monkeypatch.setattr('sam3d_plugin.inference.writers.has_rerun',
                        lambda: False)
    paths = write_detections(detections(), tmp_path)
    assert set(paths) == {'json', 'ply', 'png', 'html'}
    assert all(path.is_file() for path in paths.values())
