"""Corners, overlap and matching of boxes."""
import numpy as np
import pytest

from sam3d_plugin.visualization.boxes import (BOX_EDGES, NO_BOXES,
                                              LabelledBoxes, box_corners,
                                              box_iou, match_boxes)

UNIT = np.array([0.0, 0, 0, 1, 1, 1, 0])
# What two unit squares share when one is turned by 45 degrees.
OCTAGON = 2 * (np.sqrt(2) - 1)


def shifted(*change: float) -> np.ndarray:
    return UNIT + np.pad(change, (0, 7 - len(change)))


def test_corners_of_a_turned_box_lie_where_its_yaw_points():
    box = [1, 2, 3, 4, 2, 1, np.pi / 2]
    corners = box_corners([box])[0]
    # The long side points along y after a quarter turn.
    np.testing.assert_allclose(corners.min(axis=0), [0, 0, 2.5], atol=1e-9)
    np.testing.assert_allclose(corners.max(axis=0), [2, 4, 3.5], atol=1e-9)
    # The far end of the box's own x axis is at +y: counter-clockwise.
    assert corners[1, 1] > corners[0, 1]


def test_edges_have_the_lengths_of_the_sides():
    corners = box_corners([[0, 0, 0, 1, 2, 3, 0.7]])[0]
    lengths = np.linalg.norm(
        corners[BOX_EDGES[:, 0]] - corners[BOX_EDGES[:, 1]], axis=1)
    np.testing.assert_allclose(np.sort(lengths), np.repeat([1, 2, 3], 4))


@pytest.mark.parametrize('other, expected', [
    (UNIT, 1.0),
    (shifted(0.5), 1 / 3),
    (shifted(0, 0, 0.5), 1 / 3),
    (shifted(1.5), 0.0),
    (shifted(0, 0, 0, 1, 1, 1), 1 / 8),
    (shifted(0, 0, 0, 0, 0, 0, np.pi / 2), 1.0),
    (shifted(0, 0, 0, 0, 0, 0, np.pi / 4), OCTAGON / (2 - OCTAGON)),
])
def test_iou_equals_closed_form(other: np.ndarray, expected: float):
    far = np.array([1000.0, -2000, 50, 0, 0, 0, 0])
    assert box_iou(UNIT, other)[0, 0] == pytest.approx(expected, abs=1e-9)
    moved = box_iou(UNIT + far, other + far)[0, 0]
    assert moved == pytest.approx(expected, abs=1e-9)


def test_iou_of_turned_boxes_equals_counting_samples():
    rng = np.random.default_rng(0)
    boxes = rng.uniform([-.5, -.5, -.5, .5, .5, .5, -3],
                        [.5, .5, .5, 2, 2, 2, 3], (6, 7))
    samples = rng.uniform(-2, 2, size=(100000, 3))
    inside = []
    for box in boxes:
        cos, sin = np.cos(box[6]), np.sin(box[6])
        turned = (samples - box[:3]) @ [[cos, -sin, 0], [sin, cos, 0],
                                        [0, 0, 1]]
        inside.append((np.abs(turned) <= box[3:6] / 2).all(axis=1))
    inside = np.array(inside, dtype=float)
    shared = inside @ inside.T
    count = np.diag(shared)
    expected = shared / (count[:, None] + count[None] - shared)
    np.testing.assert_allclose(box_iou(boxes, boxes), expected, atol=0.02)


def test_iou_of_nothing_has_no_entries():
    assert box_iou(np.zeros((0, 7)), UNIT).shape == (0, 1)
    assert box_iou(UNIT, np.zeros((0, 7))).shape == (1, 0)


def test_true_box_goes_to_the_best_score_of_its_class():
    true = LabelledBoxes(np.stack([UNIT, shifted(5)]), ['chair', 'table'])
    predicted = LabelledBoxes(
        np.stack([shifted(0.1), UNIT,
                  shifted(5), shifted(5.62)]),
        ['chair', 'chair', 'chair', 'table'], [0.9, 0.8, 0.7, 0.6])
    # Second best chair, wrong class and IoU 0.235 match nothing.
    matches = match_boxes(predicted, true)
    np.testing.assert_array_equal(matches, [0, -1, -1, -1])
    np.testing.assert_array_equal(
        match_boxes(predicted, true, 0.2), [0, -1, -1, 1])


def test_matching_without_boxes_is_empty():
    some = LabelledBoxes(UNIT[None], ['chair'], [0.5])
    assert match_boxes(NO_BOXES, some).shape == (0, )
    np.testing.assert_array_equal(match_boxes(some, NO_BOXES), [-1])


def test_selected_boxes_keep_their_captions():
    boxes = LabelledBoxes(
        np.stack([UNIT, shifted(1)])[:, :6], ['bed', 'sofa'], [0.25, 0.5])
    kept = boxes.select(np.array([False, True]))
    assert kept.captions() == ('sofa 0.50', )
    assert kept.boxes[0, 0] == 1 and kept.boxes.shape == (1, 7)


@pytest.mark.parametrize('boxes, names, message', [
    (np.zeros((2, 5)), ['a', 'b'], 'must be'),
    (np.full((1, 7), np.nan), ['a'], 'not finite'),
    (np.ones((2, 7)), ['a'], '2 boxes came with 1'),
])
def test_wrong_boxes_are_refused(boxes: np.ndarray, names: list, message: str):
    with pytest.raises(ValueError, match=message):
        LabelledBoxes(boxes, names)
