"""What every 3D backbone gives the points of a batch."""
import pytest
import torch
from mmdet3d.registry import MODELS

from sam3d_plugin.models.pretrainers import BasePretrainer
from sam3d_plugin.store.loading import load_encoder
from .pretraining_cases import (BACKBONE, EMBEDDING, ENCODER, KNN, STAGE1,
                                build, losses_of, make_batch, total)
from .test_stock_point_backbone import SMALL
from .three_detr_cases import SET_ABSTRACTION

SPLIT = dict(type='SAMTokenizer', split=True, num_tokens=24)
PARTS = dict(embedding=EMBEDDING, encoder=ENCODER)
BACKBONES = dict(
    tokens=BACKBONE,
    knn_tokens=dict(BACKBONE, tokenizer=KNN),
    detector=dict(
        PARTS,
        type='PointTokenBackbone',
        tokenizer=SPLIT,
        center='floor',
        out_channels=16),
    frozen=dict(
        PARTS,
        type='PointTokenBackbone',
        tokenizer=SPLIT,
        feature_depths=(1, 2),
        frozen=True,
        out_channels=None),
    voxels=dict(
        type='SparseUNetBackbone',
        voxel_size=.1,
        unet=dict(
            type='SparseVoxelUNet',
            stem_channels=8,
            encoder_channels=(8, 8),
            decoder_channels=(8, 8),
            encoder_blocks=(1, 1),
            decoder_blocks=(1, 1))),
    stock=dict(type='StockPointBackbone', backbone=dict(SMALL, in_channels=3)),
    three_detr=SET_ABSTRACTION)


@pytest.fixture(params=BACKBONES)
def backbone(request):
    torch.manual_seed(0)
    return MODELS.build(BACKBONES[request.param]).eval()


def points_of(batch):
    return torch.stack(batch['inputs']['points'])


def test_every_point_has_a_finite_feature_that_ignores_other_columns(backbone):
    points = points_of(make_batch((6, 11), num_points=300))
    features = backbone.point_features(points)
    assert features.shape[:2] == points.shape[:2]
    assert features.isfinite().all()
    assert features.std(1).max() > 1e-4
    more = torch.cat([points, points.new_ones(2, 300, 1)], -1)
    assert backbone.point_features(more).equal(features)


@pytest.mark.parametrize('name', ['tokens', 'detector'])
def test_features_follow_the_order_of_the_points(name):
    """Regions make the tokens, not the order of the points."""
    torch.manual_seed(0)
    tokenizer = dict(type='SAMTokenizer', min_points=4)
    backbone = MODELS.build(dict(BACKBONES[name], tokenizer=tokenizer)).eval()
    points = points_of(make_batch((9, 9), num_points=300))
    points[..., 3].clamp_(min=1)
    order = torch.randperm(300)
    torch.testing.assert_close(
        backbone.point_features(points[:, order]),
        backbone.point_features(points)[:, order],
        atol=1e-5,
        rtol=1e-4)


def test_a_point_on_a_centre_has_the_feature_of_its_token():
    backbone = MODELS.build(dict(BACKBONE, tokenizer=KNN)).eval()
    points = points_of(make_batch((6, 11)))
    tokens, features = backbone.encode(points)
    anchors = tokens.anchor_indices[..., None].expand_as(features)
    torch.testing.assert_close(
        backbone.point_features(points).gather(1, anchors),
        features,
        atol=1e-4,
        rtol=1e-3)


class HeightPretrainer(BasePretrainer):
    """The smallest method without tokens: features tell the height."""

    def loss(self, inputs, data_samples):
        features = self.backbone.point_features(inputs['points'])
        error = features[..., 0] - inputs['points'][..., 2]
        return dict(loss=error.square().mean())


@pytest.mark.parametrize('name',
                         ['stock', 'three_detr', 'knn_tokens', 'voxels'])
def test_a_method_without_tokens_trains_any_backbone(name):
    model = HeightPretrainer(BACKBONES[name])
    batch = make_batch((6, 11), num_points=300)
    total(losses_of(model, batch)).backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0
               for p in model.backbone.parameters())
    view = model.view(model.data_preprocessor(batch)['inputs'])
    assert view.features.shape[:2] == view.place_of_point.shape
    assert view.predictions is None and int(model.frames_seen) == 2


def test_checkpoints_from_before_the_token_encoder_load():
    """Embedding and encoder were parts of the model, not of its backbone."""
    model, other = build(STAGE1), build(STAGE1)
    state = model.state_dict()
    former = {k.removeprefix('backbone.'): v + 1 for k, v in state.items()}
    assert 'embedding.token_layer.weight' in former
    report = load_encoder(other, former)
    assert not report.unexpected and len(report.matched) == len(state)
    for name, value in other.state_dict().items():
        assert value.equal(state[name] + 1)
    with pytest.raises(ValueError, match='lacks backbone.encoder'):
        load_encoder(other, {
            k: v
            for k, v in former.items() if 'blocks.0' not in k
        })
