"""ThreeDETR from points to losses and to boxes."""
import copy
import math

import pytest
import torch
from mmdet3d.evaluation import IndoorMetric
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes

from tests.models import vdetr_cases
from tests.models.test_three_detr_parts import raw_of
from tests.models.three_detr_cases import (MASKED, SET_ABSTRACTION, TOKENS,
                                           build, make_batch)

CHAIR = [1., 1, .5, .6, .8, 1, .5]
TABLE = [3., 2, .4, 1.2, .8, .8, -2]
# What both heads must do is tested once.
DETECTORS = dict(three_detr=build, vdetr=vdetr_cases.build)
BACKBONES = dict(tokens=TOKENS, plain=SET_ABSTRACTION, masked=MASKED)


@pytest.mark.parametrize('with_rot', [True, False])
@pytest.mark.parametrize('queries', ['fps', 'tokens'])
@pytest.mark.parametrize('backbone', list(BACKBONES))
def test_every_parameter_learns(backbone, queries, with_rot):
    detector = build(
        BACKBONES[backbone],
        with_rot,
        queries=queries,
        num_queries=12 if queries == 'fps' else None)
    inputs, samples = make_batch([CHAIR, TABLE], [TABLE], with_rot=with_rot)
    losses = detector.loss(inputs, samples)
    assert set(losses) == {
        prefix + name
        for prefix in ('loss_', 'aux.loss_')
        for name in ('cls', 'center', 'size', 'dir_class', 'dir_res', 'giou')
    }
    assert all(value.shape == () and value >= 0 for value in losses.values())
    sum(losses.values()).backward()
    without = [
        name for name, parameter in detector.named_parameters()
        if parameter.grad is None or not torch.isfinite(parameter.grad).all()
    ]
    assert without == []


def test_building_leaves_the_config_alone():
    cfg = copy.deepcopy(MASKED)
    MODELS.build(cfg)
    assert cfg == MASKED


def small(**kwargs):
    return build(**kwargs).eval()


def head_targets(detector, samples, scenes):
    return [
        dict(
            detector.bbox_head.bbox_coder.encode(
                sample.gt_instances_3d.bboxes_3d, *scene),
            labels=sample.gt_instances_3d.labels_3d)
        for sample, scene in zip(samples, scenes)
    ]


def perfect(detector, targets, scene, num_queries=6):
    """Predictions of one layer: the true boxes, then "no object"."""
    coder = detector.bbox_head.bbox_coder
    num_boxes = len(targets['labels'])
    extra = num_queries - num_boxes
    far = {
        name: torch.cat([value, value[:1].expand(extra, *value.shape[1:])])
        for name, value in targets.items()
    }
    query_xyz = far['boxes'][:, :3]
    predictions = coder.decode(
        raw_of(far, query_xyz, coder), query_xyz[None],
        *(limit[None] for limit in scene))
    labels = far['labels'].clone()
    labels[num_boxes:] = 4
    predictions['cls_logits'] = 100. * torch.nn.functional.one_hot(
        labels, 5)[None, None].float()
    return predictions


def test_perfect_predictions_cost_nothing():
    """With yaws of quarter turns: else the box around both is larger."""
    detector = small()
    inputs, samples = make_batch([[*CHAIR[:6], math.pi / 2],
                                  [*TABLE[:6], -math.pi]])
    scene = inputs['points'][0].amin(dim=0), inputs['points'][0].amax(dim=0)
    targets = head_targets(detector, samples, [scene])
    losses = detector.bbox_head.loss_by_feat(
        perfect(detector, targets[0], scene), targets)
    assert all(value.item() < 1e-4 for value in losses.values())


def random_predictions(num_layers, num_scenes, num_queries=7):
    generator = torch.Generator().manual_seed(3)

    def rand(channels):
        return torch.rand(
            num_layers, num_scenes, num_queries, channels, generator=generator)

    return dict(
        boxes=rand(7),
        center=rand(3),
        size=rand(3),
        dir_class=rand(12),
        dir_res=rand(12),
        cls_logits=rand(5))


def test_order_of_boxes_queries_and_scenes_is_irrelevant():
    head = small().bbox_head
    inputs, samples = make_batch([CHAIR, TABLE], [], [TABLE])
    scenes = [(points.amin(dim=0), points.amax(dim=0))
              for points in inputs['points']]
    targets = head_targets(small(), samples, scenes)
    predictions = random_predictions(2, 3)
    expected = head.loss_by_feat(predictions, targets)
    flipped = [{
        name: value.flip(0)
        for name, value in target.items()
    } for target in targets][::-1]
    shuffled = {name: value.flip(1, 2) for name, value in predictions.items()}
    for name, value in head.loss_by_feat(shuffled, flipped).items():
        torch.testing.assert_close(value, expected[name])


def test_layers_are_assigned_and_summed_alone():
    """The aux losses are the sums of what each layer alone would give."""
    head = small().bbox_head
    inputs, samples = make_batch([CHAIR, TABLE], [TABLE])
    scenes = [(points.amin(dim=0), points.amax(dim=0))
              for points in inputs['points']]
    targets = head_targets(small(), samples, scenes)
    predictions = random_predictions(3, 2)
    alone = [
        head.loss_by_feat(
            {
                name: value[i:i + 1]
                for name, value in predictions.items()
            }, targets) for i in range(3)
    ]
    together = head.loss_by_feat(predictions, targets)
    for name in ('loss_cls', 'loss_giou', 'loss_center', 'loss_dir_res'):
        torch.testing.assert_close(together[name], alone[2][name])
        torch.testing.assert_close(together[f'aux.{name}'],
                                   alone[0][name] + alone[1][name])


def test_a_loss_of_weight_0_is_not_computed():
    weights = dict(
        cls=1., center=5., size=1., dir_class=.1, dir_res=.5, giou=0.)
    detector = build(loss_weights=weights)
    losses = detector.loss(*make_batch([CHAIR]))
    assert 'loss_giou' not in losses and 'loss_center' in losses


@pytest.mark.parametrize('make', DETECTORS.values(), ids=DETECTORS)
@pytest.mark.parametrize(
    'scene', [
        [],
        [CHAIR],
        [[1., 1, .5, 0, 0, 0, 0]],
        [[1., 1, .5, 0, .5, .5, 1], [1., 1, .5, 0, .5, .5, 1]],
        [CHAIR] * 20,
    ],
    ids=['none', 'one', 'zero size', 'flat twins', 'more boxes than queries'])
def test_unusual_scenes_train(scene, make):
    detector = make()
    inputs, samples = make_batch(scene, [CHAIR], [])
    for sample in samples:
        sample.gt_instances_3d.labels_3d %= 4
    losses = detector.loss(inputs, samples)
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total) and total > 0
    for parameter in detector.parameters():
        assert torch.isfinite(parameter.grad).all()


def test_a_batch_without_boxes_learns_no_object_alone():
    losses = build().loss(*make_batch([], []))
    for name, value in losses.items():
        assert (value > 0) == name.endswith('loss_cls')


@pytest.mark.parametrize('make', DETECTORS.values(), ids=DETECTORS)
def test_fewer_tokens_than_queries(make):
    detector = make(num_queries=33)
    with pytest.raises(ValueError, match='32 tokens cannot give 33 queries'):
        detector.loss(*make_batch([CHAIR]))


def test_fewer_points_than_tokens():
    inputs, samples = make_batch([CHAIR], num_points=31)
    with pytest.raises(ValueError, match='31 points cannot give 32 tokens'):
        build(SET_ABSTRACTION).loss(inputs, samples)


def test_points_that_are_not_finite():
    inputs, samples = make_batch([CHAIR])
    inputs['points'][0][7, 1] = math.nan
    with pytest.raises(ValueError, match='points are not finite'):
        build(SET_ABSTRACTION).loss(inputs, samples)


@pytest.mark.parametrize('changes', [
    dict(queries='tokens'),
    dict(num_queries=None),
    dict(queries='random'),
])
def test_queries_are_checked(changes):
    with pytest.raises(ValueError, match="queries='fps' needs num_queries"):
        build(**changes)


def test_tokens_as_queries_keep_their_places():
    """Whatever the MLPs say, a box is near the token that asked for it."""
    detector = small(queries='tokens', num_queries=None)
    inputs, _ = make_batch([CHAIR])
    features = detector.extract_feat(inputs)
    boxes = detector.bbox_head(inputs['points'], features)['boxes']
    offsets = boxes[..., :3] - features['fp_xyz'][-1]
    assert boxes.shape[2] == 32 and offsets.abs().max() <= 1


@pytest.mark.parametrize('backbone', list(BACKBONES))
def test_scenes_of_a_batch_do_not_mix(backbone):
    detector = small(backbone=BACKBONES[backbone])
    inputs, samples = make_batch([CHAIR], [TABLE, CHAIR], [])
    detector.bbox_head.test_cfg['score_thr'] = 0.
    together = detector.predict(inputs, copy.deepcopy(samples))
    for points, sample, expected in zip(inputs['points'], samples, together):
        alone, = detector.predict(dict(points=[points]), [sample])
        mine, theirs = alone.pred_instances_3d, expected.pred_instances_3d
        assert torch.equal(mine.labels_3d, theirs.labels_3d)
        torch.testing.assert_close(mine.scores_3d, theirs.scores_3d)
        torch.testing.assert_close(mine.bboxes_3d.tensor,
                                   theirs.bboxes_3d.tensor)
        assert len(mine) > 0


def test_only_points_of_the_scene_count():
    """Further columns change nothing."""
    detector = small()
    inputs, _ = make_batch([CHAIR])
    more = [
        torch.cat((points, torch.rand(len(points), 2)), dim=1)
        for points in inputs['points']
    ]
    first, second = (
        detector._forward(dict(points=points))['boxes']
        for points in (inputs['points'], more))
    torch.testing.assert_close(first, second)


def evaluate(results):
    metric = IndoorMetric()
    metric.dataset_meta = dict(
        classes=('a', 'b', 'c', 'd'), box_type_3d='Depth')
    metric.process({}, [
        dict(
            pred_instances_3d=prediction,
            eval_ann_info=dict(
                gt_bboxes_3d=sample.gt_instances_3d.bboxes_3d,
                gt_labels_3d=sample.gt_instances_3d.labels_3d.numpy()))
        for prediction, sample in results
    ])
    return metric.compute_metrics(metric.results)


@pytest.mark.parametrize('with_rot', [True, False])
def test_perfect_boxes_have_ap_1(with_rot):
    """Doubles fall to the NMS, and mmdet3d's metric reads the rest."""
    detector = small(with_rot=with_rot)
    (points, ), (sample, ) = (
        list(part.values())[0] if isinstance(part, dict) else part
        for part in make_batch([CHAIR, TABLE], with_rot=with_rot))
    scene = points.amin(dim=0), points.amax(dim=0)
    targets, = head_targets(detector, [sample], [scene])
    boxes = targets['boxes'].repeat(3, 1)
    scores = torch.tensor([[.9, 0, 0, 0, .1], [0, .8, 0, 0, .2]] * 3)
    scores[2:] *= torch.tensor([.5, .5, .5, .5, 2])
    found = detector.bbox_head._select_boxes(boxes, scores, points,
                                             DepthInstance3DBoxes)
    assert len(found) == 2 and found.labels_3d.tolist() == [0, 1]
    torch.testing.assert_close(found.bboxes_3d.tensor[:, :6],
                               sample.gt_instances_3d.bboxes_3d.tensor[:, :6])
    metrics = evaluate([(found, sample)])
    assert metrics['mAP_0.25'] == metrics['mAP_0.50'] == 1


def test_doubles_of_another_class_stay():
    """The NMS is class-wise, and the likelier of two doubles wins."""
    head = small().bbox_head
    points = torch.rand(200, 3)
    boxes = torch.tensor([[.5, .5, .5, 1, 1, 1, 0]]).repeat(3, 1)
    scores = torch.tensor([[.7, .1, 0, 0, .2], [.8, 0, 0, 0, .2],
                           [0, .6, .1, 0, .3]])
    scores[0, -1] += .05
    found = head._select_boxes(boxes, scores, points, DepthInstance3DBoxes)
    assert sorted(found.labels_3d.tolist()) == [0, 1]
    assert sorted(found.scores_3d.tolist()) == pytest.approx([.7, .8])


def test_empty_and_unlikely_boxes_are_dropped():
    detector = small()
    points = torch.rand(50, 3)
    boxes = torch.tensor([[.5, .5, .5, 1, 1, 1, 0], [9, 9, 9, 1, 1, 1, 0],
                          [.5, .5, .5, .9, 1, 1, 0]])
    scores = torch.tensor([[.9, 0, 0, 0, .1], [.9, 0, 0, 0, .1],
                           [0, .04, 0, 0, .96]])
    head = detector.bbox_head
    found = head._select_boxes(boxes, scores, points, DepthInstance3DBoxes)
    assert found.labels_3d.tolist() == [0]
    assert found.scores_3d.tolist() == pytest.approx([.9])
    head.test_cfg['per_class_proposal'] = True
    found = head._select_boxes(boxes, scores, points, DepthInstance3DBoxes)
    assert found.labels_3d.tolist() == [0, 1, 2, 3]
    assert found.scores_3d.tolist() == pytest.approx([.81, 0, 0, 0])
    assert len(found.bboxes_3d) == 4
    found = head._select_boxes(boxes[1:2], scores[1:2], points,
                               DepthInstance3DBoxes)
    assert len(found) == 0


def test_encoder_weights_are_one_option(tmp_path):
    """The same config with init_cfg takes the encoder of a file."""
    torch.manual_seed(5)
    source = build().backbone
    state = {
        f'{part}.{name}': value + 1.
        for part in ('embedding', 'encoder')
        for name, value in getattr(source, part).state_dict().items()
        if value.is_floating_point()
    }
    torch.save(dict(state_dict=state), tmp_path / 'encoder.pth')
    pretrained = build(
        dict(
            TOKENS,
            init_cfg=dict(
                type='Pretrained',
                checkpoint=str(tmp_path / 'encoder.pth'),
                allow_missing=['num_batches_tracked'])))
    name = 'blocks.0.qkv.weight'
    torch.testing.assert_close(pretrained.backbone.encoder.state_dict()[name],
                               state[f'encoder.{name}'])


def test_two_boxes_are_learnt():
    """The loss of a scene falls to a fraction."""
    detector = build()
    inputs, samples = make_batch([CHAIR, TABLE])
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-2)
    history = []
    for _ in range(30):
        loss = sum(detector.loss(inputs, samples).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.4 * history[0]
