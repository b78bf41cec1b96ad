"""VDETR from points to losses and to boxes."""
import copy

import pytest
import torch
from mmdet3d.structures import DepthInstance3DBoxes

from sam3d_plugin.models.dense_heads.three_detr_losses import MatchedPairs
from tests.models.test_three_detr import CHAIR, TABLE, evaluate
from tests.models.three_detr_cases import make_batch
from tests.models.vdetr_cases import WEIGHTS, build


@pytest.mark.parametrize('query_content, with_rot', [('learned', True),
                                                     ('tokens', False)])
def test_every_parameter_learns(query_content, with_rot):
    detector = build(with_rot=with_rot, query_content=query_content)
    inputs, samples = make_batch([CHAIR, TABLE], [TABLE], with_rot=with_rot)
    losses = detector.loss(inputs, samples)
    assert set(losses) == {'loss_point'} | {
        prefix + name
        for prefix in ('loss_', 'aux.loss_')
        for name in ('cls', 'center', 'size', 'dir_class', 'dir_res', 'giou')
    }
    assert all(value.shape == () and value >= 0 for value in losses.values())
    sum(losses.values()).backward()
    # One angle class cannot be wrong, nor its residual without rotation.
    unused = () if with_rot else ('dir_class', 'dir_res')
    for name, parameter in detector.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        is_unused = any(part in name for part in unused)
        # A bias of all keys alike shifts logits, which softmax ignores.
        if not is_unused and not name.endswith('key_projection.bias'):
            assert parameter.grad.abs().sum() > 0, name


def test_layers_do_not_teach_the_boxes_that_they_look_at():
    """Boxes are detached between stages; only what they are read from learns.
    """
    detector = build()
    losses = detector.loss(*make_batch([CHAIR, TABLE]))
    losses['loss_center'].backward()
    head = detector.bbox_head
    for mlps in head.box_mlps[:-1]:
        assert all(p.grad is None or not p.grad.any()
                   for p in mlps.parameters())
    assert head.box_mlps[-1]['center'][-1].weight.grad.any()


def test_the_tokens_likeliest_in_an_object_propose():
    detector = build().eval()
    inputs, _ = make_batch([CHAIR])
    features = detector.extract_feat(inputs)
    head = detector.bbox_head
    for mlp in head.box_mlps[0].values():
        mlp[-1].weight.data.zero_()
        mlp[-1].bias.data.zero_()
    found = head(inputs['points'], features)
    best = found['point_logits'][0].topk(12).indices
    boxes = found['boxes'][0, 0]
    torch.testing.assert_close(boxes[:, :3], found['point_xyz'][0, best])
    torch.testing.assert_close(boxes[:, 3:6], torch.ones(12, 3))
    logits = found['cls_logits'][0, 0]
    assert (logits == logits[:, :1]).all()


def test_classification_loss_in_closed_form():
    """Logits of 0: a query loses .25 or .75 of log(2)/4 for each class."""
    head = build().bbox_head
    pairs = MatchedPairs(*torch.tensor([(0, 0, 1, 0), (1, 0, 3, 0), (1, 0, 2,
                                                                     0)]).T)
    found = head.classification_loss(
        torch.zeros(2, 1, 6, 4), torch.tensor([2]), pairs,
        torch.tensor([1., 2]))
    unit = torch.tensor(2.).log() / 4
    torch.testing.assert_close(
        found,
        torch.stack(((.25 + 5 * .75) * unit, (2 * .25 + 22 * .75) * unit / 2)))


def random_predictions(detector, inputs):
    head = detector.bbox_head
    return head(inputs['points'], detector.extract_feat(inputs))


def targets_of(detector, inputs, samples):
    coder = detector.bbox_head.bbox_coder
    return [
        dict(
            coder.encode(sample.gt_instances_3d.bboxes_3d, points.amin(dim=0),
                         points.amax(dim=0)),
            labels=sample.gt_instances_3d.labels_3d)
        for points, sample in zip(inputs['points'], samples)
    ]


def test_order_of_boxes_and_scenes_is_irrelevant():
    detector = build().eval()
    inputs, samples = make_batch([CHAIR, TABLE], [], [TABLE])
    predictions = random_predictions(detector, inputs)
    targets = targets_of(detector, inputs, samples)
    expected = detector.bbox_head.loss_by_feat(predictions, targets)
    flipped = [{
        name: value.flip(0)
        for name, value in target.items()
    } for target in targets][::-1]
    shuffled = {
        name: value.flip(0 if name.startswith('point') else 1)
        for name, value in predictions.items()
    }
    for name, value in detector.bbox_head.loss_by_feat(shuffled,
                                                       flipped).items():
        torch.testing.assert_close(value, expected[name])


def test_a_batch_without_boxes_learns_background_alone():
    losses = build().loss(*make_batch([], []))
    for name, value in losses.items():
        assert (value > 0) == name.endswith(('loss_cls', 'loss_point'))


def test_unknown_contents_of_queries_are_refused():
    with pytest.raises(ValueError, match='query_content'):
        build(query_content='random')


def test_a_loss_of_weight_0_is_not_computed():
    losses = build(loss_weights=dict(WEIGHTS, giou=0.)).loss(
        *make_batch([CHAIR]))
    assert 'loss_giou' not in losses and 'loss_center' in losses


def test_moving_the_scene_moves_the_boxes():
    """Positions are counted from the floor, and as fractions of the scene."""
    detector = build().eval()
    inputs, _ = make_batch([CHAIR, TABLE])
    shift = torch.tensor([2., -1, 0])
    moved = dict(points=[points + shift for points in inputs['points']])
    first, second = (
        random_predictions(detector, batch) for batch in (inputs, moved))
    torch.testing.assert_close(
        second['cls_logits'], first['cls_logits'], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        second['boxes'][..., :3] - shift,
        first['boxes'][..., :3],
        atol=1e-3,
        rtol=1e-3)


def test_scenes_of_a_batch_do_not_mix():
    detector = build().eval()
    inputs, samples = make_batch([CHAIR], [TABLE, CHAIR], [])
    detector.bbox_head.test_cfg.update(score_thr=0., min_points=0)
    together = detector.predict(inputs, copy.deepcopy(samples))
    for points, sample, expected in zip(inputs['points'], samples, together):
        alone, = detector.predict(dict(points=[points]), [sample])
        mine, theirs = alone.pred_instances_3d, expected.pred_instances_3d
        torch.testing.assert_close(mine.scores_3d, theirs.scores_3d)
        torch.testing.assert_close(mine.bboxes_3d.tensor,
                                   theirs.bboxes_3d.tensor)
        assert len(mine) > 0


def test_scores_are_probabilities_of_each_class_alone():
    head = build().bbox_head
    scores = head.scores(torch.tensor([[[2., -1, 0, -3]]]))[0]
    boxes = torch.tensor([[.5, .5, .5, 1, 1, 1, 0]])
    points = torch.rand(50, 3)
    found = head._select_boxes(boxes, scores, points, DepthInstance3DBoxes)
    best = torch.tensor(2.).sigmoid()
    assert found.labels_3d.tolist() == [0]
    torch.testing.assert_close(found.scores_3d, best[None])
    head.test_cfg['per_class_proposal'] = True
    found = head._select_boxes(boxes, scores, points, DepthInstance3DBoxes)
    torch.testing.assert_close(found.scores_3d,
                               torch.tensor([2., -1, 0, -3]).sigmoid())


def test_a_scene_is_overfitted():
    """From points to AP 1, through matching, boxes and NMS."""
    detector = build(with_rot=False, num_queries=16, query_content='tokens')
    inputs, samples = make_batch([CHAIR, TABLE], with_rot=False)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 150)
    for _ in range(150):
        losses = detector.loss(inputs, samples)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10.)
        optimizer.step()
        schedule.step()
    detector.eval()
    with torch.no_grad():
        found, = detector.predict(inputs, copy.deepcopy(samples))
    metrics = evaluate([(found.pred_instances_3d, samples[0])])
    assert metrics['mAP_0.25'] == metrics['mAP_0.50'] == 1
