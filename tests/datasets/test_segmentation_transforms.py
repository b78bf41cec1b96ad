"""Centring of scans, and few labels."""
import numpy as np
import pytest
import torch
from mmdet3d.registry import TRANSFORMS
from mmdet3d.structures import DepthPoints

import sam3d_plugin  # noqa: F401 (registers)

IGNORED = 20
# Frozen for all time: which points "20 points" of a.bin are.
FIRST = [116, 124, 227]


def keep(labels, num_points, name='a.bin', **changes):
    step = TRANSFORMS.build(
        dict(
            type='KeepPointLabels',
            num_points=num_points,
            ignore_index=IGNORED,
            **changes))
    results = dict(
        pts_semantic_mask=labels.copy(),
        lidar_points=dict(lidar_path=f'any/where/{name}'))
    return step(results)['pts_semantic_mask']


def make_labels(num_points=1000):
    labels = np.arange(num_points) % (IGNORED + 1)
    labels[:100] = IGNORED
    return labels


def test_kept_labels_are_right_and_as_many_as_asked():
    labels = make_labels()
    few = keep(labels, 20)
    kept = few != IGNORED
    assert kept.sum() == 20
    assert (few[kept] == labels[kept]).all()


def test_the_same_points_every_time_whatever_was_drawn_before():
    labels = make_labels()
    np.random.seed(1)
    first = keep(labels, 20)
    np.random.seed(2)
    assert (keep(labels, 20) == first).all()
    assert np.flatnonzero(first != IGNORED)[:3].tolist() == FIRST
    for other in (keep(labels, 20, seed=1), keep(labels, 20, name='b.bin')):
        assert (other != first).any()


def test_more_points_hold_those_of_fewer():
    labels = make_labels()
    few, more = keep(labels, 20), keep(labels, 50)
    assert (more[few != IGNORED] != IGNORED).all()


def test_none_keeps_all_and_few_labels_are_all_kept():
    labels = make_labels()
    assert (keep(labels, None) == labels).all()
    assert (keep(labels, 5000) == labels).all()
    nothing = np.full(10, IGNORED)
    assert (keep(nothing, 5) == IGNORED).all()


def test_zero_labels_are_refused():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        keep(make_labels(), 0)


def test_scan_has_the_origin_of_pretraining_frames():
    """Mean x and y, the floor in z; other columns stay."""
    generator = torch.manual_seed(0)
    values = torch.rand(1001, 4, generator=generator) * 4 + 7
    values[:, 2] = torch.randperm(1001, generator=generator) / 1000 + 3
    points = DepthPoints(
        values.clone(), points_dim=4, attribute_dims=dict(region=3))
    step = TRANSFORMS.build(dict(type='CenterPoints'))
    moved = step(dict(points=points))['points'].tensor
    assert moved[:, :2].mean(dim=0).abs().max() < 1e-5
    # the ninth lowest of 1001 is the 0.99th percentile
    assert moved[:, 2].min().item() == pytest.approx(-.009, abs=1e-5)
    assert moved[:, 3].equal(values[:, 3])
    shift = moved[:, :3] - values[:, :3]
    torch.testing.assert_close(
        shift, shift[:1].expand_as(shift), atol=1e-5, rtol=0)


def test_center_has_three_kinds():
    values = torch.rand(50, 3) + 5
    for center, expected in (('none', values), ('mean',
                                                values - values.mean(0))):
        step = TRANSFORMS.build(dict(type='CenterPoints', center=center))
        moved = step(dict(points=DepthPoints(values.clone())))['points']
        torch.testing.assert_close(moved.tensor, expected, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="'top' is unknown"):
        TRANSFORMS.build(dict(type='CenterPoints', center='top'))
