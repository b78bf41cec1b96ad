"""Segment primitives against loops, on CPU kernels and the torch versions."""
import numpy as np
import pytest
import torch

from sam3d_plugin.ops import regions


def make_segments(seed=0, num_segments=7, num_rows=200):
    """Points sorted by segment; segment 3 is empty, some points repeat."""
    rng = np.random.default_rng(seed)
    segments = np.sort(rng.choice([0, 1, 2, 4, 5, 6], num_rows))
    points = rng.normal(size=(num_rows, 3)).astype('float32')
    points[1::5] = points[0]
    offsets = np.searchsorted(segments, np.arange(num_segments + 1))
    return torch.from_numpy(points), torch.from_numpy(offsets)


def test_sort_by_segment_is_stable(device):
    segments = torch.tensor([2, 0, 2, 1, 0, 2], device=device)
    order, offsets = regions.sort_by_segment(segments, 4)
    assert order.tolist() == [1, 4, 3, 0, 2, 5]
    assert offsets.tolist() == [0, 2, 3, 6, 6]


def test_sort_by_segment_of_nothing(device):
    order, offsets = regions.sort_by_segment(
        torch.zeros(0, dtype=torch.int64, device=device), 2)
    assert order.tolist() == [] and offsets.tolist() == [0, 0, 0]


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_segment_max_and_its_gradient(device, dtype):
    _, offsets = make_segments()
    offsets = offsets.to(device)
    features = torch.randn(200, 5, generator=torch.manual_seed(0))
    features = features.to(device, dtype).requires_grad_()
    maxima = regions.segment_max(features, offsets)
    assert maxima.dtype == dtype
    weight = torch.arange(35., device=device).reshape(7, 5)
    (maxima * weight).sum().backward()
    expected_grad = torch.zeros(200, 5)
    for s in range(7):
        rows = features[offsets[s]:offsets[s + 1]]
        if len(rows) == 0:
            assert maxima[s].abs().sum() == 0
            continue
        torch.testing.assert_close(maxima[s], rows.amax(0))
        if dtype == torch.float32:
            winner = rows.argmax(0).cpu() + int(offsets[s])
            expected_grad[winner, torch.arange(5)] += weight[s].cpu()
    if dtype == torch.float32:
        torch.testing.assert_close(features.grad.cpu(), expected_grad)
    else:
        torch.testing.assert_close(features.grad.float().sum(),
                                   weight[offsets.diff() > 0].sum())


def test_segment_centers(device):
    points, offsets = make_segments()
    order = torch.randperm(len(points), generator=torch.manual_seed(0))
    shuffled = torch.empty_like(points)
    shuffled[order] = points
    centers, anchors = regions.segment_centers(
        shuffled.to(device), order.to(device), offsets.to(device))
    for s in range(7):
        rows = points[offsets[s]:offsets[s + 1]]
        if len(rows) == 0:
            assert centers[s].abs().sum() == 0 and anchors[s] == 0
            continue
        mean = rows.double().mean(0).float()
        torch.testing.assert_close(centers[s].cpu(), mean)
        nearest = (rows - mean).square().sum(1).argmin()
        assert anchors[s] == order[offsets[s] + nearest]


def split_by_loops(points, segments, num_parts):
    """FPS and nearest centre, one segment after the other."""
    parts = np.zeros(len(points), np.int64)
    for s, wanted in enumerate(num_parts):
        rows = points[segments == s].numpy()
        if wanted < 1:
            continue
        centers = [0]
        while len(centers) < wanted:
            distances = np.min([((rows - rows[c])**2).sum(1) for c in centers],
                               axis=0)
            distances[centers] = -1
            centers.append(int(distances.argmax()))
        table = np.stack([((rows - rows[c])**2).sum(1) for c in centers])
        own = table.argmin(0)
        own[centers] = np.arange(wanted)
        parts[(segments == s).numpy()] = own
    return parts


@pytest.mark.parametrize('seed', range(3))
def test_split_segments(seed, device):
    points, offsets = make_segments(seed)
    segments = regions.segment_ids(offsets, len(points))
    segments = segments[torch.randperm(
        len(points), generator=torch.manual_seed(seed))]
    num_parts = torch.tensor([1, 5, 20, 0, 2, 3, 1])
    expected = split_by_loops(points, segments, num_parts.tolist())
    parts = regions.split_segments(*(array.to(device)
                                     for array in (points, segments,
                                                   num_parts)))
    assert parts.tolist() == expected.tolist()


def test_split_segments_leaves_no_part_empty(device):
    """All points equal: every part still has its own centre."""
    parts = regions.split_segments(
        torch.zeros(6, 3, device=device),
        torch.tensor([0, 0, 0, 0, 1, 1], device=device),
        torch.tensor([4, 1], device=device))
    assert sorted(parts[:4].tolist()) == [0, 1, 2, 3]
    assert parts[4:].tolist() == [0, 0]
    none = torch.zeros(0, dtype=torch.int64, device=device)
    empty = torch.zeros(0, 3, device=device)
    assert len(regions.split_segments(empty, none, none)) == 0


def test_allocate_parts_one_by_one():
    counts = np.array([100, 50, 50, 7])
    parts = np.ones(4, np.int64)
    for total in range(4, 60):
        assert regions.allocate_parts(counts, total).tolist() == parts.tolist()
        # first region with most points per token, in exact fractions
        best = max(range(4), key=lambda r: (counts[r] / parts[r], -r))
        parts[best] += 1
