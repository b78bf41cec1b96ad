"""Tests of two views of a frame and of their correspondences."""
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS
from mmdet3d.structures import DepthPoints
from mmdet3d.utils import register_all_modules
from mmengine.registry import DefaultScope
from scipy.spatial import cKDTree
from torch.utils.data import DataLoader

from sam3d_plugin.datasets import FindCorrespondences, TwoViews
from sam3d_plugin.datasets.frame_batch import collate_frames
from sam3d_plugin.datasets.seeding import SampleKey
from sam3d_plugin.datasets.transforms import base as module
from sam3d_plugin.datasets.transforms.two_views import draw_pairs, match_points
from sam3d_plugin.engine.hooks import RunSummaryHook
from sam3d_plugin.models import FramePreprocessor
from sam3d_plugin.store.errors import StoreError
from tests.datasets import frame_store

register_all_modules(init_default_scope=False)
NUM_POINTS, NUM_PAIRS, RADIUS = 400, 64, 0.05
AUGMENTATION = [
    dict(
        type='GlobalRotScaleTrans',
        rot_range=[-3.14, 3.14],
        scale_ratio_range=[0.8, 1.2]),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5),
]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        yield


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    frame_store.write_frames(folder)
    return folder


def load(columns=('pixel', 'origin')):
    return dict(type='LoadRGBDPoints', num_points=NUM_POINTS, columns=columns)


def build(root, views, before=(), **find):
    find = dict(dict(num_pairs=NUM_PAIRS, radius=RADIUS), **find)
    return DATASETS.build(
        dict(
            type='RGBDFrameDataset',
            data_root=str(root),
            pipeline=[
                *before,
                dict(type='TwoViews', transforms=views),
                dict(type='FindCorrespondences', **find),
                dict(
                    type='PackPretrainInputs',
                    keys=('points', 'pairs', 'is_pair'))
            ]))


def test_pairs_are_the_same_place_whatever_augmentation_did(root):
    dataset = build(root, [load(), *AUGMENTATION])
    assert dataset.metainfo['point_columns']['origin'] == [4, 5, 6]
    sample = dataset[SampleKey(2, 1, 7)]
    points, pairs = sample['inputs']['points'], sample['inputs']['pairs']
    assert points.shape == (2, NUM_POINTS, 7)
    assert sample['data_samples'].metainfo['point_columns'] == dict(
        pixel=3, origin=[4, 5, 6])
    assert sample['inputs']['is_pair'].all()
    first, second = points[0, pairs[:, 0]], points[1, pairs[:, 1]]
    apart = (first[:, 4:] - second[:, 4:]).norm(dim=1)
    assert (apart < RADIUS).all() and (apart > 0).any()
    assert (first[:, :3] - second[:, :3]).norm(dim=1).max() > 0.1
    assert len(pairs[:, 0].unique()) == NUM_PAIRS


def test_views_of_points_that_were_loaded_once(root):
    """Without sampling, point i of both views is the same one."""
    dataset = build(
        root, AUGMENTATION, [load()], num_pairs=NUM_POINTS, radius=1e-6)
    sample = dataset[0]['inputs']
    pixels = sample['points'][..., 3]
    assert torch.equal(pixels[0], pixels[1])
    first, second = sample['pairs'].T
    assert torch.equal(pixels[0, first], pixels[1, second])
    assert not torch.equal(sample['points'][0, :, :3],
                           sample['points'][1, :, :3])


def test_samples_repeat_and_batches_stack(root):
    dataset = build(root, [load(), *AUGMENTATION])
    key = SampleKey(1, 0, 3)
    for name, value in dataset[key]['inputs'].items():
        assert torch.equal(value, dataset[key]['inputs'][name])
    batch = FramePreprocessor()(collate_frames([dataset[0], dataset[1]]))
    shapes = {k: tuple(v.shape) for k, v in batch['inputs'].items()}
    assert shapes == dict(
        points=(2, 2, NUM_POINTS, 7),
        pairs=(2, NUM_PAIRS, 2),
        is_pair=(2, NUM_PAIRS))


def views_at(*origins):
    """Views whose points have these origins, and other coordinates."""
    points = []
    for xyz in origins:
        xyz = torch.as_tensor(np.asarray(xyz, np.float32)).reshape(-1, 3)
        points.append(
            DepthPoints(
                torch.cat([xyz * 0 - 5, xyz], 1),
                points_dim=6,
                attribute_dims=dict(origin=[3, 4, 5])))
    return dict(scan='alpha', frame='00000', points=points)


def test_known_pairs_and_the_mask_of_the_rest():
    line = np.zeros((6, 3))
    line[:, 0] = np.arange(6)
    results = views_at(line, line[3:] + [0, 0.1, 0])
    results = FindCorrespondences(5, radius=0.2)(results)
    assert results['is_pair'].tolist() == [True] * 3 + [False] * 2
    assert sorted(results['pairs'][:3].tolist()) == [[3, 0], [4, 1], [5, 2]]
    assert not results['pairs'][3:].any()
    found = FindCorrespondences(
        2, radius=0.2)(views_at(line, line[3:]))['pairs']
    assert len(found) == 2 and (found[:, 0] - found[:, 1] == 3).all()


def test_against_all_distances():
    rng = np.random.default_rng(0)
    first, second = rng.random((60, 3)), rng.random((40, 3))
    distances = np.linalg.norm(first[:, None] - second, axis=2)
    expected = [[i, row.argmin()] for i, row in enumerate(distances)
                if row.min() < 0.15]
    assert match_points(first, cKDTree(second), 0.15).tolist() == expected
    assert 5 < len(expected) < 60


@pytest.mark.parametrize('cell', [0., .2])
def test_drawn_pairs_are_among_all_of_them(cell):
    """The search ends early, but not before there are enough."""
    rng = np.random.default_rng(0)
    first, second = rng.random((600, 3)), rng.random((600, 3))
    everything = {
        tuple(pair)
        for pair in match_points(first, cKDTree(second), .05).tolist()
    }
    cells = {tuple(np.floor(first[i] / .2)) for i, _ in everything}
    most = len(cells) if cell else len(everything)
    assert 60 < most < 600
    for count in (1, 20, most, 600):
        pairs = draw_pairs(first, second, .05, count, cell, rng).tolist()
        assert len(pairs) == min(count, most)
        assert {tuple(pair) for pair in pairs} <= everything
        assert len({i for i, _ in pairs}) == len(pairs)
        if cell:
            places = {tuple(np.floor(first[i] / .2)) for i, _ in pairs}
            assert len(places) == len(pairs)
    drawn = [
        draw_pairs(first, second, .05, 9, cell, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_too_few_pairs_are_skipped_and_named(monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log',
                        lambda text, level, **_: said.append(text))
    far = views_at([[0, 0, 0]], [[9, 0, 0]])
    assert FindCorrespondences(4, radius=0.1)(far) is None
    near = views_at([[0, 0, 0]], [[0, 0, 0]])
    assert FindCorrespondences(4, radius=0.1, min_pairs=2)(near) is None
    assert 'alpha/00000' in said[0] and 'share 0' in said[0]
    assert 'min_pairs is 2' in said[1]


def test_refuses(root):
    with pytest.raises(ValueError, match="'origin' into the columns"):
        build(root, [load(('pixel', ))])[0]
    with pytest.raises(ValueError, match='min_pairs is 9'):
        FindCorrespondences(4, radius=0.1, min_pairs=9)
    lengths = iter([3, 4])
    views = TwoViews([
        lambda results: dict(
            results, points=results['points'][:next(lengths)])
    ])
    with pytest.raises(ValueError, match='3 and 4 points.*PointSample'):
        views(dict(points=views_at(np.zeros((9, 3)))['points'][0]))
    nothing = TwoViews([lambda results: None])
    assert nothing(dict(points=None)) is None


@pytest.mark.parametrize('test_mode', [False, True])
def test_views_that_never_match_end_the_run(root, test_mode, monkeypatch):
    """In a sentence, after so many tries that it is no accident."""
    said = []
    monkeypatch.setattr(module, 'print_log',
                        lambda text, **_: said.append(text))
    dataset = build(
        root, [load(), *AUGMENTATION],
        num_pairs=NUM_POINTS,
        radius=1e-9,
        min_pairs=NUM_POINTS)
    dataset.test_mode = test_mode
    with pytest.raises(StoreError, match='in a row are unusable.*log'):
        dataset[0]
    assert dataset.num_replaced == len(said) == (1 if test_mode else 100)
    assert f'min_pairs is {NUM_POINTS}' in said[0]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_skipped_samples_are_counted_across_workers(root, num_workers, caplog):
    """The places of one frame of each scan are moved, so it has no pairs."""

    def move(results):
        if results['frame'] == '00001':
            results['points'][0].tensor[:, 4:] += 100
        return results

    dataset = build(root, [load(), *AUGMENTATION])
    dataset.pipeline.transforms.insert(1, move)
    assert dataset.num_replaced == 0
    loader = DataLoader(
        dataset, 2, num_workers=num_workers, collate_fn=collate_frames)
    for _ in range(2):
        assert sum(len(batch['data_samples']) for batch in loader) == 6
    # A replacement may be unusable, too.
    assert dataset.num_replaced >= 4
    with caplog.at_level('WARNING'):
        RunSummaryHook().after_train_epoch(
            SimpleNamespace(
                train_dataloader=loader, logger=logging.getLogger('run')))
    assert f'{dataset.num_replaced} unusable' in caplog.text
