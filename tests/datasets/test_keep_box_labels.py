"""Few labelled boxes: which are kept, and what becomes of the others."""
import numpy as np
import pytest
import torch
from mmdet3d.models import VoteHead
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import DepthInstance3DBoxes, DepthPoints

import sam3d_plugin  # noqa: F401 (registers)

BACKGROUND = 18


def make_results(scene_boxes=5, name='scene.bin', with_masks=True):
    """A row of boxes 2 m apart of 20 points each, and 50 on a wall."""
    rng = np.random.default_rng(0)
    centers = np.array([[2. * i, 0, 1]
                        for i in range(scene_boxes)]).reshape(-1, 3)
    points, instance, semantic = [rng.uniform(-1, 0, (50, 3))], [0] * 50, []
    labels = np.arange(scene_boxes) % 2 + 3
    semantic = [BACKGROUND] * 50
    for i, center in enumerate(centers):
        inside = rng.uniform(-.5, .5, (18, 3))
        corners = np.array([[-.5] * 3, [.5] * 3])
        points.append(center + np.concatenate([corners, inside]))
        # ids of instances are in another order than the boxes
        instance += [scene_boxes - i] * 20
        semantic += [labels[i]] * 20
    tensor = torch.tensor(np.concatenate(points), dtype=torch.float32)
    boxes = torch.tensor(
        np.hstack([centers, np.ones((scene_boxes, 3))]), dtype=torch.float32)
    results = dict(
        lidar_points=dict(lidar_path=f'points/{name}'),
        points=DepthPoints(tensor),
        gt_bboxes_3d=DepthInstance3DBoxes(
            boxes, box_dim=6, with_yaw=False, origin=(.5, .5, .5)),
        gt_labels_3d=labels)
    if with_masks:
        results.update(
            pts_instance_mask=np.array(instance),
            pts_semantic_mask=np.array(semantic))
    return results


def keep(num_boxes, seed=0, **options):
    step = TRANSFORMS.build(
        dict(
            type='KeepBoxLabels',
            num_boxes=num_boxes,
            ignore_index=BACKGROUND,
            seed=seed))
    results = make_results(**options)
    return step(results)


def places(results):
    """Which of the row's boxes are there."""
    x = results['gt_bboxes_3d'].gravity_center[:, 0].numpy()
    return set(np.rint(x / 2).astype(int).tolist())


def test_same_boxes_every_time_and_more_hold_fewer():
    kept = [places(keep(k)) for k in (1, 2, 4)]
    assert [len(boxes) for boxes in kept] == [1, 2, 4]
    assert kept[0] < kept[1] < kept[2]
    np.random.seed(3)
    assert places(keep(2)) == kept[1]


def test_seed_and_scan_choose():
    chosen = {frozenset(places(keep(2, seed))) for seed in range(8)}
    assert len(chosen) > 2
    chosen = {
        frozenset(places(keep(2, name=f'scene{i}.bin')))
        for i in range(8)
    }
    assert len(chosen) > 2


def test_labels_follow_their_boxes():
    results = keep(2)
    expected = [i % 2 + 3 for i in sorted(places(results))]
    assert results['gt_labels_3d'].tolist() == expected


def test_masks_agree_with_the_boxes():
    results = keep(2)
    semantic = results['pts_semantic_mask']
    xyz = results['points'].coord.numpy()
    is_labelled = semantic < BACKGROUND
    assert is_labelled.sum() == 40
    assert set(np.rint(xyz[is_labelled, 0] / 2).astype(int)) == places(results)


def test_votes_go_to_kept_boxes_only():
    """VoteHead's targets on masks are those of the boxes that are left."""
    results = keep(2)
    head = VoteHead.__new__(VoteHead)
    torch.nn.Module.__init__(head)
    head.num_classes, head.gt_per_seed, head.num_dir_bins = 18, 3, 1
    head.train_cfg = dict(pos_distance_thr=.3, neg_distance_thr=.6)
    head.num_sizes = 18

    class Coder:
        with_rot, mean_sizes = False, [[1., 1, 1]] * 18

        @staticmethod
        def encode(boxes, labels):
            zeros = labels.new_zeros(len(labels))
            return (boxes.gravity_center, labels, boxes.dims - 1, zeros,
                    zeros.float())

    head.bbox_coder = Coder()
    points = results['points'].tensor
    votes, is_vote, *_ = head._get_targets_single(
        points, results['gt_bboxes_3d'],
        torch.from_numpy(results['gt_labels_3d']),
        torch.from_numpy(results['pts_semantic_mask']),
        torch.from_numpy(results['pts_instance_mask']), points[:8])
    assert is_vote.sum() == 40
    targets = (points + votes[:, :3])[is_vote.bool()]
    centers = results['gt_bboxes_3d'].gravity_center
    gaps = torch.cdist(targets, centers).min(dim=1)[0]
    assert gaps.max() < 1e-4


def test_without_masks_only_boxes_go():
    results = keep(2, with_masks=False)
    assert len(results['gt_bboxes_3d']) == 2
    assert 'pts_semantic_mask' not in results


@pytest.mark.parametrize('num_boxes', [5, 9, None])
def test_enough_boxes_stay_as_they_are(num_boxes):
    results = keep(num_boxes)
    assert len(results['gt_bboxes_3d']) == 5
    assert (results['pts_semantic_mask'] < BACKGROUND).sum() == 100


def test_scene_without_boxes_stays_empty():
    assert len(keep(1, scene_boxes=0)['gt_labels_3d']) == 0


def test_wrong_places_in_the_pipeline_are_named():
    step = TRANSFORMS.build(
        dict(type='KeepBoxLabels', num_boxes=1, ignore_index=BACKGROUND))
    results = make_results()
    results['points'] = results['points'][:30]
    with pytest.raises(ValueError, match='before PointSample'):
        step(results)
    results = make_results()
    results['pts_semantic_mask'][3] = 39
    with pytest.raises(ValueError, match='behind PointSegClassMapping'):
        step(results)
    with pytest.raises(ValueError, match='at least 1'):
        TRANSFORMS.build(
            dict(type='KeepBoxLabels', num_boxes=0, ignore_index=BACKGROUND))
