from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.scans.instances import (complete_labels,
                                                              instance_boxes,
                                                              smallest_box)
from sam3d_plugin.preparation.sources.scans.scan import Scan, ScanError


def make_scan(room, keys=(), boxes=None):
    return Scan(
        'a',
        Path('a.ply'),
        room['xyz'].astype(float),
        room['rgb'],
        np.eye(4),
        boxes=None if boxes is None else boxes[:, :6],
        box_classes=None if boxes is None else boxes[:, 6].astype(int),
        **{key: room[key].astype(np.int64)
           for key in keys})


def test_smallest_box_takes_the_point():
    boxes = np.array([[0, 0, 0, 4, 4, 4], [0, 0, 0, 1, 1, 1],
                      [0, 0, 0, 1, 1, 1], [9, 0, 0, 1, 1, 1.]])
    xyz = np.array([[0, 0, .5], [1, 1, 1], [9, 0, 0], [5, 5, 5]])
    assert smallest_box(xyz, boxes).tolist() == [1, 0, 3, -1]
    assert smallest_box(xyz, np.zeros((0, 6))).tolist() == [-1] * 4


def test_boxes_become_masks(rooms, room):
    scan = complete_labels(make_scan(room, (), rooms.boxes(room)))
    is_chair = room['instance'] == 1
    assert (scan.instance[is_chair] == 1).all()
    assert (scan.semantic[is_chair] == 5).all()
    outside = room['xyz'][:, 2] > 1.1
    assert (scan.instance[outside] == 0).all()
    assert (scan.semantic[outside] == 0).all()
    assert 'each point takes the smallest box' in scan.notes[0]


def test_boxes_take_points_of_their_class_only(rooms, room):
    scan = complete_labels(make_scan(room, ('semantic', ), rooms.boxes(room)))
    objects = np.where(room['instance'] <= 2, room['instance'], 0)
    assert np.array_equal(scan.instance, objects)
    assert np.array_equal(scan.semantic, room['semantic'])


def test_masks_become_boxes(rooms, room):
    scan = complete_labels(make_scan(room, ('semantic', 'instance')))
    assert np.allclose(scan.boxes, rooms.boxes(room)[:, :6])
    assert scan.box_classes.tolist() == [5, 7]
    assert 'boxes from masks' in scan.notes[0]


def test_flat_instances_keep_a_volume():
    xyz = np.array([[0, 0, 0], [1, 1, 0.]])
    boxes, classes = instance_boxes(xyz, np.array([1, 1]), np.array([5, 5]))
    assert boxes.tolist() == [[.5, .5, 0, 1, 1, .001]]
    assert classes.tolist() == [5]


def test_given_boxes_and_masks_stay(rooms, room):
    boxes = rooms.boxes(room)[:1]
    scan = complete_labels(make_scan(room, ('semantic', 'instance'), boxes))
    assert np.array_equal(scan.boxes, boxes[:, :6])
    assert np.array_equal(scan.instance, room['instance'])
    assert scan.notes == []


def test_unlabelled_scans_have_no_objects(room):
    scan = complete_labels(make_scan(room))
    assert len(scan.boxes) == 0 and not scan.instance.any()
    assert 'without objects' in scan.notes[0]
    scan = complete_labels(make_scan(room, ('semantic', )))
    assert len(scan.boxes) == 0 and 'semantic ids only' in scan.notes[0]


def test_strays_do_not_join_the_background(room):
    room['instance'][room['instance'] == 1] = 0
    room['instance'][room['instance'] == 4] = 0
    scan = complete_labels(make_scan(room, ('semantic', 'instance')))
    background = scan.semantic[scan.instance == 0]
    assert set(background) == {1}
    assert len(np.unique(scan.instance[scan.semantic == 5])) == 1
    assert '300 points of chair' in scan.notes[-1]


def test_instances_without_classes_are_refused(room):
    with pytest.raises(ScanError, match='a.ply has instance ids but neither'):
        complete_labels(make_scan(room, ('instance', )))


def test_boxes_outside_the_scan_are_refused(rooms, room):
    boxes = rooms.boxes(room)
    boxes[1, 0] += 50
    with pytest.raises(ScanError, match='1 of 2 boxes'):
        complete_labels(make_scan(room, (), boxes))


def test_boxes_without_points_are_noted(rooms, room):
    boxes = rooms.boxes(room)
    boxes[1, :6] = [3.9, 2.9, 2, .05, .05, .05]
    scan = complete_labels(make_scan(room, (), boxes))
    assert scan.notes[0] == '1 boxes hold no point'


def test_boxes_in_other_units_than_the_points_are_refused(rooms, room):
    """All are near the origin, which is within the points."""
    boxes = rooms.boxes(room)
    boxes[:, :6] *= 0.001
    with pytest.raises(ScanError, match='2 of 2 boxes hold no point'):
        complete_labels(make_scan(room, (), boxes))


def test_more_than_64_boxes_are_refused(rooms, room):
    boxes = rooms.boxes(room)
    complete_labels(make_scan(room, (), boxes[[0] * 64]))
    with pytest.raises(ScanError, match='a.ply has 65 boxes.*split the scan'):
        complete_labels(make_scan(room, (), boxes[[0] * 65]))
