"""The sections of a report on fine-tunings."""
import re
from dataclasses import replace

import numpy as np
import pytest

from sam3d_plugin.visualization import finetuning_sections as sections
from sam3d_plugin.visualization.boxes import LabelledBoxes
from sam3d_plugin.visualization.pages import render
from sam3d_plugin.visualization.scene import Scene

PALETTE = dict(floor=(10, 20, 30), chair=(200, 0, 0), table=(0, 0, 200))
XYZ = np.random.default_rng(0).uniform(size=(60, 3)) * (4, 3, 2)


def make_run(scores=None, steps=400, encoder='encoder.pth'):
    return sections.FineTuning(
        model='VoteNet',
        encoder=encoder,
        steps=steps,
        step_s=.5,
        losses=(8.25, 2.),
        val_rooms=4,
        palette=PALETTE,
        scores=scores or {})


def make_detected():
    """Two true boxes; the best prediction matches, two others do not."""
    boxes = np.array([[1, 1, .5, 1, 1, 1], [3, 2, .5, 1, 1, 1]])
    return Scene(
        'room', XYZ, np.full((60, 3), 90, np.uint8),
        LabelledBoxes(boxes, ['chair', 'table']),
        LabelledBoxes(boxes[[0, 1, 1]], ['chair', 'chair', 'table'],
                      np.array([.9, .8, .7])))


def test_the_detector_of_the_package_has_no_curve():
    run = replace(
        make_run({
            'mAP_0.25': .5,
            'mAP_0.50': .25
        }, steps=5000), losses=None)
    section = sections.detection_section([make_detected()], run)
    assert 'comes with the package' in section.claim
    assert '5,000 steps on other made-up rooms' in section.body
    assert 'Boxes of a detector that comes with' in section.body
    assert 'id="shipped0"' in section.body


def make_segmented():
    """Of 40 labeled points, 30 are right."""
    true = np.repeat([0, 1, 3], 20)
    predicted = np.where(np.arange(60) < 10, 1, true.clip(max=1))
    return sections.SegmentedRoom('room', XYZ, true, predicted)


def test_as_many_predictions_are_shown_as_there_are_boxes():
    scores = {
        'mAP_0.25': .5,
        'mAP_0.50': .25,
        'chair_AP_0.25': 1.,
        'chair_AP_0.50': 0.,
        'chair_rec_0.25': 1.
    }
    section = sections.detection_section([make_detected()], make_run(scores))
    body = section.body
    assert 'room: 1 of 2 true boxes are matched' in body
    assert 'true: 2 boxes' in body and 'the 2 best of 3' in body
    assert body.count('data:image/jpeg') == 2 and 'id="detection0"' in body
    assert '50.0 on 4 validation rooms' in body
    assert '400 steps of 0.50 s, 3 min 20 s in all' in body
    assert '8.25 … 2<' in body and 'encoder.pth' in body
    assert re.search(r'chair</td><td>100.0</td><td>0.0</td>', body)
    assert 'table</td>' not in body  # not in the scores


def test_points_are_true_predicted_and_wrong():
    section = sections.segmentation_section([make_segmented()],
                                            make_run(dict(miou=.5, acc=.75)))
    body = section.body
    assert 'room: 75% of 40 labeled points are right' in body
    assert body.count('data:image/jpeg') == 3
    shown = re.search(r'<ul class="legend">.*?</ul>', body, re.S)[0]
    assert re.findall(r'#(\w{6})"></i>(.*?)<',
                      shown) == [('c80000', 'chair'), ('0a141e', 'floor'),
                                 ('e1e1e1', 'no label')]
    for label in ('true', 'predicted', 'wrong'):
        assert f'"{label}": "' in body


def test_a_room_where_nothing_is_found_is_shown():
    room = make_detected()
    empty = Scene('empty', room.points, room.colors, room.true)
    body = sections.detection_section([empty], make_run()).body
    assert 'empty: 0 of 2 true boxes' in body and 'the 0 best of 0' in body


def test_what_was_not_measured_is_said():
    run = make_run(encoder='')
    for section in (sections.detection_section([make_detected()], run),
                    sections.segmentation_section([make_segmented()], run)):
        assert 'not measured; tools/test.py' in section.body
        assert 'nothing: untrained' in section.body
        assert 'Class by class' not in section.body


def test_a_short_fine_tuning_is_called_one():
    rooms = [make_segmented()]
    short = sections.segmentation_section(rooms, make_run(steps=400)).body
    long = sections.segmentation_section(rooms, make_run(steps=30000)).body
    assert 'short fine-tuning, 400 steps with one seed' in short
    assert 'short fine-tuning' not in long


def test_points_that_got_lost_are_refused():
    with pytest.raises(ValueError, match='60 points, 60 labels and 59 pred'):
        sections.SegmentedRoom('room', XYZ, np.zeros(60, int),
                               np.zeros(59, int))


@pytest.mark.parametrize('labels',
                         [['Detection', 'Segmentation'], ['Segmentation'], []])
def test_the_introduction_says_whether_there_was_a_fine_tuning(labels):
    shown = [dict(label=label, body='', claim='') for label in labels]
    page = render(
        'report.html',
        title='',
        plotly='',
        sections=shown,
        unfinished='',
        reload_s=1)
    assert ('(fine-tuning)' in page) == bool(labels)


def test_a_detector_and_that_of_the_package_are_told_apart():
    run = make_run({'mAP_0.25': .5, 'mAP_0.50': .25})
    found = [
        sections.detection_section([make_detected()], each)
        for each in (replace(run, losses=None), run)
    ]
    page = render(
        'report.html',
        title='',
        plotly='',
        sections=found,
        unfinished='',
        reload_s=1)
    contents = re.search('<nav>(.*?)</nav>', page, re.S)[1]
    assert re.findall('>(.*?)</a>',
                      contents) == ['Boxes of the package', 'Boxes']
    assert len(set(re.findall(r'id="(\w+)"',
                              page))) == len(re.findall(r'id="(\w+)"', page))
    claims = re.findall('<li>(.*?)</li>', page, re.S)
    assert len(claims) == 1 and claims[0].endswith(' '.join(
        section.claim for section in found))


def test_claims_are_the_scores_and_need_them():
    run = make_run({'mAP_0.25': .5, 'mAP_0.50': .25})
    claim = sections.detection_section([make_detected()], run).claim
    assert 'AP25 50.0 and AP50 25.0' in claim
    assert not sections.detection_section([make_detected()], make_run()).claim
    run = make_run(dict(miou=.5, acc=.75))
    claim = sections.segmentation_section([make_segmented()], run).claim
    assert 'mIoU 50.0' in claim
