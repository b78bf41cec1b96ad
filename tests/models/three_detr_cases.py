"""Small 3DETR models and scenes that several tests share."""
import copy

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample
from mmengine.structures import InstanceData

NUM_CLASSES = 4
TOKENS = dict(
    type='PointTokenBackbone',
    tokenizer=dict(type='KNNTokenizer', num_tokens=32, num_neighbors=8),
    embedding=dict(
        type='PointPatchEmbed', embed_dims=32, hidden_dims=(8, 16, 32)),
    encoder=dict(type='PlainPointTransformer', embed_dims=32, depth=1),
    out_channels=48)
SET_ABSTRACTION = dict(
    type='ThreeDETRBackbone',
    pre_encoder=dict(
        num_point=32,
        radius=0.4,
        num_sample=8,
        mlp_channels=[0, 16, 48],
        use_xyz=True,
        normalize_xyz=True),
    encoder=dict(type='ThreeDETREncoder', embed_dims=48, feedforward_dims=16))
MASKED = copy.deepcopy(SET_ABSTRACTION)
MASKED['encoder'].update(
    radii=[0.4, 0.8, 1.2],
    downsample=dict(
        num_point=16,
        radius=0.6,
        num_sample=4,
        mlp_channels=[48, 48],
        use_xyz=True,
        normalize_xyz=True))


def detector_cfg(backbone=TOKENS, with_rot=True, **head):
    """Config of a small detector; the head's arguments can be replaced."""
    bbox_head = dict(
        type='ThreeDETRHead',
        num_classes=NUM_CLASSES,
        in_channels=48,
        queries='fps',
        num_queries=12,
        decoder=dict(
            embed_dims=32, num_layers=2, feedforward_dims=32, dropout=0.),
        mlp_dropout=0.,
        bbox_coder=dict(
            type='ThreeDETRBoxCoder',
            num_dir_bins=12 if with_rot else 1,
            with_rot=with_rot,
            max_center_offset=1.),
        loss_weights=dict(
            cls=1., center=5., size=1., dir_class=.1, dir_res=.5, giou=1.),
        no_object_weight=.25)
    bbox_head.update(head)
    return copy.deepcopy(
        dict(
            type='ThreeDETR',
            backbone=backbone,
            bbox_head=bbox_head,
            train_cfg=dict(
                assigner=dict(
                    type='BoxSetAssigner',
                    class_cost=1.,
                    objectness_cost=1.,
                    center_cost=5.,
                    giou_cost=2.,
                    with_rot=with_rot)),
            test_cfg=dict(
                nms_thr=.25,
                score_thr=.05,
                min_points=5,
                per_class_proposal=False)))


def build(*args, **kwargs):
    """A small detector with weights of its own."""
    torch.manual_seed(0)
    detector = MODELS.build(detector_cfg(*args, **kwargs))
    detector.init_weights()
    return detector


def make_scene(boxes, labels=None, seed=0, num_points=400, with_rot=True):
    """Points of a room, a third of them in boxes, and its data sample.

    Args:
        boxes (list): (n, 7) geometric centres, sizes, yaw.
        labels (list): Classes; 0, 1, ... when None.
        seed (int): Of the points.
        num_points (int): Points of the room.
        with_rot (bool): Whether boxes keep their yaw.

    Returns:
        tuple: (N, 3) points and the sample.
    """
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(num_points, 3, generator=generator)
    points = points * torch.tensor([4., 3, 2])
    tensor = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 7)
    for i, box in enumerate(tensor):
        part = slice(i * num_points // 9, (i + 1) * num_points // 9)
        inside = torch.rand(num_points // 9 + 1, 3, generator=generator) - 0.5
        points[part] = box[:3] + (inside * box[3:6])[:len(points[part])]
    if labels is None:
        labels = list(range(len(tensor)))
    truth = DepthInstance3DBoxes(
        tensor, with_yaw=with_rot, origin=(.5, .5, .5))
    sample = Det3DDataSample(metainfo=dict(box_type_3d=DepthInstance3DBoxes))
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=truth, labels_3d=torch.tensor(labels, dtype=torch.long))
    return points, sample


def make_batch(*scenes, **kwargs):
    """Inputs and data samples of scenes given by their boxes."""
    made = [
        make_scene(boxes, seed=seed, **kwargs)
        for seed, boxes in enumerate(scenes)
    ]
    return dict(points=[points for points, _ in made]), [s for _, s in made]
