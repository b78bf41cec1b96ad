"""Spheres of S3DIS for PViT: samples, whole rooms, smooth labels."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet3d.models.layers.pointnet_modules import PointFPModule
from mmdet3d.registry import MODELS, RUNNERS
from mmdet3d.structures import DepthPoints
from mmengine.config import ConfigDict

from projects.pix4point import LabelSmoothingLoss, SphereSample
from projects.pix4point.spheres import one_of_each_voxel
from sam3d_plugin.engine.options import enable_tta
from sam3d_plugin.store.errors import UserError
from tests.emulated_cuda import emulated_cuda
from tests.models.test_point_token_segmentor import predict
from tests.projects.test_pix4point import CONFIG
from tests.segmentation_stores import write_s3dis
from tests.short_runs import forget_runs
from tests.test_configs import load

CONFIG_FILE = Path(__file__).parents[2] / \
    'projects/pix4point/configs/segmentor_pvit_s3dis.py'
RADIUS, VOXEL = .5, .05


def make_room(num_points=6000, seed=0):
    """Points of a cube of 2 m, labeled by their number."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-1, 1, (num_points, 3)).astype(np.float32)
    return dict(
        points=DepthPoints(torch.from_numpy(xyz)),
        pts_semantic_mask=np.arange(num_points))


def sample(num_points, **changes):
    settings = dict(radius=RADIUS, voxel_size=VOXEL, **changes)
    return SphereSample(num_points, **settings)(make_room())


def test_a_point_of_each_voxel_is_the_first_of_the_order():
    xyz = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    chosen, voxel_of = one_of_each_voxel(xyz, .3, order)
    first = {}
    for point in order.tolist():
        cell = tuple((xyz[point] / .3).floor().int().tolist())
        first.setdefault(cell, point)
        assert chosen[voxel_of[point]] == first[cell]
    assert sorted(chosen.tolist()) == sorted(first.values())


@pytest.mark.parametrize('num_points', [50, 600, 5000])
def test_a_sample_is_a_sphere_with_a_point_in_a_voxel(num_points):
    np.random.seed(3)
    results, room = sample(num_points), make_room()
    found, labels = results['points'].coord, results['pts_semantic_mask']
    assert found.shape == (num_points, 3)
    torch.testing.assert_close(found, room['points'].coord[labels])
    distinct = np.unique(labels)
    # Some point of the room is the center; only a full sphere is cut.
    xyz = room['points'].coord[distinct]
    farthest = torch.cdist(room['points'].coord, xyz).amax(1)
    assert farthest.min() <= RADIUS
    center = room['points'].coord[farthest.argmin()]
    near = (room['points'].coord - center).norm(dim=1) <= RADIUS
    cells = {
        tuple(cell)
        for cell in (room['points'].coord[near] /
                     VOXEL).floor().int().tolist()
    }
    mine = [tuple(c) for c in (xyz / VOXEL).floor().int().tolist()]
    assert len(set(mine)) == len(mine) == min(num_points, len(cells))
    # Fewer are repeated, each as often as the others.
    counts = np.bincount(labels)[distinct]
    assert counts.max() - counts.min() <= 1
    np.random.seed(3)
    np.testing.assert_array_equal(
        sample(num_points)['pts_semantic_mask'], labels)
    assert (sample(num_points)['pts_semantic_mask'] != labels).any()


@pytest.mark.parametrize(
    'changes', [dict(num_points=0),
                dict(radius=0.),
                dict(voxel_size=-1.)])
def test_empty_spheres_are_refused(changes):
    with pytest.raises(UserError, match='SphereSample'):
        SphereSample(**changes)


def build(**test_cfg):
    torch.manual_seed(0)
    settings = dict(
        mode='spheres', num_points=100, radius=.6, voxel_size=.2, **test_cfg)
    return MODELS.build(
        ConfigDict(
            type='SpherePointTokenSegmentor',
            data_preprocessor=dict(type='mmdet3d.Det3DDataPreprocessor'),
            backbone=CONFIG,
            decode_head=dict(
                type='PointNet2Head',
                fp_channels=((36, 24), (24, 24)),
                channels=24,
                num_classes=4,
                ignore_index=4),
            train_cfg=dict(),
            test_cfg=settings)).eval()


def test_a_room_is_seen_in_spheres():
    """Which together hold every voxel, and whose logits are averaged."""
    model, scan = build(), make_room(3000)['points'].tensor
    seen, encode = [], model.encode_decode
    model.encode_decode = lambda points, metas: seen.append(points[
        0]) or encode(points, metas)
    logits = predict(model, scan)
    assert logits.shape == (4, 3000)
    cells = (scan / .2).floor().int()
    for sphere in seen:
        assert len(sphere) <= 100
        own = (sphere / .2).floor().int()
        assert len(own.unique(dim=0)) == len(own)
        assert torch.cdist(sphere, sphere).amax(1).min() <= .6
    covered = torch.cat(seen).div(.2).floor().int().unique(dim=0)
    assert len(covered) == len(cells.unique(dim=0))
    # A voxel has the mean of its point's logits in all spheres.
    point = seen[-1][0]
    found = [
        encode(sphere[None], [{}])[0][:, (sphere == point).all(1)]
        for sphere in seen
    ]
    expected = torch.cat(found, 1).mean(1)
    here = (cells == (point / .2).floor().int()).all(1)
    assert torch.cat(found, 1).shape[1] >= 1 and here.any()
    torch.testing.assert_close(logits[:, here],
                               expected[:, None].expand(-1, int(here.sum())))


def test_spheres_follow_from_the_seed():
    model, scan = build(), make_room(500)['points'].tensor
    logits = predict(model, scan)
    torch.rand(3)
    torch.testing.assert_close(predict(model, scan), logits)
    torch.testing.assert_close(predict(model, scan, 'other.bin'), logits)
    assert not torch.allclose(predict(build(seed=1), scan), logits)


def test_a_gpu_sees_the_same_spheres():
    model, scan = build(), make_room(500)['points'].tensor
    expected = predict(model, scan)
    with emulated_cuda():
        found = predict(model.to('cuda'), scan.cuda())
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-3)


def test_labels_are_smoothed():
    logits = torch.zeros(1, 4, 5)
    logits[0, 2] = math.log(3)  # probabilities 1/6, 1/2
    labels = torch.tensor([[2, 2, 0, 4, 4]])
    loss = LabelSmoothingLoss(.2)(logits, labels, ignore_index=4)
    six, two = math.log(6), math.log(2)
    uniform = (3 * six + two) / 4
    expected = .8 * (2 * two + six) / 3 + .2 * uniform
    assert loss.item() == pytest.approx(expected)
    nothing = torch.full_like(labels, 4)
    assert LabelSmoothingLoss()(logits, nothing, ignore_index=4) == 0


def test_propagation_to_the_same_places_changes_no_feature():
    """mmdet3d's decoder, between levels that are one."""
    step = PointFPModule([8, 8])
    step.mlps = torch.nn.Identity()
    xyz, features = torch.rand(2, 30, 3), torch.randn(2, 5, 30)
    skip = torch.randn(2, 3, 30)
    torch.testing.assert_close(
        step(xyz, xyz, skip, features), torch.cat((features, skip), 1))


def test_settings_are_the_published_ones():
    cfg = load(CONFIG_FILE, {}, 'work')
    test_cfg, loss = cfg.model.test_cfg, cfg.model.decode_head.loss_decode
    sphere = next(step for step in cfg.train_dataloader.dataset.pipeline
                  if step.type == 'SphereSample')
    for place in (sphere, test_cfg):
        assert (place.num_points, place.radius, place.voxel_size) == (16384, 2,
                                                                      .04)
    assert loss.label_smoothing == .2
    optim = cfg.optim_wrapper
    assert optim.optimizer == dict(type='AdamW', lr=1e-4, weight_decay=1e-4)
    assert optim.clip_grad.max_norm == 10
    batch = cfg.train_dataloader.batch_size
    assert batch == cfg.auto_scale_lr.base_batch_size == 16
    assert cfg.train_cfg.max_iters * batch == 600 * 2000
    warm_up, cosine = cfg.param_scheduler
    assert warm_up.end * batch == cosine.begin * batch == 10 * 2000
    assert (cosine.end, cosine.eta_min) == (cfg.train_cfg.max_iters, 1e-6)


def test_the_config_trains_and_is_evaluated(tmp_path):
    """With turned scans too; regions are not read."""
    write_s3dis(tmp_path / 'data')
    for file in (tmp_path / 'data/regions').iterdir():
        file.unlink()
    cfg = load(CONFIG_FILE, dict(data_root=f'{tmp_path}/data/'), tmp_path)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset.pipeline[5].num_points = 300
    cfg.model.test_cfg.num_points = 300
    cfg.model.backbone.embedding = dict(
        CONFIG['embedding'], channels=(192, 24))
    cfg.model.backbone.transformer = CONFIG['transformer']
    cfg.model.decode_head.fp_channels = ((216, 16), (16, 16))
    cfg.model.decode_head.channels = 16
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = []
    forget_runs()
    run = RUNNERS.build(cfg)
    run.train()
    scalars = run.message_hub.log_scalars
    assert 0 < scalars['train/loss'].current() < 10
    assert 0 <= scalars['val/miou'].current() <= 1
    enable_tta(cfg)
    forget_runs()
    assert 0 <= RUNNERS.build(cfg).test()['miou'] <= 1
