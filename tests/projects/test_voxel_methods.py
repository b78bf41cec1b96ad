"""Published variants on a sparse U-Net train, resume, export and load."""
import math

import numpy as np
import pytest
import torch
from mmdet3d.registry import MODELS

import projects.csc
import projects.depth_contrast
import projects.point_contrast  # noqa: F401 (registers)
from sam3d_plugin.datasets.transforms import TurnPoints
from sam3d_plugin.datasets.transforms.turn_points import rotation_about
from sam3d_plugin.engine.export import export_backbone, read_encoder
from sam3d_plugin.engine.options import read_config
from sam3d_plugin.evaluation.token_features import (RegionFeatureReader,
                                                    build_frozen)
from sam3d_plugin.store.errors import UserError
from tests.datasets.frame_store import write_data_set
from tests.models.pretraining_cases import build
from tests.models.test_sparse_unet import BACKBONE
from tests.projects import test_every_method as every_method
from tests.projects.pair_cases import (found_share, make_batch, overfit,
                                       prepared)
from tests.projects.test_every_method import check_export, load, train

NAMES = ('point_contrast', 'csc', 'depth_contrast')
PAIRS = dict(
    type='PointContrast',
    backbone=dict(BACKBONE, voxel_size=.25, out_channels=16),
    projector=None,
    pair_loss=dict(type='InfoNCELoss', temperature=.4, normalize=False))


def config_of(name, size):
    end = '_mini' if size == 'mini' else ''
    return f'projects/{name}/configs/{name}_voxels{end}.py'


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    write_data_set(folder)
    return folder


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', ['mini', 'full'])
def test_method(name, size, frames, tmp_path):
    """As tests/projects/test_every_method.py has it for tokens."""
    expected, model = train(
        load(config_of(name, size), frames, tmp_path / 'unbroken', 4))
    assert len(expected) == 4 and np.isfinite(expected).all()
    assert min(expected[1:]) > 0
    resumed = load(config_of(name, size), frames, tmp_path / 'parts', 4)
    resumed.update(
        load_from=str(tmp_path / 'unbroken' / 'iter_2.pth'), resume=True)
    losses, _ = train(resumed)
    np.testing.assert_array_equal(losses, expected)
    path = str(tmp_path / 'unet.pth')
    meta = export_backbone(str(tmp_path / 'unbroken' / 'iter_4.pth'), path)
    settings = resumed.model.backbone
    assert meta['voxel_size'] == settings.voxel_size
    backbone = MODELS.build(
        dict(
            settings,
            num_seeds=32,
            out_channels=8,
            init_cfg=dict(type='Pretrained', checkpoint=path)))
    backbone.init_weights()
    assert not backbone.load_report.unexpected
    weights = model.state_dict()
    for part, value in backbone.unet.state_dict().items():
        assert weights[f'backbone.unet.{part}'].equal(value), part
    frozen = build_frozen(meta, read_encoder(path)[0])
    tokens, features = frozen.encode(torch.rand(2, 50, 3))
    assert features.shape[:2] == tokens.is_padding.shape
    with pytest.raises(UserError, match='on voxels'):
        RegionFeatureReader(meta)


@pytest.mark.parametrize('size', ['mini', 'full'])
def test_both_formats_train_and_the_points_are_exported(
        size, frames, tmp_path):
    config = config_of('depth_contrast', size).replace('voxels', 'joint')
    expected, model = train(load(config, frames, tmp_path / 'unbroken', 4))
    assert len(expected) == 4 and min(expected[1:]) > 0
    resumed = load(config, frames, tmp_path / 'parts', 4)
    checkpoint = str(tmp_path / 'unbroken' / 'iter_2.pth')
    resumed.update(load_from=checkpoint, resume=True)
    np.testing.assert_array_equal(train(resumed)[0], expected)
    check_export(
        str(tmp_path / 'unbroken' / 'iter_4.pth'), model.state_dict(),
        resumed.model, tmp_path / 'encoder.pth')


@pytest.mark.parametrize('name', [*NAMES, 'joint'])
def test_gradients_reach_what_learns_and_nothing_else(name, frames, tmp_path):
    config = config_of(name, 'mini')
    if name == 'joint':
        config = config_of('depth_contrast', 'mini').replace('voxels', name)
    every_method.test_gradients_reach_what_learns_and_nothing_else(
        name, {name: every_method.make_case(config, frames, tmp_path)})


def test_settings_are_the_published_ones():
    for name, steps, decay, pairs in (('point_contrast', 60_000, 250, 1024),
                                      ('csc', 100_000, 1000, 4096)):
        cfg = read_config(config_of(name, 'full'), {})
        unet = MODELS.build(cfg.model.backbone).unet
        assert sum(p.numel()
                   for p in unet.parameters()) == 37_847_808 - (96 * 32 + 32)
        assert (cfg.model.backbone.voxel_size,
                cfg.model.backbone.out_channels) == (.025, 32)
        assert cfg.model.projector is None
        optimizer = cfg.optim_wrapper.optimizer
        assert (optimizer.type, optimizer.lr, optimizer.momentum,
                optimizer.weight_decay) == ('SGD', .1, .8, 1e-4)
        (schedule, ) = cfg.param_scheduler
        assert (schedule.step_size, schedule.gamma,
                schedule.by_epoch) == (decay, .99, False)
        assert cfg.train_cfg.max_iters == steps
        loader = cfg.train_dataloader
        assert (loader.batch_size, cfg.auto_scale_lr.base_batch_size) == (4,
                                                                          32)
        views, found, _ = loader.dataset.pipeline
        assert (found.num_pairs, found.radius) == (pairs, .0375)
        assert views.transforms[1].type == 'TurnPoints'
    loss = MODELS.build(cfg.model.pair_loss)
    assert (loss.temperature, loss.radii) == (.4, (.05, .5))
    tilt = views.transforms[1].ranges
    assert tilt == pytest.approx((math.pi / 64, math.pi / 64, math.pi), 1e-3)
    cfg = read_config(config_of('depth_contrast', 'full'), {})
    assert cfg.model.backbone.voxel_size == .05
    assert cfg.model.backbone.out_channels == cfg.model.projector.get(
        'in_channels', 256)


def test_pairs_are_compared_as_the_backbone_gives_them():
    model = build(PAIRS).eval()
    inputs = prepared(model, make_batch(2))
    pairs = model.match(**inputs)
    features = model.backbone.point_features(inputs['points'].flatten(0, 1))
    for scene, chosen in enumerate(inputs['pairs']):
        for view, found in enumerate((pairs.queries, pairs.keys)):
            expected = features[2 * scene + view, chosen[:, view]]
            torch.testing.assert_close(
                found[scene], torch.nn.functional.normalize(expected, dim=-1))


def test_points_of_one_pair_are_found():
    model, batch = build(PAIRS), make_batch(1)
    first, last = overfit(model, batch, 120, 1e-2)
    assert last < first
    model.eval()
    assert found_share(model.match(**prepared(model, batch))) > .9


class Points:
    """The part of mmdet3d's points that a turn reads and writes."""

    def __init__(self, coord):
        self.coord = coord


@pytest.mark.parametrize('ranges', [None, (.05, .05, math.pi), (0, 0, 0)])
def test_turns_keep_shapes(ranges):
    np.random.seed(0)
    before = torch.rand(20, 3)
    after = TurnPoints(ranges)(dict(points=Points(before)))['points'].coord
    torch.testing.assert_close(
        torch.cdist(after, after).norm(),
        torch.cdist(before, before).norm())
    assert torch.linalg.det(torch.linalg.lstsq(before, after).solution) > .99
    tilt = (after - before)[:, 2].abs().max()
    if ranges is None:
        assert tilt > .2
    else:
        assert tilt <= .05 * 2 * before.norm(dim=1).max()
        assert before.equal(after) == (ranges == (0, 0, 0))


def test_turn_about_z():
    turn = rotation_about(np.array([0, 0, 2.]), math.pi / 2)
    np.testing.assert_allclose(turn @ [1, 0, 3], [0, 1, 3], atol=1e-12)


@pytest.mark.parametrize('ranges', [(1, 2), (0, 0, -1)])
def test_bad_ranges_are_refused(ranges):
    with pytest.raises(UserError, match='three angles'):
        TurnPoints(ranges)
