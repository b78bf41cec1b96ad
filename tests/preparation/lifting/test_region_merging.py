"""Regions of views become regions of the scan."""
import numpy as np
import pytest

from sam3d_plugin.preparation.lifting import region_merging
from sam3d_plugin.preparation.lifting.lifting import see_points
from sam3d_plugin.preparation.lifting.purity import region_purity
from tests.preparation.lifting_scene import scan_points, view_frames

PLAIN = dict(min_points=1, absorb_radius=0)


@pytest.fixture(scope='module')
def views():
    """Lifted true instances of nine views, and the scan."""
    xyz, instances = scan_points()
    lifted = [see_points(xyz, *frame) for frame in view_frames(9)]
    return xyz, instances, [ids for ids, _ in lifted], [s for _, s in lifted]


def merge(views, xyz, **options):
    merger = region_merging.RegionMerger(
        region_merging.MergeOptions(**options))
    for ids in views:
        merger.add(ids)
    return merger.result(xyz)


def shuffled(ids, seed):
    """Other numbers, with gaps, for the same regions."""
    numbers = np.random.default_rng(seed).permutation(np.arange(1, 500))
    return np.where(ids > 0, numbers[ids], 0).astype(np.uint16)


def rows(*values):
    return [np.array(row, np.int32) for row in values]


def points(count):
    return np.arange(count)[:, None] * [1.0, 0, 0]


def test_instances_are_recovered_from_views_with_ids_of_their_own(views):
    xyz, instances, lifted, seen = views
    mixed = [shuffled(ids, seed) for seed, ids in enumerate(lifted)]
    ids = merge(mixed, xyz)
    result = region_purity(ids, instances)
    assert result.num_regions == 6
    assert result.purity > 0.99 and result.ari > 0.97
    assert result.covered > 0.85
    is_unseen = ~np.any(seen, axis=0)
    assert is_unseen.any() and not ids[is_unseen].any()
    single = [region_purity(i, instances).covered for i in lifted]
    assert result.covered > max(single)


def test_numbers_of_the_regions_do_not_matter(views):
    xyz, _, lifted, _ = views
    split = [
        ids * 7 + (xyz[:, 0] > 0.1 * i) * (ids > 0)
        for i, ids in enumerate(lifted)
    ]
    expected = merge(split, xyz)
    for seed in range(3):
        mixed = [shuffled(ids, seed + i) for i, ids in enumerate(split)]
        assert np.array_equal(merge(mixed, xyz), expected)
    assert np.array_equal(np.unique(expected), np.arange(expected.max() + 1))


def test_the_same_views_give_the_same_regions(views):
    xyz, _, lifted, _ = views
    once, again = merge(lifted, xyz), merge(lifted, xyz)
    assert once.dtype == np.int32 and np.array_equal(once, again)


def test_one_view_stays_as_it_is(views):
    xyz, _, lifted, _ = views
    assert np.array_equal(
        merge(lifted[:1], xyz, **PLAIN), region_merging.renumber(lifted[0]))


def test_no_view_and_empty_views():
    assert merge([], points(4)).tolist() == [0] * 4
    empty = np.zeros(4, np.uint16)
    assert merge([empty] * 3, points(4)).tolist() == [0] * 4
    one = np.array([0, 9, 9, 0], np.uint16)
    ids = merge([empty, one, empty], points(4), **PLAIN)
    assert ids.tolist() == [0, 1, 1, 0]
    assert merge([np.zeros(0, np.uint16)], points(0)).shape == (0, )


def test_renumber_goes_by_the_lowest_point():
    assert region_merging.renumber(np.array(
        [0, 7, 3, 7, 0, 1])).tolist() == [0, 1, 2, 1, 0, 3]
    assert region_merging.renumber(np.zeros(0, np.int64)).tolist() == []


def test_count_common_equals_counting():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (2, 200))
    a, b, counts = region_merging.count_common(first, second)
    expected = {
        (i, j): n
        for i in range(1, 5)
        for j in range(1, 5)
        if (n := int(((first == i) & (second == j)).sum()))
    }
    assert dict(zip(zip(a, b), counts)) == expected


def pairs(first, second, **options):
    found = region_merging.find_overlaps(
        first, second, region_merging.MergeOptions(**options))
    return list(zip(*(side.tolist() for side in found)))


def test_half_of_the_smaller_region_is_enough_and_less_is_not():
    first, second = rows([1] * 4 + [2] * 4, [1] * 2 + [2] * 6)
    assert pairs(first, second) == [(2, 2), (1, 1), (1, 2)]
    assert pairs(first, second, overlap=0.9) == [(2, 2), (1, 1)]
    first, second = rows([1] * 3 + [2] * 4, [1] * 2 + [2] * 5)
    assert pairs(first, second) == [(2, 2), (1, 1)]
    assert pairs(first, second, overlap=0.3) == [(2, 2), (1, 1), (1, 2)]


def test_what_the_other_view_does_not_see_counts_only_as_whole():
    # A wall of ten points: each view sees six of them, two in common.
    first, second = rows([1] * 6 + [0] * 4, [0] * 4 + [1] * 6)
    assert pairs(first, second) == [(1, 1)]
    assert pairs(first, second, counted='whole') == []


def test_what_one_frame_tells_apart_stays_apart():
    # The second frame mistakes two things for one; the larger gets it.
    apart, one = rows([1] * 4 + [2] * 6, [1] * 10)
    ids = merge([apart, one], points(10), **PLAIN)
    assert ids.tolist() == apart.tolist()
    ids = merge([one, apart], points(10), **PLAIN)
    assert ids.tolist() == one.tolist()
    ids = merge([apart, one], points(10), keep_apart=False, **PLAIN)
    assert ids.tolist() == one.tolist()
    # Told apart once is told apart for good.
    ids = merge([apart, one, one, apart], points(10), **PLAIN)
    assert len(np.unique(ids)) == 2


def test_pieces_that_no_frame_shows_together_meet_in_a_third():
    left, right = rows([1] * 4 + [0] * 6, [0] * 6 + [1] * 4)
    whole = np.ones(10, np.int32)
    for order in ((left, right, whole), (left, whole, right), (whole, left,
                                                               right)):
        assert merge(order, points(10), **PLAIN).tolist() == [1] * 10
    assert merge([left, right], points(10), **PLAIN).max() == 2


def test_the_region_that_more_views_saw_keeps_a_point():
    left, right = [1] * 5 + [2] * 5, [1] * 6 + [2] * 4
    ids = merge(rows(right, left, left, left), points(10), **PLAIN)
    assert ids.tolist() == left
    ids = merge(rows(right, left, right, right), points(10), **PLAIN)
    assert ids.tolist() == right
    # A tie goes to the earlier view.
    assert merge(rows(right, left), points(10), **PLAIN).tolist() == right


def test_small_regions_join_what_is_near():
    xyz = points(8)
    ids = np.array([1, 1, 1, 2, 0, 0, 3, 4], np.int32)
    assert region_merging.dissolve_small(ids, xyz, 2,
                                         0).tolist() == [1, 1, 1] + [0] * 5
    assert region_merging.dissolve_small(ids, xyz, 2,
                                         1.5).tolist() == [1] * 4 + [0] * 4
    assert region_merging.dissolve_small(ids, xyz, 4, 9).tolist() == [0] * 8
    assert region_merging.dissolve_small(ids, xyz, 1,
                                         9).tolist() == ids.tolist()


def test_more_frames_need_no_more_partial_results():
    merger = region_merging.RegionMerger()
    ids = np.array([1, 1, 2, 2], np.uint16)
    for _ in range(1000):
        merger.add(ids)
    assert len(merger._views) <= 10
    assert merger._views[0].votes.max() == 512


@pytest.mark.parametrize('options, match', [
    (dict(overlap=0), 'overlap'),
    (dict(overlap=1.5), 'overlap'),
    (dict(counted='some'), "counted 'some' is unknown"),
    (dict(min_points=0), 'min_points must be'),
    (dict(absorb_radius=-1), 'absorb_radius not negative'),
])
def test_impossible_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        region_merging.MergeOptions(**options)
