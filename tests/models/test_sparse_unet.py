"""Sparse U-Nets: sizes, a dense reference, invariances, one voxel."""
import pytest
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS

from sam3d_plugin.engine.export import export_backbone
from sam3d_plugin.models.backbones import SparseUNetBackbone, SparseVoxelUNet
from sam3d_plugin.models.backbones.sparse_layers import SparseConv, SparseStep
from sam3d_plugin.models.decode_heads import PointSegHead
from sam3d_plugin.ops.voxels import voxelize
from sam3d_plugin.store.errors import UserError
from tests.ops.test_voxels import dense_weight, random_grid, read, scattered

DEEP = dict(
    stem_channels=8,
    encoder_channels=(8, 12, 12, 16),
    decoder_channels=(12, 12, 8, 8),
    encoder_blocks=(1, 1, 1, 1),
    decoder_blocks=(1, 1, 1, 1))
FLAT = dict(
    stem_channels=4,
    encoder_channels=(6, 8),
    decoder_channels=(7, 5),
    encoder_blocks=(1, 2),
    decoder_blocks=(2, 1))
VOXEL = 2.**-4  # exact in binary, as are multiples
BACKBONE = dict(
    type='SparseUNetBackbone',
    voxel_size=VOXEL,
    unet=dict(DEEP, type='SparseVoxelUNet'))


def build_unet(settings=DEEP, **options):
    """A network whose norms have seen a batch."""
    torch.manual_seed(0)
    unet = SparseVoxelUNet(**{**settings, **options})
    grid = random_grid(.3)
    for _ in range(30):
        unet(torch.ones(len(grid), unet.in_channels), grid)
    return unet.eval()


def build_backbone(**options):
    torch.manual_seed(0)
    backbone = SparseUNetBackbone(VOXEL, dict(DEEP, type='SparseVoxelUNet'),
                                  **options)
    backbone.unet.load_state_dict(build_unet().state_dict())
    return backbone.eval()


def scenes(num=2, num_points=300, seed=0):
    """Points of a floor and a wall, at negative coordinates too."""
    torch.manual_seed(seed)
    points = torch.rand(num, num_points, 3) * 3 - 1.5
    points[:, ::2, 2] = 0
    points[:, 1::2, 0] = 1
    return points


def count(unet):
    return sum(p.numel() for p in unet.parameters())


def test_the_networks_have_the_published_sizes():
    """Res16UNet34C for 32 channels and 20 classes, MinkUNet14A for 512."""
    assert count(SparseVoxelUNet(out_channels=32)) == 37_847_808
    assert count(SparseVoxelUNet(out_channels=20)) == 37_846_644
    ones = (1, 1, 1, 1)
    assert count(
        SparseVoxelUNet(
            out_channels=512,
            decoder_channels=(128, 128, 96, 96),
            encoder_blocks=ones,
            decoder_blocks=ones)) == 8_062_816


def run_dense(unet, grid, features):
    """The network on a dense batch, emptied where no voxel is."""
    places = [grid]
    for _ in unet.down:
        places.append(places[-1].coarser()[0])

    def run(module, dense, level):
        """A module of voxels on the voxels of a dense batch."""
        size, grid = 8 >> level, places[level]
        return scattered(grid, module(read(dense, grid, size // 2)), size,
                         size // 2)

    def convolve(conv, norm, dense, level, to=None, function=F.conv3d):
        """Dense convolution, then the norm of voxels."""
        options = dict(padding=conv.kernel_size //
                       2) if isinstance(conv, SparseConv) else dict(stride=2)
        weight = dense_weight(conv.weight)
        if function is not F.conv3d:
            weight = weight.transpose(0, 1)
        return run(norm, function(dense, weight, **options),
                   level if to is None else to)

    def walk(blocks, dense, level):
        for block in blocks.blocks:
            kept = run(block.shortcut, dense, level)
            dense = convolve(block.conv1, block.norm1, dense, level).relu()
            dense = convolve(block.conv2, block.norm2, dense, level)
            dense = (dense + kept).relu()
        return dense

    dense = scattered(grid, features)
    dense = convolve(unet.stem, unet.stem_norm, dense, 0).relu()
    skips = []
    for level, (down, blocks) in enumerate(zip(unet.down, unet.encode)):
        skips.append(dense)
        dense = convolve(down.conv, down.norm, dense, level, level + 1).relu()
        dense = walk(blocks, dense, level + 1)
    for up, blocks in zip(unet.up, unet.decode):
        level = len(skips) - 1
        dense = convolve(up.conv, up.norm, dense, level, level,
                         F.conv_transpose3d).relu()
        dense = walk(blocks, torch.cat((dense, skips.pop()), 1), level)
    return read(run(unet.head, dense, 0), grid)


@pytest.mark.parametrize('kernel', [3, 5])
def test_the_network_is_the_dense_one_where_voxels_are(kernel):
    unet = build_unet(FLAT, stem_kernel=kernel, out_channels=4).double()
    grid = random_grid(.1, seed=3)
    features = torch.randn(len(grid), 3, dtype=torch.float64)
    found = unet(features, grid)
    assert found.shape == (len(grid), 4) and found.std() > 1e-3
    torch.testing.assert_close(found, run_dense(unet, grid, features))


def test_steps_return_to_the_voxels_they_came_from():
    grid = random_grid(.1)
    coarse, down = grid.coarser()
    step, back = SparseStep(3, 4, .1), SparseStep(4, 5, .1)
    hidden = step(torch.rand(len(grid), 3), down)
    assert hidden.shape == (len(coarse), 4)
    assert back(hidden, down.reversed()).shape == (len(grid), 5)


def test_depths_of_another_number_are_refused():
    with pytest.raises(UserError, match='as many'):
        SparseVoxelUNet(encoder_blocks=(1, 1))


def test_features_follow_the_order_of_the_points():
    backbone, points = build_backbone(out_channels=6), scenes()
    features = backbone.point_features(points)
    assert features.shape == (2, 300, 6) and features.std(1).min() > 1e-3
    order = torch.randperm(300)
    torch.testing.assert_close(
        backbone.point_features(points[:, order]), features[:, order])


def test_scenes_of_a_batch_do_not_mix():
    backbone, points = build_backbone(), scenes(3)
    features = backbone.point_features(points)
    for scene in range(3):
        torch.testing.assert_close(
            backbone.point_features(points[scene:scene + 1])[0],
            features[scene])


@pytest.mark.parametrize('settings, stride', [(FLAT, 4), (DEEP, 16)])
def test_translation_matters_through_the_strides_alone(settings, stride):
    unet, points = build_unet(settings), scenes()

    def features(voxels):
        grid, rows = voxelize(points + voxels * VOXEL, VOXEL)
        return unet(torch.ones(len(grid), 3), grid)[rows]

    for voxels in (stride, -3 * stride):
        torch.testing.assert_close(features(voxels), features(0))
    assert (features(stride // 2) - features(0)).abs().max() > 1e-3


@pytest.mark.parametrize('num_scenes', [1, 2])
def test_one_voxel_trains(num_scenes):
    """Where a batch has no variance, norms take what they have gathered."""
    backbone = build_backbone(out_channels=4).train()
    features = backbone.point_features(torch.zeros(num_scenes, 5, 3))
    assert features.shape == (num_scenes, 5, 4)
    (features * torch.arange(4.)).sum().backward()
    for name, parameter in backbone.named_parameters():
        assert parameter.grad.isfinite().all(), name
    assert backbone.unet.stem.weight.grad.any() == (num_scenes == 1)


def test_seeds_are_points_with_the_features_of_their_voxels():
    backbone, points = build_backbone(num_seeds=32, out_channels=6), scenes()
    outputs = backbone(torch.cat([points, torch.ones(2, 300, 1)], 2))
    assert 'point_features' not in outputs
    indices = outputs['fp_indices'][-1]
    assert all(len(scene.unique()) == 32 for scene in indices)
    for scene, found in enumerate(indices):
        assert outputs['fp_xyz'][-1][scene].equal(points[scene, found])
        torch.testing.assert_close(
            outputs['fp_features'][-1][scene].T,
            backbone.point_features(points)[scene, found])


def test_without_seeds_all_points_have_features():
    backbone, points = build_backbone(), scenes()
    outputs = backbone(points)
    assert outputs['fp_indices'][-1][1].equal(torch.arange(300))
    expected = backbone.point_features(points).transpose(1, 2)
    for features in (outputs['point_features'], outputs['fp_features'][-1]):
        torch.testing.assert_close(features, expected)


def test_voxels_are_tokens():
    backbone, points = build_backbone(), scenes()
    points[1, 150:] = points[1, :1]  # fewer voxels
    tokens, features = backbone.encode(points)
    grid, _, point_voxels = backbone.encode_voxels(points)
    assert (~tokens.is_padding).sum() == len(grid)
    assert tokens.num_tokens.tolist() == (~tokens.is_padding).sum(1).tolist()
    assert tokens.is_padding[1].any() and not tokens.is_padding[0].any()
    assert features[tokens.is_padding].eq(0).all()
    assert tokens.member_counts.sum(1).tolist() == [300, 300]
    for scene in range(2):
        own = tokens.point_tokens[scene]
        torch.testing.assert_close(features[scene, own],
                                   backbone.point_features(points)[scene])
        # Its points are in one voxel, and their mean too.
        cells = torch.floor(points[scene] / VOXEL)
        assert torch.floor(tokens.centers[scene, own] /
                           VOXEL).sub(cells).abs().max() <= 1
        anchors = tokens.anchor_indices[scene][~tokens.is_padding[scene]]
        assert own[anchors].equal(torch.arange(len(anchors)))


def test_the_head_classifies_every_point():
    """Overfit of three classes: floor, wall and things between them."""
    torch.manual_seed(0)
    backbone = SparseUNetBackbone(.25, dict(DEEP, type='SparseVoxelUNet'))
    head = PointSegHead(3, in_channels=8)
    points = scenes(1, 400)
    points[:, ::4, 2] += 1
    labels = torch.ones(1, 400).long()
    labels[:, ::2], labels[:, ::4] = 0, 2
    modules = torch.nn.ModuleList([backbone, head])
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        logits = head(backbone(points))
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
    assert logits.shape == (1, 3, 400)
    assert (logits.argmax(1) == labels).float().mean() > .95


@pytest.mark.parametrize('options, num_points, word', [
    (dict(num_seeds=301), 300, 'num_seeds'),
    (dict(voxel_size=0.), 300, 'voxel_size'),
    (dict(voxel_size=1e-5), 300, 'raise voxel_size'),
])
def test_bad_sizes_are_refused(options, num_points, word):
    with pytest.raises(UserError, match=word):
        backbone = MODELS.build({**BACKBONE, **options})
        backbone(scenes(1, num_points))


def test_a_head_of_points_needs_their_features():
    backbone = build_backbone(num_seeds=8)
    with pytest.raises(UserError, match='num_seeds=None'):
        PointSegHead(3, in_channels=8)(backbone(scenes()))


def test_export_and_strict_load(tmp_path):
    """The network moves on; the layer behind it stays with its task."""
    config = tmp_path / 'voxels.py'
    model = dict(type='HeightPretrainer', backbone=BACKBONE)
    config.write_text(f'model = {model!r}\n')
    meta = export_backbone(str(config), str(tmp_path / 'unet.pth'), seed=3)
    assert meta['voxel_size'] == VOXEL and 'tokenizer' not in meta
    settings = dict(
        BACKBONE,
        out_channels=5,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'unet.pth')))
    backbone = MODELS.build(settings)
    backbone.init_weights()
    report = backbone.load_report
    assert report.num_expected == len(report.matched) and not report.unexpected
    assert 'pretrained' in backbone.summary()
    state = torch.load(tmp_path / 'unet.pth')['state_dict']
    for name, value in backbone.unet.state_dict().items():
        assert state[f'unet.{name}'].equal(value)
    # An exported file is exported again as it is.
    export_backbone(str(tmp_path / 'unet.pth'), str(tmp_path / 'again.pth'))
    again = torch.load(tmp_path / 'again.pth')
    assert again['meta'] == meta
    settings['unet'] = dict(settings['unet'], stem_channels=4)
    with pytest.raises(ValueError, match='other shapes'):
        MODELS.build(settings).init_weights()
