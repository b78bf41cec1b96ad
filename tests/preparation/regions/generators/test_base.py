"""Merging masks, numbering regions and building generators by name."""
import numpy as np
import pytest

from sam3d_plugin.preparation.regions.generators import (GENERATORS,
                                                         build_generator,
                                                         merge_masks,
                                                         number_regions)
from sam3d_plugin.store.errors import FrameError, StoreError


def square(*box):
    """A mask of 8x8 pixels that is set in rows a..b and columns c..d."""
    mask = np.zeros((8, 8), bool)
    mask[box[0]:box[1], box[2]:box[3]] = True
    return mask


BIG, SMALL, TINY = square(0, 8, 0, 6), square(0, 4, 4, 8), square(0, 1, 4, 6)


def areas(ids):
    return np.bincount(ids.ravel())[1:].tolist()


def slow_merge(masks, winner_of):
    ids = np.zeros(masks[0].shape, int)
    for v, u in np.ndindex(ids.shape):
        covering = [i for i, mask in enumerate(masks) if mask[v, u]]
        if covering:
            ids[v, u] = winner_of(covering) + 1
    return ids


@pytest.mark.parametrize('rule, key', [
    ('smaller', lambda i, area, score: (area[i], i)),
    ('larger', lambda i, area, score: (-area[i], i)),
    ('first', lambda i, area, score: i),
    ('last', lambda i, area, score: -i),
    ('score', lambda i, area, score: (-score[i], i)),
])
def test_overlap_rules_against_a_loop_over_pixels(rule, key):
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 6, (30, 2))
    masks = [square(v, v + 3, u, u + 1 + u % 3) for v, u in starts]
    score = rng.integers(0, 4, len(masks)) / 4
    area = [mask.sum() for mask in masks]
    expected = slow_merge(masks,
                          lambda c: min(c, key=lambda i: key(i, area, score)))
    seen = np.unique(expected[expected > 0])
    ids = merge_masks(
        masks, 'f', rule, scores=score if rule == 'score' else None)
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(
        ids, np.where(expected,
                      np.searchsorted(seen, expected) + 1, 0))


def test_ids_follow_the_order_of_the_masks():
    ids = merge_masks([SMALL, BIG, TINY], 'f')
    assert ids[7, 0] == 2 and ids[3, 7] == 1 and ids[0, 4] == 3
    assert ids[7, 7] == 0
    assert areas(ids) == [14, 40, 2]


def test_areas_really_drop():
    ids = merge_masks([BIG, SMALL, TINY], 'f', min_area=3)
    assert areas(ids) == [40, 16]
    ids = merge_masks([BIG, SMALL, TINY], 'f', max_area=16)
    assert areas(ids) == [14, 2]
    assert ids[7, 0] == 0


def test_what_is_nearly_covered_goes_to_the_mask_below():
    frame, covered, cover = square(0, 8, 0, 8), square(0, 4, 0,
                                                       4), square(0, 4, 0, 3)
    ids = merge_masks([frame, covered, cover], 'f', min_area=5)
    assert areas(ids) == [52, 12]
    assert ids[0, 3] == 1


def test_no_mask_left_is_an_error_of_the_frame():
    for masks, options in (([], {}), ([square(0, 0, 0, 0)], {}),
                           ([TINY], dict(min_area=3)), ([BIG],
                                                        dict(max_area=9))):
        with pytest.raises(FrameError, match='^f has no region'):
            merge_masks(masks, 'f', **options)


@pytest.mark.parametrize('options, message', [
    (dict(overlap='best'), 'smaller, larger, first, last, score'),
    (dict(overlap='score'), 'scores belong'),
    (dict(scores=[1.]), 'scores belong'),
    (dict(overlap='score', scores=[1.]), '1 scores for 2 masks'),
    (dict(min_area=9, max_area=8), 'leave no region'),
])
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        merge_masks([BIG, SMALL], 'f', **options)


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match='differ in size'):
        merge_masks([BIG, np.ones((2, 2), bool)], 'f')


@pytest.mark.parametrize('high', [9, 10**12])
def test_numbers_become_contiguous_in_order(high):
    ids = np.array([[0, 5, 5, high], [3, 3, 3, 0]])
    np.testing.assert_array_equal(
        number_regions(ids, 'f'), [[0, 2, 2, 3], [1, 1, 1, 0]])
    np.testing.assert_array_equal(
        number_regions(ids, 'f', min_area=2, max_area=2),
        [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_65535_regions_fit_and_one_more_is_an_error():
    ids = np.arange(1, 65537).reshape(256, 256)
    with pytest.raises(FrameError, match='65,536 regions'):
        number_regions(ids, 'f')
    ids[0, 0] = 2
    assert number_regions(ids, 'f').max() == 65535


def test_generators_are_built_by_name():
    generator = build_generator('superpixel', dict(min_share=0.01))
    assert generator.name == 'superpixel'
    assert generator.settings()['min_share'] == 0.01


@pytest.mark.parametrize('name, options, message', [
    ('slic', {}, "'slic' is unknown; choose one of superpixel, sam"),
    ('superpixel', dict(size=3), 'no option size; its options are scale='),
    ('superpixel', dict(min_share=2), 'superpixel: min_share'),
])
def test_what_cannot_be_built_is_refused_with_the_choices(
        name, options, message):
    with pytest.raises(StoreError, match=message):
        build_generator(name, options)


def test_importing_the_package_imports_no_generator():
    assert set(GENERATORS) == {
        'superpixel', 'sam', 'sam2', 'sam3', 'precomputed'
    }
