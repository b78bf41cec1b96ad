"""Merging segments by cost, and what the cost says."""
import numpy as np
import pytest

from sam3d_plugin.preparation.regions.segment_merging import (PairCost, Pairs,
                                                              Segments,
                                                              find_pairs,
                                                              merge_segments,
                                                              square_tensors)

FLAT, UPRIGHT = [0., 0, 1], [1., 0, 0]


def segments(colors, normals=None, centers=None, counts=None):
    """Segments by their means."""
    colors = np.array([[color, 0., 0.] for color in colors])
    counts = np.full(len(colors), 10.) if counts is None else np.array(counts)
    has = normals is not None
    normals = np.array(normals if has else np.zeros((len(colors), 3)))
    centers = np.zeros_like(colors) if centers is None else np.array(centers)
    return Segments(counts, colors * counts[:, None], counts * has,
                    square_tensors(normals) * counts[:, None],
                    centers * counts[:, None])


def chain(count, weight=0.):
    first = np.arange(count - 1)
    ones = np.ones(count - 1)
    return Pairs(first, first + 1, ones, weight * ones)


def cost(**weights):
    default = dict(border=0, color=0, turn=0, offset=0, size_power=0, unit=10)
    return PairCost(**{**default, **weights})


def test_the_scalar_product_of_tensors_is_the_square_of_the_vectors():
    a, b = np.random.default_rng(0).normal(size=(2, 50, 3))
    found = (square_tensors(a) * square_tensors(b)).sum(1)
    np.testing.assert_allclose(found, (a * b).sum(1)**2)


def test_cheapest_pairs_merge_until_the_threshold():
    some = segments([0, 1, 10, 11, 30])
    merged = merge_segments(some, chain(5), cost(color=1.), 5.)
    assert merged.tolist() == [0, 0, 1, 1, 2]
    merged = merge_segments(some, chain(5), cost(color=1.), 12.)
    assert merged.tolist() == [0, 0, 0, 0, 1]


def test_costs_follow_the_means_of_what_has_merged():
    # Each step is 4, but the second is 6 from the mean of the first two.
    merged = merge_segments(
        segments([0, 4, 8.5]), chain(3), cost(color=1.), 5.)
    assert merged.tolist() == [0, 0, 1]


def test_small_segments_merge_at_any_cost():
    some = segments([0, 100, 110], counts=[10., 1., 10.])
    merged = merge_segments(some, chain(3), cost(color=1.), 1., min_count=2)
    assert merged.tolist() == [0, 1, 1]
    assert merge_segments(some, chain(3), cost(color=1.), 1.).max() == 2


def test_what_does_not_touch_stays_apart():
    none = np.zeros(0, int)
    merged = merge_segments(
        segments([0, 0]), Pairs(none, none, none, none), cost(), 1., 100)
    assert merged.tolist() == [0, 1]


@pytest.mark.parametrize('weights, normals, centers, expected', [
    (dict(turn=2.), [FLAT, FLAT], [[0, 0, 0], [1, 0, 0]], 0),
    (dict(turn=2.), [FLAT, UPRIGHT], [[0, 0, 0], [1, 0, 0]], 2),
    (dict(turn=2.), [FLAT, [0, 0, -1]], [[0, 0, 0], [1, 0, 0]], 0),
    (dict(offset=3.), [FLAT, FLAT], [[0, 0, 0], [1, 0, 0]], 0),
    (dict(offset=3.), [FLAT, FLAT], [[0, 0, 0], [.6, 0, .8]], 2.4),
    (dict(border=1.), [FLAT, FLAT], [[0, 0, 0], [1, 0, 0]], 7),
    (dict(color=.5), [FLAT, FLAT], [[0, 0, 0], [1, 0, 0]], 4),
    (dict(color=.5, size_power=1., unit=40), [FLAT, FLAT], [[0, 0, 0],
                                                            [1, 0, 0]], 1),
])
def test_each_term_of_the_cost(weights, normals, centers, expected):
    some = segments([0, 8], normals, centers)
    found = cost(**weights)(some, chain(2, weight=7.))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_segments_without_normals_have_no_surface_cost():
    some = segments([0, 8])
    assert cost(turn=9., offset=9.)(some, chain(2)) == 0


def test_pairs_count_and_sum_the_edges_between_segments():
    labels = np.array([0, 0, 1, 1, 2])
    sources, targets = np.array([0, 1, 3, 2, 3]), np.array([1, 2, 1, 3, 4])
    pairs = find_pairs(labels, sources, targets, np.arange(5))
    assert [array.tolist() for array in pairs] == [[0, 1], [1, 2], [2, 1],
                                                   [3, 4]]
