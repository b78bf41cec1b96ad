"""Equal to mmdet3d's metric when every class occurs, defined when not."""
import numpy as np
import pytest
from mmdet3d.evaluation import SegMetric, seg_eval
from mmdet3d.registry import METRICS

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.evaluation import present_class_seg_metric

NAMES = {0: 'wall', 1: 'floor', 2: 'chair'}
IGNORED = 3


def compute(metric, truths, predictions):
    metric.dataset_meta = dict(label2cat=NAMES, ignore_index=IGNORED)
    return metric.compute_metrics([
        (dict(pts_semantic_mask=np.array(truth)),
         dict(pts_semantic_mask=np.array(prediction)))
        for truth, prediction in zip(truths, predictions)
    ])


def ours():
    return METRICS.build(dict(type='PresentClassSegMetric'))


def test_equals_mmdet3d_when_all_classes_occur():
    rng = np.random.default_rng(0)
    truths = [rng.integers(0, 4, 500), rng.integers(0, 4, 300)]
    predictions = [rng.integers(0, 3, 500), rng.integers(0, 3, 300)]
    scores = compute(ours(), truths, predictions)
    for expected in (compute(SegMetric(), truths, predictions),
                     seg_eval(truths, predictions, NAMES, IGNORED)):
        assert scores.keys() == expected.keys()
        for key, value in expected.items():
            assert scores[key] == pytest.approx(value, abs=1e-6)


def test_case_counted_by_hand():
    """Two scans; IoU is intersection over union of both together."""
    scores = compute(ours(), [[0, 0, 0, 1, 1, 3], [2, 2, 1]],
                     [[0, 0, 1, 1, 0, 2], [2, 0, 1]])
    assert scores['wall'] == pytest.approx(2 / 5)  # of 3, and 2 too many
    assert scores['floor'] == pytest.approx(2 / 4)  # of 3, and 1 too many
    assert scores['chair'] == pytest.approx(1 / 2)  # of 2; ignored: none
    assert scores['miou'] == pytest.approx((.4 + .5 + .5) / 3)
    assert scores['acc'] == pytest.approx(5 / 8)
    assert scores['acc_cls'] == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)


def test_absent_class_is_left_out_and_named(monkeypatch):
    said = []
    monkeypatch.setattr(present_class_seg_metric, 'print_log',
                        lambda text, **_: said.append(text))
    truths, predictions = [[0, 0, 1, 1]], [[0, 2, 1, 1]]
    stock = compute(SegMetric(), truths, predictions)
    assert stock['miou'] == pytest.approx((.5 + 1 + 0) / 3)
    scores = compute(ours(), truths, predictions)
    assert scores['miou'] == pytest.approx((.5 + 1) / 2)
    assert scores['wall'] == .5 and 'chair' not in scores
    for key in ('acc', 'acc_cls'):
        assert scores[key] == stock[key]
    assert said == [
        '1 of 3 classes have no labeled point in this split and are left '
        'out: chair; the mIoU of the others is 0.7500'
    ]
    assert np.isfinite(list(scores.values())).all()


def test_absent_class_that_nobody_predicts_changes_nothing():
    scores = compute(ours(), [[0, 0, 1, 1]], [[0, 1, 1, 1]])
    assert scores['miou'] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_split_without_labels_is_refused():
    with pytest.raises(ValueError, match='no point of the split has a label'):
        compute(ours(), [[3, 3]], [[0, 1]])
