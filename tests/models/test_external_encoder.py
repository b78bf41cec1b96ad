"""Networks of others under our heads: features, freezing, bad input."""
import copy
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import MODELS, RUNNERS

from sam3d_plugin.models.backbones.external_encoder import upcast
from sam3d_plugin.store.checkpoint import CheckpointError
from sam3d_plugin.store.errors import UserError
from tests.conftest import write_scannet
from tests.segmentation_stores import write_scannet_seg
from tests.short_runs import forget_runs
from tests.test_configs import load, shrink
from tests.test_segmentor_configs import load_small
from .external_network import Encoder
from .test_backbones import BACKBONE, make_points

HERE = 'tests.models.external_network'
CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'sam3d'
# 4 + 6 + 8 channels of three levels.
NETWORK = dict(
    type='ExternalEncoder',
    module=f'{HERE}:Encoder',
    channels=18,
    concat_levels=2,
    grid_size=.05)
INPUTS = dict(
    NETWORK,
    module=f'{HERE}:Inputs',
    channels=3,
    concat_levels=0,
    feature_columns=(0, 1, 2))


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build({**NETWORK, **changes})


def backbone(encoder=NETWORK, **changes):
    torch.manual_seed(0)
    return MODELS.build(
        copy.deepcopy({
            **BACKBONE, 'encoder': dict(encoder),
            **changes
        }))


def save(path, network=None, prefix='', **content):
    network = network or Encoder()
    state = {f'{prefix}{k}': v for k, v in network.state_dict().items()}
    torch.save(dict(state_dict=state, **content), path)
    return str(path)


@pytest.mark.parametrize('answer', ['feat', 'dict'])
def test_points_have_the_inputs_of_their_voxel(answer):
    """Against a loop: centered coordinates of a voxel's first point."""
    points = make_points(num_points=60)
    points[1] += 7
    encoder = build(
        **{
            **INPUTS, 'grid_size': .2
        }, arguments=dict(answer=answer))
    found = encoder.point_features(points)
    shared = 0
    for scene, features in zip(points[..., :3], found):
        low, high = scene.amin(0), scene.amax(0)
        centered = scene - torch.stack([*(
            (low + high) / 2)[:2], low[2]])  # z from the floor
        first = {}
        for point, feature in zip(centered, features):
            cell = tuple((point / .2).floor().int().tolist())
            shared += cell in first
            torch.testing.assert_close(feature, first.setdefault(cell, point))
    assert shared > 5


def test_networks_get_pointcepts_dict():
    points = make_points()
    inputs, voxel_of = build().voxelize(points)
    count = len(inputs['coord'])
    assert inputs['grid_coord'].dtype == torch.int64
    assert inputs['offset'].tolist()[-1] == count < 600
    assert inputs['batch'].bincount().cumsum(0).equal(inputs['offset'])
    assert inputs['feat'].shape == (count, 9)
    assert not inputs['feat'][:, 3:].any()  # no color, no normal
    assert len(voxel_of) == 600
    # No cell twice in a scene, which sparse convolutions need.
    cells = torch.cat([inputs['batch'][:, None], inputs['grid_coord']], 1)
    assert len(cells.unique(dim=0)) == count


def test_columns_and_scale_reach_the_network():
    points = torch.rand(2, 40, 6)
    options = dict(
        INPUTS, channels=4, feature_columns=(None, 5, 3, 0), scale=.5)
    plain = MODELS.build(dict(options, scale=1, grid_size=.1))
    scaled = MODELS.build(options)
    first, second = (e.point_features(points) for e in (plain, scaled))
    assert not first[..., 0].any()
    torch.testing.assert_close(first[..., 1:3], second[..., 1:3])
    torch.testing.assert_close(first[..., 3] / 2, second[..., 3])
    assert len(plain.voxelize(points).inputs['coord']) == len(
        scaled.voxelize(points).inputs['coord'])


@pytest.mark.parametrize('levels', [0, 1, 2])
def test_coarse_features_come_back_to_the_points(levels):
    """Against a loop that follows each point through the levels."""
    encoder = build(concat_levels=levels, channels=(8, 14, 18)[levels]).eval()
    points = make_points(num_points=50)
    found = encoder.point_features(points)
    voxels = encoder.voxelize(points)
    coarse = encoder.network(voxels.inputs)
    middle, fine = coarse.pooling_parent, coarse.pooling_parent.pooling_parent
    for point, voxel in zip(found.flatten(0, 1), voxels.voxel_of.tolist()):
        in_middle = middle.pooling_inverse[voxel]
        in_coarse = coarse.pooling_inverse[in_middle]
        parts = [
            fine.feat[voxel], middle.feat[in_middle], coarse.feat[in_coarse]
        ]
        torch.testing.assert_close(point, torch.cat(parts[2 - levels:]))


def test_a_scene_has_the_same_features_in_any_batch():
    encoder = build().eval()
    points = make_points(num_scenes=3)
    points[1] *= 3
    together = encoder(points)
    for scene, features in zip(points, together):
        torch.testing.assert_close(encoder(scene[None])[0], features)


def test_heads_get_features_at_their_points():
    model = backbone(feature_depths=(1, 2)).eval()
    points = make_points()
    out = model(points)
    dense = model.encoder(points)
    anchors = out['fp_indices'][-1]
    at_anchors = torch.stack([d[i] for d, i in zip(dense, anchors)])
    torch.testing.assert_close(out['fp_features'][-1],
                               model.out_proj(at_anchors).transpose(1, 2))
    for features in out['token_features']:
        torch.testing.assert_close(features, dense)
    assert out['token_centers'].equal(points[..., :3])
    assert (out['point_tokens'] == torch.arange(300)).all()
    torch.testing.assert_close(model.point_features(points), dense)
    torch.testing.assert_close(model.encode(points)[1], at_anchors)


@pytest.mark.parametrize('frozen', [True, False])
def test_frozen_network_stays_what_it_was(frozen):
    """BatchNorm statistics included; the projection learns."""
    model = backbone(frozen=frozen).train()
    before = copy.deepcopy(model.encoder.network.state_dict())
    model(make_points())['fp_features'][-1].square().sum().backward()
    learns = {n for n, p in model.named_parameters() if p.grad is not None}
    rest = {n for n, _ in model.named_parameters()} - learns
    network = {n for n, _ in model.named_parameters() if '.network.' in n}
    assert rest == (network if frozen else set())
    after = model.encoder.network.state_dict()
    same = all(after[name].equal(value) for name, value in before.items())
    assert same == frozen and model.encoder.project.training


@pytest.mark.parametrize('prefix, given', [
    ('', None),
    ('module.backbone.', None),
    ('module.student.backbone.', 'student.backbone'),
])
def test_weights_of_a_file_are_loaded(tmp_path, prefix, given):
    """With its own arguments, whatever stands before the names."""
    theirs = Encoder(channels=(4, 5, 9))
    path = save(
        tmp_path / 'concerto_base.pth',
        theirs,
        prefix,
        config=dict(channels=(4, 5, 9), enc_mode=False))
    encoder = build(
        checkpoint=path,
        prefix=given,
        channels=18,
        arguments=dict(enc_mode=True))
    encoder.init_weights()
    for name, value in encoder.network.state_dict().items():
        assert value.equal(theirs.state_dict()[name])
    assert 'CC BY-NC 4.0' in encoder.summary()
    assert '6 input channels are zero' in encoder.summary()


@pytest.mark.parametrize('module, words', [
    ('sonata.model:X', 'Sonata weights: CC BY-NC 4.0'),
    ('pointcept.models.volt.volt_base:Volt', 'Volt weights: not stated'),
    ('revolting:X', 'unknown'),
])
def test_license_is_that_of_the_weights(module, words):
    encoder = build()
    encoder.module = module
    assert words in encoder.license()


@pytest.mark.parametrize('changes, word', [
    (dict(module='no_such_package:X'), 'PYTHONPATH'),
    (dict(module=f'{HERE}:X'), 'no class X'),
    (dict(module=HERE), 'names no class'),
    (dict(arguments=dict(width=3)), 'check arguments'),
    (dict(grid_size=0), 'grid_size'),
    (dict(checkpoint='missing.pth'), 'missing.pth'),
])
def test_what_cannot_be_built_is_said(changes, word):
    with pytest.raises((UserError, FileNotFoundError), match=word) as error:
        build(**changes)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize('changes, word', [
    (dict(channels=17), 'set channels'),
    (dict(concat_levels=3), 'lower it'),
    (dict(arguments=dict(enc_mode=False), concat_levels=0,
          channels=8), 'voxels'),
    (dict(feature_columns=(0, 1, 7)), 'use_dim'),
    (dict(INPUTS, arguments=dict(answer='text')), 'not a tensor'),
    (dict(INPUTS, arguments=dict(answer='short')), 'voxels'),
])
def test_features_that_do_not_fit_are_said(changes, word):
    with pytest.raises(UserError, match=word) as error:
        build(**changes)(make_points())
    assert len(str(error.value)) < 250


@pytest.mark.parametrize('network, changes, word', [
    (Encoder(channels=(4, 6, 9)), {}, 'other shapes'),
    (Encoder(channels=(4, 6)), {}, 'lacks enc.1'),
    (Encoder(channels=(4, 6, 8, 8)), {}, 'network lacks|Encoder lacks'),
    (torch.nn.Linear(3, 3), {}, 'no tensor'),
])
def test_weights_of_another_network_are_refused(tmp_path, network, changes,
                                                word):
    encoder = build(
        checkpoint=save(tmp_path / 'other.pth', network), **changes)
    with pytest.raises(CheckpointError, match=word):
        encoder.init_weights()


def test_levels_without_pooling_are_one():
    features = torch.rand(3, 2)
    assert upcast(features).equal(features)


def test_pre_trainings_keep_to_their_own_encoders():
    encoder = MODELS.build(
        dict(
            type='TokenEncoder',
            tokenizer=BACKBONE['tokenizer'],
            embedding=BACKBONE['embedding'],
            encoder=dict(NETWORK)))
    with pytest.raises(UserError, match='reads points'):
        encoder.encode(make_points())
    model = backbone(init_cfg=dict(type='Pretrained', checkpoint='a.pth'))
    with pytest.raises(UserError, match='checkpoint of the ExternalEncoder'):
        model.init_weights()


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('stores')
    write_scannet(folder / 'detection')
    write_scannet_seg(folder / 'scannet')
    return folder


@pytest.mark.parametrize('name',
                         ['votenet', 'groupfree3d', 'three_detr', 'segmentor'])
def test_one_option_puts_it_under_every_head(roots, tmp_path, name):
    option = {
        'model.backbone.encoder':
        dict(NETWORK, _delete_=True, checkpoint=save(tmp_path / 'sonata.pth'))
    }
    config = f'{name}_synthrooms_mini'
    if name == 'segmentor':
        cfg = load_small(config, roots, tmp_path, **option)
    else:
        option['data_root'] = f'{roots}/detection/'
        cfg = shrink(load(CONFIGS / f'{config}.py', option, tmp_path))
    forget_runs()
    run = RUNNERS.build(cfg)
    run.train()
    scalars = run.message_hub.log_scalars
    assert 0 < scalars['train/loss'].current() < 1e4
    assert any(key.startswith('val/') for key in scalars)
    log = next(tmp_path.rglob('*.log')).read_text()
    assert 'license of Sonata weights: CC BY-NC 4.0' in log
