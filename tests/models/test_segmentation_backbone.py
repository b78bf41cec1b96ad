"""What PointTokenBackbone gives segmentation heads, and frozen encoders."""
import pytest
import torch
from torch import nn

from .test_backbones import KNN, build, make_points


def make(**changes):
    return build(out_channels=None, **changes).eval()


def test_depths_are_the_blocks_outputs():
    """Against an encoder that ends after the first block."""
    points = make_points()
    backbone = make(feature_depths=(1, 2))
    out = backbone(points)
    tokens = backbone.tokenizer(points[..., :3], points[..., 3].long())
    embedded = backbone.embedding(points[..., :3], tokens)
    last = backbone.encoder(embedded, tokens.centers)
    backbone.encoder.blocks = nn.ModuleList([backbone.encoder.blocks[0]])
    first = backbone.encoder(embedded, tokens.centers)
    for feature, expected in zip(out['token_features'], (first, last)):
        torch.testing.assert_close(feature, expected)
    assert out['token_centers'].equal(tokens.centers)
    assert out['point_tokens'].equal(tokens.point_tokens)
    assert out['fp_features'][-1].equal(last.transpose(1, 2))


def test_detectors_get_what_they_got():
    points = make_points()
    backbone = make()
    plain = backbone(points)
    deeper = make(feature_depths=(2, 1))
    deeper.load_state_dict(backbone.state_dict())
    assert 'token_features' not in plain
    for key, values in deeper(points).items():
        if key.startswith(('fp_', 'sa_')):
            for value, expected in zip(values, plain[key]):
                assert value is expected is None or value.equal(expected)


def test_knn_tokens_have_no_token_of_each_point():
    out = make(feature_depths=(1, ), tokenizer=KNN)(make_points())
    assert out['point_tokens'] is None


@pytest.mark.parametrize('depths', [(0, ), (1, 3)])
def test_depths_beyond_the_encoder_are_refused(depths):
    with pytest.raises(ValueError, match='encoder of depth 2: count from 1'):
        make(feature_depths=depths)


@pytest.mark.parametrize('depths', [(), (1, 2)])
def test_frozen_encoder_neither_learns_nor_changes(depths):
    """BatchNorm statistics and drop path included; the projection learns."""
    points = make_points()
    backbone = build(frozen=True, feature_depths=depths).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    first = backbone(points)
    second = backbone(points)
    assert first['fp_features'][-1].equal(second['fp_features'][-1])
    first['fp_features'][-1].sum().backward()
    learnt = {k for k, p in backbone.named_parameters() if p.grad is not None}
    assert learnt == {'out_proj.weight', 'out_proj.bias'}
    assert all(v.equal(before[k]) for k, v in backbone.state_dict().items())
    assert 'no pretrained weights, frozen' in backbone.summary()
    assert backbone.out_proj.training and not backbone.encoder.training


def test_unfrozen_encoder_learns_from_every_depth():
    backbone = build(feature_depths=(1, 2), out_channels=None).train()
    out = backbone(make_points())
    sum(f.square().sum() for f in out['token_features']).backward()
    assert all(p.grad is not None for p in backbone.parameters())
    assert backbone.encoder.training
