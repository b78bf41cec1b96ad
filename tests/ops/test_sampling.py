"""Furthest point sampling against a step-by-step model of mmcv's kernel."""
import math

import numpy as np
import pytest
import torch

from sam3d_plugin.ops import furthest_point_sample


def slow_sample(points, num_points):
    """Model mmcv's kernel, thread by thread."""
    points = np.asarray(points, np.float32)
    count = len(points)
    threads = min(1 << int(math.log(count) / math.log(2)), 1024)
    nearest = np.full(count, 1e10, np.float32)
    chosen = [0]
    while len(chosen) < num_points:
        offset = points - points[chosen[-1]]
        square = offset * offset
        nearest = np.minimum(square[:, 0] + square[:, 1] + square[:, 2],
                             nearest)
        best = [(-1.0, 0)] * threads
        for i in range(count):
            if nearest[i] > best[i % threads][0]:
                best[i % threads] = (nearest[i], i)
        half = threads // 2
        while half:
            for t in range(half):
                if best[t + half][0] > best[t][0]:
                    best[t] = best[t + half]
            half //= 2
        chosen.append(best[0][1])
    return chosen


def make_points(kind, count):
    generator = np.random.default_rng(count)
    if kind == 'random':
        return generator.normal(size=(count, 3)).astype(np.float32)
    if kind == 'grid':  # exact arithmetic and many equal distances
        return generator.integers(0, 6, (count, 3)).astype(np.float32) / 4
    return np.ones((count, 3), np.float32)


@pytest.mark.parametrize('kind', ['random', 'grid', 'same'])
@pytest.mark.parametrize('count, num_points', [(1, 1), (2, 2), (3, 5),
                                               (100, 100), (700, 60),
                                               (3500, 40)])
def test_like_the_kernel(kind, count, num_points, device):
    if device == 'cuda' and kind == 'random':
        kind = 'grid'  # the GPU fuses multiplications, so rounding differs
    points = make_points(kind, count)
    found = furthest_point_sample(
        torch.tensor(points, device=device)[None], num_points)
    assert found.dtype == torch.int32
    assert found.shape == (1, num_points)
    assert found[0].tolist() == slow_sample(points, num_points)


def test_scenes_of_a_batch_are_independent(device):
    points = torch.randn(3, 500, 3, device=device)
    together = furthest_point_sample(points, 50)
    for scene in range(3):
        alone = furthest_point_sample(points[scene:scene + 1], 50)
        assert torch.equal(together[scene], alone[0])


def test_strided_input_and_gradient(device):
    points = torch.randn(1, 3, 200, device=device).transpose(1, 2)
    found = furthest_point_sample(points.requires_grad_(), 20)
    assert not found.requires_grad
    assert found[0].tolist() == slow_sample(points[0].detach().cpu(), 20)


def test_missing_coordinates_change_nothing_else(device):
    """A point without coordinates is chosen and lowers no distance."""
    points = torch.zeros(1, 9, 3, device=device)
    points[0, :, 0] = torch.arange(9)
    points[0, 3] = math.nan
    found = furthest_point_sample(points, 4)
    assert found.tolist() == [[0, 3, 3, 3]]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype, device):
    points = torch.randn(1, 300, 3).to(device, dtype)
    with torch.autocast(device, dtype=torch.bfloat16):
        found = furthest_point_sample(points, 30)
    assert torch.equal(found, furthest_point_sample(points.float(), 30))


def test_empty(device):
    none = torch.zeros(2, 0, 3, device=device)
    some = torch.zeros(0, 5, 3, device=device)
    assert furthest_point_sample(none, 0).shape == (2, 0)
    assert furthest_point_sample(some, 2).shape == (0, 2)
    with pytest.raises(ValueError, match='no points'):
        furthest_point_sample(none, 1)
    with pytest.raises(ValueError, match=r'\(B, N, 3\)'):
        furthest_point_sample(torch.zeros(2, 5, 4), 1)
