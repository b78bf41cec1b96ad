"""Purity by hand."""
import numpy as np
import pytest

from sam3d_plugin.preparation.lifting.purity import (instance_labels,
                                                     membership_purity,
                                                     region_purity)


def test_a_case_counted_by_hand():
    instances = np.array([5, 5, 6, 6, 6, 6, 7, 5])
    regions = np.array([1, 1, 1, 2, 2, 0, 0, 9])
    result = region_purity(regions, instances)
    # 2 of region 1, 2 of 2, 1 of 9; the rest of two adds one.
    assert result.purity == pytest.approx(5 / 6)
    assert result.purity_all == pytest.approx(6 / 8)
    assert result.covered == 6 / 8
    assert result.num_regions == 3
    # 5 has two regions, 6 has one, 7 has none.
    assert result.regions_per_instance == 1.5
    assert result.found == pytest.approx(2 / 3)


def test_another_id_can_mean_no_region():
    instances = np.array([1, 1, 2, 2])
    regions = np.array([0, 0, 1, -1])
    result = region_purity(regions, instances, ignore_region=-1)
    assert result.covered == 0.75 and result.purity == 1
    assert result.num_regions == 2


def test_the_true_partition_is_perfect_and_chance_is_worth_nothing():
    rng = np.random.default_rng(0)
    instances = rng.integers(0, 10, 4000)
    perfect = region_purity(instances + 1, instances)
    assert (perfect.purity, perfect.ari) == (1, 1)
    assert perfect.regions_per_instance == 1
    chance = region_purity(rng.integers(1, 11, 4000), instances)
    assert abs(chance.ari) < 0.01 and chance.purity < 0.2
    # Single points are pure, but no partition into instances.
    single = region_purity(np.arange(1, 4001), instances)
    assert single.purity == 1 and single.ari < 0.01
    assert single.regions_per_instance == 400


def test_no_region_and_no_points():
    result = region_purity(np.zeros(3, int), np.array([1, 1, 2]))
    assert np.isnan([result.purity, result.ari]).all()
    assert result.purity_all == pytest.approx(2 / 3)
    assert (result.covered, result.num_regions, result.found) == (0, 0, 0)
    nothing = region_purity(np.zeros(0, int), np.zeros(0, int))
    assert np.isnan(nothing.purity_all) and nothing.num_regions == 0


def test_stuff_is_counted_by_class():
    labels = instance_labels(
        np.array([1, 0, 0, 0, 2]), np.array([5, 1, 2, 1, 5], np.uint8))
    assert len(np.unique(labels)) == 4
    assert labels[1] == labels[3] != labels[2]
    assert not set(labels[1:4]) & {1, 2}


def test_memberships_count_points_as_often_as_tokens_have_them():
    tokens = np.array([[1, 1, 1, 2], [2, 2, 1, 3], [4, 4, 4, 4]])
    assert membership_purity(tokens) == pytest.approx(9 / 12)
    assert np.isnan(membership_purity(np.zeros((0, 4), int)))
