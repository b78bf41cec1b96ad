"""Equal to mmdet3d's metric when every class occurs, defined when not."""
import math

import numpy as np
import pytest
import torch
from mmdet3d.evaluation import IndoorMetric
from mmdet3d.registry import METRICS
from mmdet3d.structures import DepthInstance3DBoxes

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.evaluation import present_class_indoor_metric

CLASSES = ('chair', 'table', 'bed')


def make_results(gt_labels, predicted_labels, seed=0):
    """One scene of unit boxes 3 m apart; predictions are a bit off."""
    rng = np.random.default_rng(seed)
    centers = np.zeros((len(predicted_labels), 3))
    centers[:, 0] = 3 * np.arange(len(predicted_labels))
    true = np.concatenate((centers, np.ones_like(centers)), 1)
    predicted = true + rng.uniform(-0.15, 0.15, true.shape)

    def boxes(array):
        return DepthInstance3DBoxes(
            torch.tensor(array, dtype=torch.float32),
            box_dim=6,
            with_yaw=False,
            origin=(.5, .5, .5))

    truth = dict(
        gt_bboxes_3d=boxes(true[:len(gt_labels)]),
        gt_labels_3d=np.array(gt_labels))
    prediction = dict(
        bboxes_3d=boxes(predicted),
        scores_3d=torch.from_numpy(
            rng.uniform(size=len(predicted_labels)).astype('float32')),
        labels_3d=torch.tensor(predicted_labels))
    return [(truth, prediction)]


def compute(metric, results):
    metric.dataset_meta = dict(classes=CLASSES, box_type_3d='depth')
    return metric.compute_metrics(results)


def test_equals_parent_when_all_classes_occur():
    results = make_results([0, 1, 2, 0, 1], [0, 1, 1, 0, 2, 2, 0])
    ours = METRICS.build(dict(type='PresentClassIndoorMetric'))
    expected = compute(IndoorMetric(), results)
    scores = compute(ours, results)
    assert scores.keys() == expected.keys()
    for key, value in expected.items():
        assert scores[key] == pytest.approx(value, abs=1e-6)


@pytest.mark.filterwarnings('error::DeprecationWarning')
@pytest.mark.parametrize('name', ['IndoorMetric', 'PresentClassIndoorMetric'])
def test_metrics_convert_no_arrays_to_numbers(name):
    """numpy warns of that from 1.25 on, and raises from 2.4 on."""
    metric = METRICS.build(dict(type=name))
    scores = compute(metric, make_results([0, 1, 2], [0, 1, 2]))
    assert scores['mAP_0.25'] == 1


def test_absent_class_is_left_out_and_named(monkeypatch):
    said = []
    monkeypatch.setattr(present_class_indoor_metric, 'print_log',
                        lambda text, **_: said.append(text))
    results = make_results([0, 0], [0, 0, 1])
    assert math.isnan(compute(IndoorMetric(), results)['mAP_0.25'])
    scores = compute(
        METRICS.build(dict(type='PresentClassIndoorMetric')), results)
    assert scores['mAP_0.25'] == scores['chair_AP_0.25'] == 1
    assert 'table_AP_0.25' not in scores
    assert said == [
        '2 of 3 classes have no true box in this split and are '
        'left out: table, bed'
    ]


def test_class_without_predictions_counts_as_zero():
    scores = compute(
        METRICS.build(dict(type='PresentClassIndoorMetric')),
        make_results([0, 1], [0, 2]))
    assert scores['mAP_0.25'] == 0.5


def test_split_without_boxes_is_refused():
    with pytest.raises(ValueError, match='no scene of the split'):
        compute(
            METRICS.build(dict(type='PresentClassIndoorMetric')),
            make_results([], [0]))
