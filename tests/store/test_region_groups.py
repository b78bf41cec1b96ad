"""Groups of regions and the weights of the paper."""
import numpy as np
import pytest

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.region_groups import (GROUP_IDS, GROUPS_FILE, Groups,
                                              RegionGroups, balanced_weights,
                                              decode_groups, encode_groups,
                                              pack_group_ids)


def test_weights_by_hand():
    # n_min 2, n_max 10: k = 0.8, 0.2, 0; tau = 0.2, 0.8, 1.
    weights = balanced_weights(np.array([10, 4, 2]))
    assert weights == pytest.approx(np.array([0.2, 0.8, 1]) / 2)
    assert weights.dtype == np.float64


def test_empty_groups_weigh_nothing_and_change_nothing():
    weights = balanced_weights(np.array([0, 10, 4, 0, 2]))
    assert weights[[0, 3]].tolist() == [0, 0]
    assert weights[[1, 2, 4]] == pytest.approx(balanced_weights([10, 4, 2]))


@pytest.mark.parametrize('counts', [[7], [3, 3, 3, 3], [0, 9, 0]])
def test_equal_groups_weigh_the_same(counts):
    weights = balanced_weights(counts)
    used = np.array(counts) > 0
    assert weights[used] == pytest.approx(1 / used.sum())
    assert weights.sum() == pytest.approx(1)


def test_rarer_groups_weigh_more():
    counts = np.random.default_rng(0).integers(1, 500, 100)
    weights = balanced_weights(counts)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights[np.argsort(counts)]) <= 0).all()
    assert (weights > 0).all()


def test_mean_one_keeps_the_ratio():
    counts = np.array([10, 4, 0, 2])
    paper, scaled = (
        balanced_weights(counts, n) for n in ('paper', 'mean_one'))
    assert (counts * scaled).sum() / counts.sum() == pytest.approx(1)
    assert scaled * paper.sum() == pytest.approx(paper * scaled.sum())


@pytest.mark.parametrize('counts', [[], [0, 0], [3, -1], [[1, 2]]])
def test_counts_that_are_none(counts):
    with pytest.raises(ValueError, match='counts'):
        balanced_weights(np.array(counts))


def test_unknown_normalization():
    with pytest.raises(ValueError, match='paper, mean_one'):
        balanced_weights([1, 2], 'sum')


def make_groups():
    counts = np.array([3, 1])
    return Groups(
        np.arange(6, dtype=np.float32).reshape(2, 3), counts,
        balanced_weights(counts))


def test_round_trip(tmp_path):
    groups = make_groups()
    (tmp_path / GROUPS_FILE).write_bytes(encode_groups(groups))
    frames = {'00000': np.array([1, 0]), '00003': np.array([0, 0])}
    (tmp_path / 's.safetensors').write_bytes(pack_group_ids(frames))
    store = RegionGroups(tmp_path)
    assert store.scans() == ['s']
    assert store.frames('s') == ['00000', '00003']
    assert store.read('s', '00000').tolist() == [1, 0]
    assert store.read('s', '00000').dtype == np.int32
    assert store.read_scan('s', GROUP_IDS).tolist() == [1, 0, 0, 0]
    for name in ('centroids', 'counts', 'weights'):
        read = getattr(store.groups(), name)
        assert (read == getattr(groups, name)).all()
        assert read.dtype == getattr(groups, name).dtype


def test_missing_and_damaged_groups(tmp_path):
    with pytest.raises(FileNotFoundError, match='build_groups'):
        RegionGroups(tmp_path).groups()
    with pytest.raises(FileNotFoundError, match='build_groups'):
        RegionGroups(tmp_path).read('s', '0')
    content = encode_groups(make_groups())
    with pytest.raises(StoreError, match='groups'):
        decode_groups(content[:-3], 'g')
    with pytest.raises(StoreError, match='groups'):
        decode_groups(pack_group_ids({'0': np.array([1])}), 'g')
    short = Groups(np.ones((2, 3), np.float32), np.array([1]), np.ones(2))
    with pytest.raises(StoreError, match='disagree'):
        decode_groups(encode_groups(short), 'g')
