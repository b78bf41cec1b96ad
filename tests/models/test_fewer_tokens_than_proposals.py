"""VoteNet with fewer votes than proposals: doubles that the NMS drops."""
from pathlib import Path

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample
from mmengine.registry import init_default_scope

from sam3d_plugin.engine.options import read_config

CONFIG = (
    Path(__file__).resolve().parents[2] / 'configs' / 'sam3d' /
    'votenet_scannet_mini.py')


def test_votenet_repeats_votes():
    init_default_scope('mmdet3d')
    cfg = read_config(str(CONFIG), {'model.backbone.tokenizer.num_tokens': 16})
    assert cfg.model.bbox_head.vote_aggregation_cfg.num_point == 256
    cfg.model.test_cfg.update(score_thr=0., per_class_proposal=False)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    points = torch.rand(3000, 4) * 3
    points[:, 3] = torch.randint(1, 5, (3000, ))
    sample = Det3DDataSample(metainfo=dict(box_type_3d=DepthInstance3DBoxes))
    with torch.no_grad():
        found, = model.predict(dict(points=[points]), [sample])
    boxes = found.pred_instances_3d.bboxes_3d.tensor
    assert 0 < len(boxes) <= 16
    assert len(boxes.unique(dim=0)) == len(boxes)
    assert torch.isfinite(boxes).all()
