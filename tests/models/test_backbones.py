"""Embedding, transformer and the contract with mmdet3d's heads."""
import copy

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS
from torch import nn

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.ops.scene_origin import CENTERS, find_origin, find_origins
from .pretraining_cases import SAM, make_batch

BACKBONE = dict(
    type='PointTokenBackbone',
    tokenizer=dict(type='SAMTokenizer', split=True, num_tokens=24),
    embedding=dict(
        type='PointPatchEmbed', embed_dims=32, hidden_dims=(8, 16, 32)),
    encoder=dict(type='PlainPointTransformer', embed_dims=32, depth=2),
    out_channels=48)
EMBEDDING, ENCODER = BACKBONE['embedding'], BACKBONE['encoder']
KNN = dict(type='KNNTokenizer', num_tokens=24, num_neighbors=9)


def make_points(num_scenes=2, num_points=300):
    generator = torch.manual_seed(0)
    xyz = torch.rand(num_scenes, num_points, 3, generator=generator)
    ids = torch.randint(0, 6, (num_scenes, num_points, 1), generator=generator)
    return torch.cat((xyz, ids.float()), dim=2)


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(copy.deepcopy({**BACKBONE, **changes}))


@pytest.mark.parametrize('norm_cfg', [dict(type='BN1d'), dict(type='LN')])
@pytest.mark.parametrize('tokenizer', [BACKBONE['tokenizer'], KNN])
def test_embedding_is_mini_pointnet(norm_cfg, tokenizer):
    """Against a loop over tokens with the layers as published."""
    points = make_points()
    tokens = MODELS.build(copy.deepcopy(tokenizer))(points[..., :3],
                                                    points[..., 3].long())
    embed = MODELS.build(
        dict(
            type='PointPatchEmbed',
            embed_dims=32,
            hidden_dims=(8, 16, 32),
            norm_cfg=norm_cfg)).eval()
    for norm in (embed.local_layers[1], embed.global_layers[0]):
        nn.init.normal_(norm.weight)
    third = nn.Linear(32, 32)
    third.weight.data = torch.cat(
        (embed.token_layer.weight, embed.point_layer.weight), dim=1).data
    third.bias.data = embed.token_layer.bias.data
    features = embed(points[..., :3], tokens)
    flat = points[..., :3].reshape(-1, 3)
    for token in range(48):
        begin, end = tokens.member_offsets[token:token + 2].tolist()
        center = tokens.centers.reshape(-1, 3)[token]
        local = embed.local_layers(flat[tokens.member_points[begin:end]] -
                                   center)
        both = torch.cat((local.amax(0).expand_as(local), local), dim=1)
        expected = embed.global_layers(third(both)).amax(0)
        torch.testing.assert_close(
            features.reshape(-1, 32)[token], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('relative', [True, False])
def test_embedding_may_see_where_a_token_lies(relative):
    """Moving the scene changes nothing, unless points keep its origin."""
    points = make_points()[..., :3]
    tokenizer = MODELS.build(copy.deepcopy(KNN))
    torch.manual_seed(0)
    embed = MODELS.build(
        dict(type='PointPatchEmbed', embed_dims=32, relative=relative)).eval()
    here = embed(points, tokenizer(points))
    there = embed(points + 2, tokenizer(points + 2))
    assert torch.allclose(here, there, atol=1e-4) == relative


def test_embedding_statistics_come_from_real_points():
    """Padding a batch with an emptier scene adds no rows to BatchNorm."""
    points = make_points()
    points[1, :, 3] = 1
    tokens = MODELS.build(dict(type='SAMTokenizer',
                               min_points=2))(points[..., :3],
                                              points[..., 3].long())
    assert tokens.is_padding.any()
    embed = MODELS.build(dict(type='PointPatchEmbed')).train()
    seen = []
    embed.local_layers[1].register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0]))
    features = embed(points[..., :3], tokens)
    assert seen[0].shape[0] == 600
    assert features[tokens.is_padding].abs().sum() == 0


def test_norm_behind_the_embedding_sees_real_tokens_only():
    batch = make_batch((3, 12))
    points = torch.stack(batch['inputs']['points'])
    tokens = MODELS.build(SAM)(points[..., :3], points[..., 3].long())
    assert tokens.is_padding.any()
    embedding = MODELS.build(dict(EMBEDDING,
                                  out_norm_cfg=dict(type='BN1d'))).train()
    features = embedding(points[..., :3], tokens)
    assert not features[tokens.is_padding].any()
    real = features[~tokens.is_padding]
    torch.testing.assert_close(
        real.mean(0), torch.zeros(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        real.var(0, unbiased=False), torch.ones(32), atol=1e-2, rtol=0)


def test_positions_start_as_large_as_asked():
    """Published: TruncNormal(0.02) on both layers."""
    centers, sizes = 2 * torch.rand(1, 50, 3), {}
    for start in ('as_published', 'default'):
        encoder = MODELS.build(dict(ENCODER, position_init=start))
        encoder.init_weights()
        sizes[start] = encoder.position_embedding(centers).std()
        assert encoder.blocks[0].qkv.weight.std() < .03
    assert sizes['default'] > 10 * sizes['as_published']
    with pytest.raises(ValueError, match='position_init'):
        MODELS.build(dict(ENCODER, position_init='small'))


def test_padding_is_never_attended_to():
    encoder = MODELS.build(dict(type='PlainPointTransformer',
                                embed_dims=32)).eval()
    generator = torch.manual_seed(0)
    x = torch.rand(1, 7, 32, generator=generator)
    centers = torch.rand(1, 7, 3, generator=generator)
    alone = encoder(x, centers)
    is_padding = torch.arange(10)[None] >= 7
    padded = encoder(
        torch.cat((x, 1e3 * torch.rand(1, 3, 32)), 1),
        torch.cat((centers, torch.rand(1, 3, 3)), 1), is_padding)
    torch.testing.assert_close(padded[:, :7], alone)


def test_transformer_permutes_with_its_tokens():
    encoder = MODELS.build(dict(type='PlainPointTransformer',
                                embed_dims=32)).eval()
    x, centers = torch.rand(1, 7, 32), torch.rand(1, 7, 3)
    order = torch.randperm(7)
    torch.testing.assert_close(
        encoder(x[:, order], centers[:, order]),
        encoder(x, centers)[:, order])


def test_drop_path_drops_whole_branches():
    encoder = MODELS.build(
        dict(
            type='PlainPointTransformer',
            embed_dims=32,
            depth=1,
            drop_path=1. - 1e-7)).train()
    x, centers = torch.rand(2, 7, 32), torch.rand(2, 7, 3)
    expected = encoder.norm(x + encoder.position_embedding(centers))
    torch.testing.assert_close(encoder(x, centers), expected)


@pytest.mark.parametrize('tokenizer', [BACKBONE['tokenizer'], KNN])
def test_backbone_keeps_the_contract_with_heads(tokenizer):
    points = make_points()
    backbone = build(tokenizer=tokenizer).eval()
    out = backbone(points)
    assert out['fp_features'][-1].shape == (2, 48, 24)
    assert out['fp_indices'][-1].dtype == torch.int64
    for scene in range(2):
        expected = points[scene, out['fp_indices'][-1][scene], :3]
        assert out['fp_xyz'][-1][scene].equal(expected)
    assert out['sa_xyz'][0].equal(points[..., :3])
    assert out['sa_xyz'][1].equal(out['fp_xyz'][-1])
    assert len(out['sa_features']) == len(out['sa_xyz']) == 2


def test_pointnet2_head_reads_the_tokens():
    """mmdet3d's segmentation head, with one step from tokens to points."""
    points = make_points()
    head = MODELS.build(
        dict(
            type='PointNet2Head',
            channels=16,
            num_classes=5,
            fp_channels=((48, 32, 16), ),
            dropout_ratio=0.,
            norm_cfg=dict(type='BN1d'))).eval()
    out = build().eval()(points)
    logits = head(out)
    assert logits.shape == (2, 5, 300)
    # it may overwrite the lists, so the backbone makes new ones every time
    assert head(build().eval()(points)).equal(logits)


def test_region_ids_are_no_network_input():
    points = make_points()
    backbone = build().eval()
    renamed = points.clone()
    renamed[..., 3] = points[..., 3] * 2 + (points[..., 3] > 0)
    assert backbone(renamed)['fp_features'][0].equal(
        backbone(points)['fp_features'][0])


def test_gradients_reach_every_parameter():
    backbone = build()
    backbone(make_points())['fp_features'][0].square().mean().backward()
    without = [
        name for name, parameter in backbone.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum()
    ]
    # a softmax ignores what all keys have in common
    assert all(name.endswith('qkv.bias') for name in without), without


def test_bf16_autocast_stays_close():
    points = make_points()
    backbone = build().eval()
    expected = backbone(points)['fp_features'][0]
    with torch.autocast('cpu', torch.bfloat16):
        features = backbone(points)['fp_features'][0].float()
    assert (features - expected).abs().max() < 0.05 * expected.abs().max()


def test_backbone_refuses():
    points = make_points()
    with pytest.raises(ValueError, match='holds no region ids'):
        build()(points[..., :3])
    with pytest.raises(ValueError, match='holds no region ids'):
        build()(points - 0.5)
    broken = points.clone()
    broken[0, 3, 1] = float('nan')
    with pytest.raises(ValueError, match='not finite'):
        build()(broken)
    unequal = points.clone()
    unequal[1, :, 3] = 1
    with pytest.raises(ValueError, match='split=True'):
        build(tokenizer=dict(type='SAMTokenizer', min_points=2))(unequal)


def test_pretrained_encoder_is_loaded_strictly(tmp_path):
    source = build()
    state = {
        f'backbone.{key}': torch.full_like(value, 0.5)
        for key, value in source.state_dict().items()
    }
    state['decoder.weight'] = torch.ones(3)
    path = str(tmp_path / 'encoder.pth')
    torch.save(dict(state_dict=state), path)
    backbone = build(init_cfg=dict(type='Pretrained', checkpoint=path))
    assert 'no pretrained weights' in backbone.summary()
    backbone.init_weights()
    assert (backbone.encoder.norm.weight == 0.5).all()
    assert (backbone.embedding.token_layer.weight == 0.5).all()
    assert not (backbone.out_proj.weight == 0.5).all()
    assert 'encoder.pth' in backbone.summary()

    del state['backbone.encoder.norm.weight']
    state['backbone.embedding.token_layer.bias'] = torch.ones(5)
    torch.save(dict(state_dict=state), path)
    strict = build(init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(ValueError, match='norm.weight') as error:
        strict.init_weights()
    assert 'token_layer.bias' in str(error.value)


@pytest.mark.parametrize('center', ['floor', 'mean'])
def test_a_moved_scene_has_the_same_features(center):
    points = make_points()
    move = torch.tensor([3., -2., 1.])
    moved = points.clone()
    moved[..., :3] += move
    backbone = build(center=center).eval()
    here, there = backbone(points), backbone(moved)
    torch.testing.assert_close(
        there['fp_features'][0], here['fp_features'][0], atol=2e-5, rtol=0)
    torch.testing.assert_close(there['fp_xyz'][0], here['fp_xyz'][0] + move)
    plain = build().eval()
    difference = plain(moved)['fp_features'][0] - plain(
        points)['fp_features'][0]
    assert difference.abs().max() > 1e-2, 'without, positions are absolute'


def test_the_origin_is_that_of_frames_in_pretraining():
    xyz = make_points(num_points=700)[..., :3] * 4 - 1
    for center in CENTERS:
        expected = [
            find_origin(scene.double().numpy(), center) for scene in xyz
        ]
        torch.testing.assert_close(
            find_origins(xyz, center),
            torch.tensor(np.array(expected)).float())


def test_segmentation_heads_get_the_frame_of_the_points():
    points = make_points()
    outputs = build(center='floor', feature_depths=(1, 2)).eval()(points)
    tokens = build().tokenizer(points[..., :3], points[..., 3].long())
    torch.testing.assert_close(outputs['token_centers'], tokens.centers)


def test_an_unknown_origin_is_refused():
    with pytest.raises(ValueError, match="'ceiling' is unknown; choose one"):
        build(center='ceiling')
