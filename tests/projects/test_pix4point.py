"""PViT: tokens in two steps, and the blocks of an image transformer."""
import copy
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample, PointData
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope, init_default_scope

import projects.pix4point  # noqa: F401 (registers)
from projects.pix4point.pvit import NeighborEmbed, PointLevel
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.models.backbones import image_weights
from sam3d_plugin.store.checkpoint import CheckpointError
from sam3d_plugin.store.errors import UserError
from tests.emulated_cuda import emulated_cuda
from tests.projects.test_act import write_vit

CONFIGS = Path(__file__).parents[2] / 'projects/pix4point/configs'
VIT = dict(
    type='PlainVisionTransformer',
    embed_dims=24,
    depth=2,
    num_heads=2,
    patch_size=4,
    image_size=16)
CONFIG = dict(
    type='PViTBackbone',
    embedding=dict(
        type='ProgressivePatchEmbed', channels=(12, 24), num_neighbors=8),
    transformer=VIT)


def build(**changes):
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(dict(CONFIG, **changes)))
    model._dump_init_info = lambda: None  # hundreds of lines
    model.init_weights()
    return model


@pytest.fixture
def pvit():
    return build()


def make_points(num_points=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, num_points, 4, generator=generator) * 2


def test_an_embedding_is_that_of_loops():
    torch.manual_seed(0)
    step = NeighborEmbed(2, 6, ratio=4, num_neighbors=5)
    xyz, features = make_points(30)[..., :3], torch.randn(2, 30, 2)
    indices = torch.arange(100, 130).expand(2, -1)
    found = step(PointLevel(xyz, features, indices))
    assert found.features.shape == (2, 8, 6)
    for scene in range(2):
        for place, index in enumerate(found.indices[scene].tolist()):
            center, own = xyz[scene, index - 100], features[scene, index - 100]
            torch.testing.assert_close(found.xyz[scene, place], center)
            nearest = (xyz[scene] - center).norm(dim=1).argsort()[:5]
            rows = [
                step.layers(
                    torch.cat(
                        (xyz[scene, i] - center, features[scene, i] - own)))
                for i in nearest
            ]
            torch.testing.assert_close(found.features[scene, place],
                                       torch.stack(rows).amax(0))


@pytest.mark.parametrize('num_points, sizes', [(256, (256, 64, 16)),
                                               (201, (201, 51, 13)),
                                               (5, (5, 2, 1))])
def test_levels_of_any_number_of_points(pvit, num_points, sizes):
    points = make_points(num_points)
    outputs = pvit(points)
    assert tuple(x.shape[1] for x in outputs['sa_xyz']) == sizes
    assert outputs['sa_features'][0] is None
    assert outputs['sa_features'][1].shape == (2, 12, sizes[1])
    assert outputs['fp_features'][0].shape == (2, 24, sizes[2])
    for xyz, indices in zip(outputs['sa_xyz'], outputs['sa_indices']):
        expected = points[..., :3].gather(1, indices[...,
                                                     None].expand(-1, -1, 3))
        assert torch.equal(xyz, expected)
    assert outputs['fp_xyz'][0] is outputs['sa_xyz'][2]
    assert outputs['fp_indices'][0] is outputs['sa_indices'][2]


def test_order_of_points_and_place_of_the_scene_do_not_matter(pvit):
    """The first point stays, from which the samples start."""
    pvit.eval()
    points = make_points()
    order = torch.cat((torch.zeros(1).long(), 1 + torch.randperm(199)))
    moved = points[:, order] + torch.tensor([5., -3, 1, 0])
    features = pvit.point_features(points)
    assert features.shape == (2, 200, 24)
    torch.testing.assert_close(
        pvit.point_features(moved), features[:, order], atol=1e-4, rtol=1e-4)


def test_points_of_tokens_have_their_features(pvit):
    points = make_points()
    outputs = pvit.eval()(points)
    indices = outputs['fp_indices'][0][:, None].expand(-1, 24, -1)
    found = pvit.point_features(points).transpose(1, 2).gather(2, indices)
    torch.testing.assert_close(
        found, outputs['fp_features'][0], atol=1e-4, rtol=1e-4)


def test_blocks_are_those_of_the_image_transformer(pvit):
    """Behind the class token, each with the positions anew."""
    level = PointLevel(torch.rand(2, 9, 3), torch.randn(2, 9, 24), None)
    xyz = torch.rand(2, 50, 3)
    torch.nn.init.normal_(pvit.image.cls_token)
    with torch.no_grad():
        found = pvit.encode(level, xyz)
        for layer in pvit.position_embedding[::2]:
            layer.weight.zero_()
            layer.bias.zero_()
        without = pvit.encode(level, xyz)
        x = torch.cat((pvit.image.cls_token.expand(2, 1, 24), level.features),
                      dim=1)
        for block in pvit.image.blocks:
            x = block(x)
        torch.testing.assert_close(without, pvit.image.norm(x)[:, 1:])
    assert not torch.allclose(found, without)


def test_everything_learns(pvit):
    torch.nn.init.normal_(pvit.image.cls_token)
    loss = pvit(make_points())['fp_features'][0].square().mul(
        torch.arange(24)[:, None]).sum()
    loss.backward()
    for name, parameter in pvit.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_every_tensor_of_the_blocks_is_in_the_file(tmp_path):
    vit, path = write_vit(tmp_path / 'vit.pth')
    with torch.no_grad():
        vit.cls_token.normal_()
    torch.save(dict(state_dict=vit.state_dict(), meta=vit.sizes), path)
    state = build(checkpoint=path).image.state_dict()
    expected = vit.state_dict()
    rest = {'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias'}
    assert expected.keys() - state.keys() == rest
    for name, value in state.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize('changes, word', [
    (dict(num_heads=4), 'num_heads'),
    (dict(depth=3), 'depth'),
])
def test_a_file_of_another_transformer(changes, word, tmp_path):
    _, path = write_vit(tmp_path / 'vit.pth', **changes)
    with pytest.raises(CheckpointError, match=word):
        build(checkpoint=path)


def test_the_log_names_random_weights(monkeypatch):
    said = []
    monkeypatch.setattr(image_weights, 'print_log',
                        lambda text, **_: said.append(text))
    build()
    assert 'random' in said[0] and 'model.backbone.checkpoint' in said[0]


@pytest.mark.parametrize('as_list', [False, True])
def test_weights_come_from_one_file(as_list, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(image_weights, 'print_log',
                        lambda text, **_: said.append(text))
    _, path = write_vit(tmp_path / 'vit.pth')
    trained = build(checkpoint=path)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'trained.pth')
    rule = dict(type='Pretrained', checkpoint=str(tmp_path / 'trained.pth'))
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        found = build(init_cfg=[rule] if as_list else rule)
    assert not said
    for name, value in found.state_dict().items():
        assert value.equal(trained.state_dict()[name]), name
    with pytest.raises(UserError, match='init_cfg'):
        build(checkpoint=path, init_cfg=rule)


def test_channels_that_do_not_fit():
    with pytest.raises(UserError, match='channels'):
        build(embedding=dict(CONFIG['embedding'], channels=(12, 32)))


def test_published_size():
    """ViT-S, the class token and 12 blocks with their norm."""
    for name in ('segmentor_pvit_s3dis', 'votenet_pvit_scannet'):
        cfg = read_config(str(CONFIGS / f'{name}.py'), {})
        model = MODELS.build(cfg.model.backbone)
        size = sum(p.numel() for p in model.image.parameters())
        assert size == 12 * 1774464 + 2 * 384 + 384
        assert model.image.sizes == dict(
            embed_dims=384,
            depth=12,
            num_heads=6,
            mlp_ratio=4.,
            layer_scale=False)
        assert model.image.blocks[3].drop_path.drop_prob == .1
        assert [step.num_neighbors
                for step in model.embedding.steps] == [32] * 2
        optim = cfg.optim_wrapper
        keys = optim.paramwise_cfg.custom_keys
        assert optim.optimizer.lr * keys.backbone.lr_mult == pytest.approx(
            1e-4)
    optimizer = read_config(str(CONFIGS / 'segmentor_pvit_s3dis.py'),
                            {}).optim_wrapper.optimizer
    assert optimizer.weight_decay == 1e-4


def test_drop_path_of_image_blocks():
    vit = MODELS.build(dict(VIT, drop_path=.5)).train()
    images = torch.randn(1, 3, 16, 16)
    torch.manual_seed(0)
    outputs = [vit(images) for _ in range(8)]
    assert any(not torch.equal(outputs[0], x) for x in outputs)
    vit.eval()
    assert torch.equal(vit(images), vit(images))


def test_a_segmentor_learns_two_scenes():
    """Labels are heights and sides."""
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='PointTokenSegmentor',
            data_preprocessor=dict(type='Det3DDataPreprocessor'),
            backbone=CONFIG,
            decode_head=dict(
                type='PointNet2Head',
                fp_channels=((36, 24), (24, 24)),
                channels=24,
                dropout_ratio=0,
                num_classes=4,
                ignore_index=4),
            train_cfg=dict(),
            test_cfg=ConfigDict(mode='sample', num_points=200)))
    points = make_points()
    labels = (points[..., 2] > 1) + 2 * (points[..., 0] > 1).long()
    samples = []
    for scene in labels:
        sample = Det3DDataSample()
        sample.gt_pts_seg = PointData(pts_semantic_mask=scene)
        samples.append(sample)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        loss = model.loss(dict(points=list(points)), samples)
        losses.append(sum(loss.values()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    # ln 4, and what logits of random features add
    assert 1.2 < losses[0].item() < 2
    assert losses[-1] < .2 * losses[0]
    with torch.no_grad():  # dealt out anew, so that tokens are others
        results = model.eval().predict(dict(points=list(points)), samples)
    found = torch.stack(
        [result.pred_pts_seg.pts_semantic_mask for result in results])
    assert (found == labels).float().mean() > .8


def test_a_gpu_computes_what_the_cpu_does(pvit):
    points = make_points()
    with torch.no_grad():
        expected = pvit.eval()(points)['fp_features'][0]
    with emulated_cuda():
        pvit.to('cuda')
        found = pvit(points.cuda())['fp_features'][0]
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-3)
        with torch.autocast('cuda', torch.float16):
            half = pvit(points.cuda())['fp_features'][0]
        torch.testing.assert_close(
            half.cpu().float(), expected, atol=.05, rtol=.05)
