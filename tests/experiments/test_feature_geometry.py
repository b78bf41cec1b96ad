"""Variance that geometry explains, on features made for the purpose."""
import numpy as np
import pytest

from sam3d_plugin.experiments.feature_geometry import (RegionGeometry,
                                                       describe,
                                                       explained_variance)


def make_regions(features_of, num_regions=1500):
    rng = np.random.default_rng(0)
    geometry = rng.normal(size=(num_regions, 12))
    scans = np.repeat([f'scene{i:02}' for i in range(10)], num_regions // 10)
    return RegionGeometry(geometry, features_of(geometry, rng), scans)


def test_linear_features_are_explained_and_noise_is_not():
    linear = explained_variance(
        make_regions(lambda g, rng: g[:, :4] @ rng.normal(size=(4, 6))))
    assert linear['ridge'] == pytest.approx(1, abs=1e-3)
    assert linear['mlp'] > .9
    noise = explained_variance(
        make_regions(lambda g, rng: rng.normal(size=(len(g), 6))))
    assert abs(noise['ridge']) < .05 and noise['mlp'] < .05


def test_a_mixture_is_explained_by_its_share():
    """Signal and noise of equal variance."""
    found = explained_variance(
        make_regions(lambda g, rng: g[:, :1] + rng.normal(size=(len(g), 1))))
    assert found['ridge'] == pytest.approx(.5, abs=.1)


def test_a_large_mean_is_common_and_not_variance():
    found = explained_variance(
        make_regions(lambda g, rng: 10 + rng.normal(size=(len(g), 3))))
    assert found['common'] == pytest.approx(100 / 101, abs=.01)
    assert abs(found['ridge']) < .05


def test_description_of_a_tabletop():
    rng = np.random.default_rng(0)
    xyz = rng.uniform((0, 0, .7), (2, 1, .72), (5000, 3))
    found = describe(xyz)
    assert found[:3] == pytest.approx([.71, .7, .72], abs=.001)
    assert found[3:6] == pytest.approx([2, 1, .02], abs=.01)
    assert found[6:9] == pytest.approx(np.array([2, 1, .02]) / 12**.5, abs=.01)
    assert found[9:11] == pytest.approx([0, 1], abs=.01)
