"""Stock backbones see xyz and height, whatever our pipelines append."""
import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmengine.registry import init_default_scope

SMALL = dict(
    type='PointNet2SASSG',
    num_points=(32, 16, 8, 8),
    num_samples=(4, 4, 4, 4),
    sa_channels=((8, 8), (8, 8), (8, 8), (8, 8)),
    fp_channels=((8, 8), (8, 8)))


def build(in_channels, with_height):
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='StockPointBackbone',
            with_height=with_height,
            backbone=dict(SMALL, in_channels=in_channels))).eval()


def test_region_ids_are_no_feature():
    backbone = build(3, False)
    points = torch.rand(2, 128, 3) * 3
    regions = torch.randint(1, 9, (2, 128, 1)).float()
    out = backbone(torch.cat([points, regions], dim=-1))
    plain = backbone.backbone(points)
    assert torch.equal(out['fp_features'][-1], plain['fp_features'][-1])
    assert torch.equal(out['fp_indices'][-1], plain['fp_indices'][-1])


def test_height_is_that_of_mmdet3d():
    """LoadPointsFromFile takes numpy's 0.99th percentile for the floor."""
    backbone = build(4, True)
    seen = []
    backbone.backbone.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0]))
    points = torch.rand(2, 500, 4) * 3
    backbone(points)
    for scene, given in zip(points.numpy(), seen[0].numpy()):
        floor = np.percentile(scene[:, 2], 0.99)
        np.testing.assert_allclose(given[:, 3], scene[:, 2] - floor, atol=1e-6)
        np.testing.assert_array_equal(given[:, :3], scene[:, :3])
