"""Pooling equals interpolating the whole map and looking at each region."""
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sam3d_plugin.preparation.features import region_pooling
from sam3d_plugin.preparation.features.region_pooling import (max_in_strips,
                                                              pool_regions)

CASES = {
    'enlarged': ((7, 5, 8), (33, 41), 6),
    'enlarged by whole numbers': ((3, 4, 6), (56, 84), 5),
    'shrunk': ((3, 40, 30), (9, 13), 4),
    'same size': ((2, 12, 17), (12, 17), 4),
    'one feature': ((4, 1, 1), (6, 9), 2),
    'one row of features': ((2, 1, 5), (8, 21), 3),
    'one region': ((5, 6, 6), (20, 20), 1),
    'one pixel': ((3, 2, 2), (1, 1), 1),
}


def make_case(shape, size, num_regions, holes=0.1, seed=0):
    """Random features, and regions with ragged borders and holes."""
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.normal(size=shape)).float()
    centers = rng.uniform(0, 1, (num_regions, 2)) * size
    grid = np.stack(np.mgrid[:size[0], :size[1]], -1)
    distances = np.linalg.norm(grid[:, :, None] - centers, axis=-1)
    ids = (distances + rng.normal(size=distances.shape)).argmin(-1) + 1
    if num_regions > 1:
        ids[rng.uniform(size=size) < holes] = 0
    kept, ids = np.unique(np.append(ids, 0), return_inverse=True)
    return features, ids[:-1].reshape(size).astype(np.uint16), len(kept) - 1


def pool_naively(features, ids, num_regions):
    large = F.interpolate(
        features[None].double(),
        size=ids.shape,
        mode='bilinear',
        align_corners=False)[0].numpy()
    regions = [large[:, ids == r + 1] for r in range(num_regions)]
    return (np.stack([r.mean(1) for r in regions]),
            np.stack([r.max(1) for r in regions]))


@pytest.mark.parametrize('case', CASES)
def test_equals_the_naive_way(case):
    features, ids, num_regions = make_case(*CASES[case])
    mean, maxima = pool_naively(features, ids, num_regions)
    pooled = pool_regions(features, ids, num_regions)
    np.testing.assert_allclose(pooled.mean, mean, atol=1e-5)
    np.testing.assert_allclose(pooled.max, maxima, atol=1e-5)
    assert pooled.areas.tolist() == [(ids == r + 1).sum()
                                     for r in range(num_regions)]


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('strip_rows', [1, 5, 1000])
def test_strips_for_gpus_equal_runs(case, strip_rows):
    features, ids, num_regions = make_case(*CASES[case])
    axes = (
        region_pooling._interpolation_axis(ids.shape[i], features.shape[i + 1])
        for i in (0, 1))
    maxima = max_in_strips(features, ids, num_regions, *axes, strip_rows)
    np.testing.assert_allclose(
        maxima.numpy(),
        pool_regions(features, ids, num_regions).max,
        atol=1e-5)


def test_threads_change_nothing():
    features, ids, num_regions = make_case((64, 9, 11), (200, 300), 9)
    pooled = []
    threads = torch.get_num_threads()
    for number in (1, 2):
        torch.set_num_threads(number)
        pooled.append(pool_regions(features, ids, num_regions))
    torch.set_num_threads(threads)
    for one, two in zip(*pooled):
        assert (one == two).all()


def test_a_constant_map_stays_constant():
    _, ids, num_regions = make_case((1, 1, 1), (50, 60), 7)
    pooled = pool_regions(torch.full((3, 4, 5), 2.5), ids, num_regions)
    np.testing.assert_allclose(pooled.mean, 2.5, rtol=1e-6)
    np.testing.assert_allclose(pooled.max, 2.5, rtol=1e-6)


def test_lower_precision_and_gradients_are_taken():
    features, ids, num_regions = make_case((4, 5, 6), (20, 30), 3)
    half = features.half().requires_grad_()
    pooled = pool_regions(half, ids, num_regions)
    expected = pool_regions(half.detach().float(), ids, num_regions)
    assert (pooled.mean == expected.mean).all()
    assert pooled.max.dtype == np.float32


@pytest.mark.parametrize('num_regions', [1, 3])
def test_ids_must_be_all_there(num_regions):
    ids = np.array([[0, 1], [2, 2]], np.uint16)
    with pytest.raises(ValueError, match=f'each id of 1..{num_regions}'):
        pool_regions(torch.zeros(1, 2, 2), ids, num_regions)


def test_ids_above_255_do_not_wrap():
    ids = np.arange(1, 601, dtype=np.uint16).reshape(20, 30)
    features = torch.arange(600.).reshape(1, 20, 30)
    pooled = pool_regions(features, ids, 600)
    assert pooled.mean[:, 0].tolist() == list(range(600))
    assert pooled.max[:, 0].tolist() == list(range(600))
