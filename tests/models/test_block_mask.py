"""Blocks of neighboring tokens that are hidden."""
import numpy as np
import pytest

from sam3d_plugin.models.pretrainers.masking import (block_mask,
                                                     frame_generators)
from sam3d_plugin.store.errors import UserError


def places(num_frames=4, num_tokens=30):
    return np.random.default_rng(5).normal(size=(num_frames, num_tokens, 3))


def whole(centers):
    return np.zeros(centers.shape[:2], bool)


@pytest.mark.parametrize('ratio, expected', [(.3, 9), (.29, 8), (.34, 10)])
def test_a_block_is_the_nearest_tokens_of_one_of_them(ratio, expected):
    centers = places()
    masks = block_mask(centers, whole(centers), (ratio, ratio),
                       frame_generators(0, range(4)))
    for points, mask in zip(centers, masks):
        assert mask.sum() == expected
        distances = np.linalg.norm(points[:, None] - points, axis=-1)
        blocks = [
            frozenset(sorted(range(30), key=row.__getitem__)[:expected])
            for row in distances
        ]
        assert frozenset(np.flatnonzero(mask)) in blocks


def test_sizes_cover_the_range_and_centers_are_random():
    centers = np.repeat(places(1, 100), 400, axis=0)
    masks = block_mask(centers, whole(centers), (.25, .45),
                       frame_generators(0, range(400)))
    assert sorted(set(masks.sum(1))) == list(range(25, 45))
    assert masks.any(0).all() and len({m.tobytes() for m in masks}) > 300


def test_a_mask_depends_on_seed_and_frame_number_alone():
    centers = places()
    masks = block_mask(centers, whole(centers), (.2, .5),
                       frame_generators(0, range(8, 12)))
    # as a second process would see them, behind padding
    padded = np.concatenate((np.zeros((2, 15, 3)), centers[1::2]), axis=1)
    is_padding = np.stack([np.arange(45) < 15] * 2)
    others = block_mask(padded, is_padding, (.2, .5),
                        frame_generators(0, [9, 11]))
    assert (others[:, 15:] == masks[1::2]).all() and not others[:, :15].any()
    other = block_mask(centers, whole(centers), (.2, .5),
                       frame_generators(1, range(8, 12)))
    assert (other != masks).any(axis=1).all()


def test_several_blocks_leave_tokens_visible():
    centers = places(50, 40)
    generators = frame_generators(0, range(50))
    masks = block_mask(centers, whole(centers), (.15, .2), generators, 4)
    counts = masks.sum(1)
    assert counts.min() >= 6 and counts.max() <= 32
    assert len(set(counts)) > 5 and counts.mean() > 12  # they may overlap


@pytest.mark.parametrize('ratios, blocks', [((0., .4), 1), ((.5, .4), 1),
                                            ((.2, 1.), 1), ((.15, .25), 4),
                                            ((.2, .3), 0)])
def test_blocks_that_are_empty_or_everything_are_refused(ratios, blocks):
    centers = places()
    with pytest.raises(UserError, match='blocks'):
        block_mask(centers, whole(centers), ratios,
                   frame_generators(0, range(4)), blocks)
