"""What AP means here: VoteNet's published definition, as mmdet3d computes it.

Area under the precision-recall curve, rotated 3D IoU, each true box matched
once, predictions of all scenes in the order of their scores.
"""
import math

import numpy as np
import pytest
import torch
from mmdet3d.evaluation import indoor_eval
from mmdet3d.registry import METRICS
from mmdet3d.structures import Box3DMode, DepthInstance3DBoxes

import sam3d_plugin  # noqa: F401 (registers)

CLASSES = ('chair', 'table')


def boxes(rows):
    """Boxes by gravity centre, sizes and yaw."""
    tensor = torch.tensor(np.asarray(rows), dtype=torch.float32)
    return DepthInstance3DBoxes(tensor.reshape(-1, 7), origin=(.5, .5, .5))


def scene(true, true_labels, predicted, labels, scores):
    """A result as ``IndoorMetric.process`` keeps it."""
    return (dict(
        gt_bboxes_3d=boxes(true), gt_labels_3d=np.array(true_labels, int)),
            dict(
                bboxes_3d=boxes(predicted),
                labels_3d=torch.tensor(labels, dtype=torch.long),
                scores_3d=torch.tensor(scores)))


def evaluate(results, iou_thr=(0.25, 0.5), classes=CLASSES):
    metric = METRICS.build(
        dict(type='PresentClassIndoorMetric', iou_thr=list(iou_thr)))
    metric.dataset_meta = dict(classes=classes, box_type_3d='depth')
    return metric.compute_metrics(results)


def cube(x, yaw=0., size=1.):
    return [x, 0, 0, size, size, size, yaw]


def test_area_under_the_curve_by_hand():
    """Hit, miss, hit: 0.5 * 1 + 0.5 * 2 / 3; eleven points give 0.848."""
    results = [
        scene([cube(0), cube(5)], [0, 0],
              [cube(0), cube(9), cube(5)], [0, 0, 0], [.9, .8, .7])
    ]
    assert evaluate(results)['chair_AP_0.25'] == pytest.approx(5 / 6)


def test_second_box_on_the_same_object_is_a_miss():
    """Hit, miss, hit again, whatever the overlap of the second."""
    results = [
        scene([cube(0), cube(5)], [0, 0],
              [cube(.1), cube(0), cube(5)], [0, 0, 0], [.9, .8, .7])
    ]
    assert evaluate(results)['chair_AP_0.25'] == pytest.approx(5 / 6)


def test_scores_rank_over_all_scenes():
    """The miss of the second scene stands before the hit of the first."""
    results = [
        scene([cube(0)], [0], [cube(0)], [0], [.5]),
        scene([cube(0)], [0], [cube(7)], [0], [.6])
    ]
    scores = evaluate(results)
    assert scores['chair_AP_0.25'] == pytest.approx(.25)
    assert scores['chair_rec_0.25'] == pytest.approx(.5)


def test_scenes_without_true_or_predicted_boxes_count():
    """Two misses in a scene without objects stand before the only hit."""
    results = [
        scene([], [], [cube(0), cube(5)], [0, 0], [.9, .8]),
        scene([cube(0)], [0], [cube(0)], [0], [.7]),
        scene([cube(0)], [0], [], [], [])
    ]
    scores = evaluate(results)
    assert scores['chair_AP_0.25'] == pytest.approx(1 / 3 / 2)
    assert scores['chair_rec_0.25'] == pytest.approx(1 / 2)


def test_no_prediction_at_all_is_a_score_of_zero():
    assert evaluate([scene([cube(0)], [0], [], [], [])])['mAP_0.25'] == 0


def test_mean_over_classes():
    results = [
        scene([cube(0), cube(5)], [0, 1], [cube(0), cube(9)], [0, 1], [.9, .8])
    ]
    scores = evaluate(results)
    assert scores['mAP_0.50'] == pytest.approx(.5)
    assert scores['mAR_0.50'] == pytest.approx(.5)


def test_iou_is_that_of_rotated_boxes():
    """A square on itself turned by 45 degrees: an octagon, IoU sqrt(1/2)."""
    results = [scene([cube(0)], [0], [cube(0, math.pi / 4)], [0], [.9])]
    scores = evaluate(results, (.70, .71))
    assert scores['chair_AP_0.70'] == 1 and scores['chair_AP_0.71'] == 0


def test_half_turn_and_swapped_sizes_are_the_same_box():
    long = [0, 0, 0, 2, 1, 1, .3]
    same = [[0, 0, 0, 2, 1, 1, .3 + math.pi],
            [0, 0, 0, 1, 2, 1, .3 - math.pi / 2]]
    for row in same:
        results = [scene([long], [0], [row], [0], [.9])]
        assert evaluate(results, (.5, .99))['chair_AP_0.99'] == 1


def random_results(seed, scenes=4):
    """Scenes of both classes; predictions are moved true boxes and noise."""
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(scenes):
        true = np.hstack([
            rng.uniform(0, 6, (6, 3)) * (1, 1, .1),
            rng.uniform(.5, 2, (6, 3)),
            rng.uniform(-3, 3, (6, 1))
        ])
        noise = rng.normal(0, .12, (18, 7))
        predicted = np.tile(true, (3, 1)) + noise * rng.uniform(0, 2, (18, 1))
        results.append(
            scene(true, [0, 1] * 3, predicted, [0, 1] * 9,
                  rng.uniform(size=18).astype(np.float32)))
    return results


@pytest.mark.parametrize('seed', range(3))
def test_equals_mmdet3d(seed):
    results = random_results(seed)
    expected = indoor_eval([truth for truth, _ in results],
                           [prediction for _, prediction in results],
                           [.25, .5],
                           CLASSES,
                           box_mode_3d=Box3DMode.DEPTH)
    scores = evaluate(results)
    assert scores.keys() == expected.keys()
    for key, value in expected.items():
        assert scores[key] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize('seed', range(3))
def test_equals_slow_reference_of_the_published_definition(seed):
    results = random_results(seed)
    scores = evaluate(results)
    assert .05 < scores['mAP_0.50'] < .95
    for label, name in enumerate(CLASSES):
        for threshold in (.25, .5):
            assert scores[f'{name}_AP_{threshold:.2f}'] == pytest.approx(
                average_precision(results, label, threshold), abs=1e-6)


def average_precision(results, label, threshold):
    """AP of a class: one prediction, one true box at a time."""
    ranked, taken, total = [], set(), 0
    for i, (truth, found) in enumerate(results):
        total += int((truth['gt_labels_3d'] == label).sum())
        for j in np.flatnonzero(found['labels_3d'] == label):
            ranked.append((-float(found['scores_3d'][j]), i, j))
    hits = []
    for _, i, j in sorted(ranked):
        truth, found = results[i]
        candidates = np.flatnonzero(truth['gt_labels_3d'] == label)
        overlaps = [
            iou(truth['gt_bboxes_3d'][int(k)], found['bboxes_3d'][int(j)])
            for k in candidates
        ]
        best = int(np.argmax(overlaps))
        key = (i, candidates[best])
        hits.append(overlaps[best] > threshold and key not in taken)
        taken |= {key} if hits[-1] else set()
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    # every hit adds one step of recall, at the best precision from there on
    return sum(precision[i:].max() for i in np.flatnonzero(hits)) / total


def iou(first, second):
    """IoU of two boxes by clipping one rectangle with the other's sides."""
    polygon = list(rectangle(first))
    sides = rectangle(second)
    for start, end in zip(sides, np.roll(sides, -1, axis=0)):
        polygon = clip(polygon, start, end)
    area = shoelace(polygon)
    bottoms, tops = zip(*((float(b.bottom_height), float(b.top_height))
                          for b in (first, second)))
    shared = area * max(min(tops) - max(bottoms), 0)
    return shared / (float(first.volume) + float(second.volume) - shared)


def rectangle(box):
    """Corners (4, 2), counter-clockwise."""
    x, y, _, dx, dy, _, yaw = box.tensor[0].double().tolist()
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (dx / 2, dy / 2)
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    return corners @ turn + (x, y)


def clip(polygon, start, end):
    """The part of a polygon left of a line."""
    side = end - start
    kept = []
    for here, there in zip(polygon, polygon[1:] + polygon[:1]):
        gaps = [
            side[0] * (p - start)[1] - side[1] * (p - start)[0]
            for p in (here, there)
        ]
        if gaps[0] >= 0:
            kept.append(here)
        if gaps[0] * gaps[1] < 0:
            kept.append(here + (there - here) * gaps[0] / (gaps[0] - gaps[1]))
    return kept


def shoelace(polygon):
    if len(polygon) < 3:
        return 0.
    x, y = np.array(polygon).T
    return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
