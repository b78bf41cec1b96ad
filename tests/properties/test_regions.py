"""Properties of region maps, masks and run lengths."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from sam3d_plugin.preparation.regions.generators.base import (merge_masks,
                                                              number_regions)
from sam3d_plugin.preparation.regions.generators.mask_lists import decode_rle
from sam3d_plugin.store.errors import FrameError
from sam3d_plugin.store.region_maps import (MAX_REGIONS, check_region_map,
                                            decode_region_map,
                                            encode_region_map)

SIZES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
ID_MAPS = arrays(
    st.sampled_from([np.int64, np.int32, np.uint16]),
    SIZES,
    elements=st.integers(0, 6))
FAR_IDS = arrays(np.int64, SIZES, elements=st.integers(-9, 2**60))
MASKS = st.integers(1, 5).flatmap(
    lambda count: SIZES.flatmap(lambda size: arrays(bool, (count, *size))))


@given(st.one_of(ID_MAPS, FAR_IDS), st.integers(0, 4), st.integers(4, 90))
def test_numbering_keeps_the_partition_and_the_order(ids, smallest, largest):
    values, counts = np.unique(ids[ids != 0], return_counts=True)
    kept = values[(counts >= smallest) & (counts <= largest)]
    if not len(kept):
        with pytest.raises(FrameError):
            number_regions(ids, 'frame', smallest, largest)
        return
    expected = np.zeros(ids.shape, int)
    for number, value in enumerate(kept.tolist(), 1):
        expected[ids == value] = number
    found = number_regions(ids, 'frame', smallest, largest)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected)


@given(ID_MAPS)
def test_a_map_is_taken_if_and_only_if_ids_are_contiguous(ids):
    present = set(ids.ravel().tolist()) - {0}
    if not present or max(present) != len(present):
        with pytest.raises(FrameError):
            decode_region_map(encode_region_map(ids), 'frame')
        return
    found = decode_region_map(encode_region_map(ids), 'frame')
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, ids)


@given(st.integers(-2, 3), st.integers(1, 3))
def test_more_regions_than_uint16_holds_are_refused(excess, height):
    count = MAX_REGIONS + excess
    ids = np.zeros((height, -(-count // height)), np.int64)
    ids.ravel()[:count] = np.arange(1, count + 1)
    for check in (check_region_map, number_regions):
        if excess > 0:
            with pytest.raises(FrameError, match='65,53[5-9]'):
                check(ids, 'frame')
        else:
            np.testing.assert_array_equal(check(ids, 'frame'), ids)


@given(MASKS, st.sampled_from(['smaller', 'larger', 'first', 'last']))
def test_merged_masks_cover_their_union_by_the_rule(masks, overlap):
    if not masks.any():
        with pytest.raises(FrameError):
            merge_masks(masks, 'frame', overlap)
        return
    found = merge_masks(masks, 'frame', overlap)
    np.testing.assert_array_equal(found > 0, masks.any(axis=0))
    areas = masks.sum(axis=(1, 2))
    key = dict(
        smaller=areas,
        larger=-areas,
        first=0 * areas,
        last=-np.arange(len(masks)))[overlap]
    winners = {}
    for place in zip(*found.nonzero()):
        over = np.flatnonzero(masks[(slice(None), *place)])
        winners.setdefault(found[place],
                           set()).add(min(over, key=lambda i: (key[i], i)))
    # each region is one mask, in the order of the masks
    assert all(len(masks) == 1 for masks in winners.values())
    order = [min(winners[number]) for number in sorted(winners)]
    assert order == sorted(order)


@given(arrays(bool, SIZES))
def test_run_lengths_come_back_as_text_and_as_numbers(mask):
    height, width = mask.shape
    text = coco.encode(np.asfortranarray(mask, np.uint8))['counts'].decode()
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, flat.size]).tolist()
    if flat[0]:
        counts.insert(0, 0)
    for runs in (text, counts):
        found = decode_rle(dict(size=[height, width], counts=runs), 'mask')
        assert found.dtype == bool
        np.testing.assert_array_equal(found, mask)


@given(
    st.lists(st.integers(-3, 40), max_size=6), st.integers(-1, 9),
    st.integers(-1, 9))
def test_runs_that_do_not_fill_the_image_are_refused(counts, height, width):
    fills = min([height - 1, width - 1, *counts]) >= 0 and (sum(counts)
                                                            == height * width)
    try:
        found = decode_rle(dict(size=[height, width], counts=counts), 'mask')
    except FrameError:
        assert not fills
    else:
        assert fills and found.sum() == sum(counts[1::2])


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120)))
def test_any_text_is_a_mask_or_refused(text):
    try:
        found = decode_rle(dict(size=[4, 5], counts=text), 'mask')
    except FrameError:
        return
    assert found.shape == (4, 5)
    expected = coco.decode(dict(size=[4, 5], counts=text))
    np.testing.assert_array_equal(found, expected)
