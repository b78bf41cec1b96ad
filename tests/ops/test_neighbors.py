"""Ball query, knn and three_nn against loops over all points."""
import math

import numpy as np
import pytest
import torch

from sam3d_plugin.ops import ball_query, knn, three_nn

KINDS = ['random', 'grid', 'same', 'clusters']


def square_distances(points, center):
    offset = center - points
    square = offset * offset
    return square[:, 0] + square[:, 1] + square[:, 2]


def slow_ball(min_radius, max_radius, sample_num, points, centers):
    lower = np.float32(min_radius) * np.float32(min_radius)
    upper = np.float32(max_radius) * np.float32(max_radius)
    result = []
    for center in centers:
        inside = [
            i for i, d in enumerate(square_distances(points, center))
            if d == 0 or lower <= d < upper
        ][:sample_num]
        fill = inside[0] if inside else 0
        result.append(inside + [fill] * (sample_num - len(inside)))
    return result


def slow_knn(k, points, centers):
    """Model mmcv's kernel with its heap, by swaps."""
    result = []
    for center in centers:
        heap = [[np.float32(1e10), 0] for _ in range(k)]
        for i, distance in enumerate(square_distances(points, center)):
            if distance < heap[0][0]:
                heap[0] = [distance, i]
                sink(heap, k)
        for last in range(k - 1, 0, -1):
            heap[0], heap[last] = heap[last], heap[0]
            sink(heap, last)
        result.append([index for _, index in heap])
    return np.array(result).T.tolist()


def sink(heap, size):
    root = 0
    while 2 * root + 1 < size:
        child = 2 * root + 1
        if child + 1 < size and heap[child + 1][0] > heap[child][0]:
            child += 1
        if heap[root][0] > heap[child][0]:
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


def slow_three(targets, sources):
    distances, indices = [], []
    for target in targets:
        square = square_distances(sources, target)
        order = np.argsort(square, kind='stable')[:3].tolist()
        missing = 3 - len(order)
        distances.append(np.append(np.sqrt(square[order]), [np.inf] * missing))
        indices.append(order + [0] * missing)
    return np.array(distances, np.float32), indices


def make_points(kind, count, seed=0):
    generator = np.random.default_rng(seed)
    if kind == 'random':
        return generator.normal(size=(count, 3)).astype(np.float32)
    if kind == 'grid':  # exact arithmetic and many equal distances
        return generator.integers(0, 8, (count, 3)).astype(np.float32) / 4
    if kind == 'clusters':  # distances in lumps
        offsets = generator.integers(0, 3, (count, 3)) * 2**-16
        places = generator.choice([1, 4, 64], (count, 1))
        return (places + offsets).astype(np.float32)
    return np.ones((count, 3), np.float32)


def on_device(kind, device, *arrays):
    return [torch.tensor(array, device=device)[None] for array in arrays]


def skip_rounding(kind, device):
    # The GPU fuses multiplications: only exact arithmetic can agree.
    return 'grid' if device == 'cuda' and kind != 'same' else kind


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('count, sample_num', [(1, 4), (2, 1), (300, 8),
                                               (2000, 5)])
@pytest.mark.parametrize('radii', [(0, 0.3), (0.25, 0.75), (0, 5)])
def test_ball_query(kind, count, sample_num, radii, device):
    kind = skip_rounding(kind, device)
    points, centers = make_points(kind, count), make_points(kind, 20, 1)
    found = ball_query(*radii, sample_num,
                       *on_device(kind, device, points, centers))
    assert found.dtype == torch.int32
    assert found[0].tolist() == slow_ball(*radii, sample_num, points, centers)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('count, k', [(1, 1), (3, 5), (300, 2), (500, 32),
                                      (300, 120), (2500, 7)])
def test_knn(kind, count, k, device):
    kind = skip_rounding(kind, device)
    points, centers = make_points(kind, count), make_points(kind, 15, 1)
    found = knn(k, *on_device(kind, device, points, centers))
    assert found.dtype == torch.int32
    assert found[0].tolist() == slow_knn(k, points, centers)


def test_knn_of_the_points_themselves_and_transposed(device):
    points = torch.randn(2, 100, 3, device=device)
    found = knn(4, points)
    assert torch.equal(found[:, 0], torch.arange(100).to(found).expand(2, 100))
    swapped = points.transpose(1, 2)
    assert torch.equal(found, knn(4, swapped, swapped, True))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('count', [1, 2, 3, 50, 900])
def test_three_nn(kind, count, device):
    kind = skip_rounding(kind, device)
    sources, targets = make_points(kind, count), make_points(kind, 30, 1)
    distance, index = three_nn(*on_device(kind, device, targets, sources))
    expected_distance, expected_index = slow_three(targets, sources)
    assert distance.dtype == torch.float32 and index.dtype == torch.int32
    np.testing.assert_array_equal(distance[0].cpu(), expected_distance)
    assert index[0].tolist() == expected_index


def test_large_inputs_use_threads_and_agree(monkeypatch):
    points, centers = torch.randn(2, 5000, 3), torch.randn(2, 1500, 3)

    def all_results():
        return (ball_query(0, 0.3, 16, points,
                           centers), knn(8, points,
                                         centers), *three_nn(centers, points))

    threaded = all_results()
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    for one, other in zip(threaded, all_results()):
        assert torch.equal(one, other)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype, device):
    points = torch.randn(2, 300, 3).to(device, dtype)
    centers = torch.randn(2, 20, 3).to(device, dtype)
    wide = points.float(), centers.float()
    with torch.autocast(device, dtype=torch.bfloat16):
        assert torch.equal(
            ball_query(0, 1, 8, points, centers), ball_query(0, 1, 8, *wide))
        assert torch.equal(knn(8, points, centers), knn(8, *wide))
        distance, index = three_nn(centers, points)
    assert distance.dtype == torch.float32
    assert torch.equal(index, three_nn(*wide[::-1])[1])


def test_no_gradient_reaches_coordinates(device):
    targets = torch.randn(1, 9, 3, device=device, requires_grad=True)
    distance, index = three_nn(targets, torch.randn(1, 5, 3, device=device))
    distance.sum().backward()
    assert targets.grad is None and not index.requires_grad


def test_points_out_of_reach(device):
    """Infinitely far points and missing coordinates are never neighbours."""
    points = torch.zeros(1, 40, 3, device=device)
    points[0, :, 0] = torch.arange(40)
    points[0, 1:4, 1] = torch.tensor([math.inf, math.nan, 2e5])
    center = points[:, :1]
    assert knn(4, points, center).flatten().tolist() == [0, 4, 5, 6]
    assert knn(39, points, center).flatten()[37:].tolist() == [0, 0]
    assert ball_query(0, 5, 4, points,
                      center).flatten().tolist() == [0, 4, 0, 0]
    distance, index = three_nn(center, points[:, 1:4])
    assert distance.isinf().sum() == 2
    assert index.flatten().tolist() == [2, 0, 0]


def test_empty(device):
    none, some = (torch.zeros(2, num, 3, device=device) for num in (0, 4))
    assert ball_query(0, 1, 5, some, none).shape == (2, 0, 5)
    assert ball_query(0, 1, 5, none, none).shape == (2, 0, 5)
    assert ball_query(0, 1, 0, some, some).shape == (2, 4, 0)
    assert knn(3, some, none).shape == (2, 3, 0)
    assert [out.shape for out in three_nn(none, some)] == [(2, 0, 3)] * 2
    for call in (lambda: ball_query(0, 1, 5, none, some),
                 lambda: knn(3, none, some), lambda: three_nn(some, none)):
        with pytest.raises(ValueError, match='no points'):
            call()


def test_bad_arguments(device):
    points = torch.zeros(1, 4, 3, device=device)
    with pytest.raises(ValueError, match='min_radius'):
        ball_query(1, 1, 5, points, points)
    with pytest.raises(ValueError, match='k must be'):
        knn(0, points)
    with pytest.raises(ValueError, match=r'\(B, N, 3\)'):
        knn(1, points[0])
