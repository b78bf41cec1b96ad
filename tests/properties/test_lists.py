"""Properties of shards, of lists of few labels and of the order of samples."""
import itertools
from unittest import mock

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sam3d_plugin.datasets import SeededSampler
from sam3d_plugin.preparation.sources.scans.few_labels import choose_scans
from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.shards import Shard, parse_shard

NAMES = st.lists(
    st.text('abcdef_0123', min_size=1, max_size=8), min_size=1, unique=True)
PERCENTAGES = st.floats(.01, 100)
SEEDS = st.integers(0, 5)


@given(NAMES, st.integers(1, 12))
def test_shards_share_out_every_scan_once(names, count):
    parts = [Shard(i, count).select(names) for i in range(count)]
    together = list(itertools.chain(*parts))
    assert sorted(together) == sorted(names) and len(
        set(together)) == len(names)
    assert all(part == sorted(part) for part in parts)
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1
    assert Shard().select(names[::-1]) == sorted(names)
    # whatever the order in which a file system lists them
    assert [Shard(i, count).select(names[::-1]) for i in range(count)] == parts


@given(st.integers(-1, 9), st.integers(-1, 9))
def test_shards_are_parsed_or_refused(index, count):
    if 0 <= index < count:
        shard = parse_shard(f'{index}/{count}')
        assert shard == Shard(index,
                              count) and str(shard) == f'{index}/{count}'
    else:
        with pytest.raises(StoreError):
            parse_shard(f'{index}/{count}')


@given(NAMES, PERCENTAGES, PERCENTAGES, SEEDS,
       st.randoms(use_true_random=False))
def test_few_label_lists_are_nested_and_know_no_order(names, one, other, seed,
                                                      random):
    small, large = sorted((one, other))
    chosen = choose_scans(names, small, seed)
    assert set(chosen) <= set(choose_scans(names, large, seed))
    assert chosen == sorted(chosen)
    assert len(chosen) == max(1, round(len(names) * small / 100))
    shuffled = list(names)
    random.shuffle(shuffled)
    assert choose_scans(shuffled, small, seed) == chosen
    assert choose_scans(names, 100, seed) == sorted(names)


@given(NAMES, PERCENTAGES, SEEDS)
def test_a_name_that_is_not_chosen_does_not_matter(names, percentage, seed):
    """The rule orders names by themselves, so that lists can be checked."""
    chosen = choose_scans(names, percentage, seed)
    others = [name for name in names if name not in chosen]
    assume(others)
    rest = [name for name in names if name != others[0]]
    share = 100 * len(chosen) / len(rest)
    assert choose_scans(rest, share, seed) == chosen


@given(
    st.integers(1, 60), st.sampled_from([1, 2, 3, 4, 8]), st.integers(1, 4),
    st.integers(0, 3), st.integers(0, 20), st.booleans())
def test_processes_take_the_batches_of_one(size, count, share, epoch, begin,
                                           shuffle):
    """At an equal total batch, also from the middle of an epoch."""

    def steps_of(count, batch):
        ranks = []
        for rank in range(count):
            with mock.patch('mmengine.dataset.sampler.get_dist_info', lambda:
                            (rank, count)):
                sampler = SeededSampler(range(size), shuffle, seed=3)
            sampler.set_epoch(epoch)
            sampler.skip(begin * batch)
            keys = list(sampler)
            ranks.append([
                keys[i:i + batch] for i in range(0,
                                                 len(keys) - batch + 1, batch)
            ])
        return [list(itertools.chain(*zip(*parts))) for parts in zip(*ranks)]

    expected = steps_of(1, count * share)
    assert len(expected) == max(size // (count * share) - begin, 0)
    assert steps_of(count, share) == expected
