"""Mean and maximum of an image's features inside its regions.

The feature map is interpolated bilinearly to the size of the id map, as
``F.interpolate(..., mode='bilinear', align_corners=False)`` does, but never
written out: the mean of a region is a weighted sum of the features around
it, and its maximum is where a row of pixels enters or leaves it, or
crosses a column of features. Shapes: R regions, C channels, H W pixels,
h w features.
"""
from typing import NamedTuple, Tuple

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from torch import Tensor

from ...ops._numba import run_in_chunks
from ...store.errors import UserError
from ._pooling_kernels import find_runs, max_over_runs


class PooledRegions(NamedTuple):
    """Features of the regions of one image."""
    mean: np.ndarray  # (R, C) float32, mean over the region's pixels
    max: np.ndarray  # (R, C) float32, channel-wise maximum over them
    areas: np.ndarray  # (R,) int64, pixels


class _Axis(NamedTuple):
    """Interpolation positions of one axis."""
    first: np.ndarray  # (H,) int64, the feature before each pixel
    fraction: np.ndarray  # (H,) float64 in [0, 1], the weight of the next


def _interpolation_axis(num_pixels: int, num_features: int) -> _Axis:
    """Bilinear weights along one axis, counted from pixel areas."""
    positions = (np.arange(num_pixels) + 0.5) * (num_features /
                                                 num_pixels) - 0.5
    positions = positions.clip(0, num_features - 1)
    first = np.floor(positions).astype(np.int64)
    return _Axis(first, positions - first)


def pool_regions(feature_map: Tensor, region_map: np.ndarray,
                 num_regions: int) -> PooledRegions:
    """Pool a feature map inside the regions of an id map.

    Args:
        feature_map (Tensor): (C, h, w) float, covering the same picture as
            the id map; its size is another one, as a rule.
        region_map (np.ndarray): (H, W) uint16, 0 = in no region.
        num_regions (int): R; ids run from 1 to R.

    Returns:
        PooledRegions: Row i belongs to region i + 1.

    Raises:
        ValueError: When an id is over R or has no pixel.
    """
    areas = np.bincount(region_map.reshape(-1), minlength=num_regions + 1)[1:]
    if len(areas) != num_regions or not areas.all():
        raise UserError(f'the id map must hold each id of 1..{num_regions}')
    columns = _interpolation_axis(region_map.shape[1], feature_map.shape[2])
    rows = _interpolation_axis(region_map.shape[0], feature_map.shape[1])
    runs, sums = find_runs(
        np.ascontiguousarray(region_map, np.uint16), *columns)
    weights = _mean_weights(runs, sums, rows, columns, feature_map.shape[1:],
                            areas)
    features = feature_map.detach().float()
    channels_last = features.permute(1, 2, 0).contiguous().cpu().numpy()
    mean = weights @ channels_last.reshape(-1, len(features))
    if features.is_cuda:
        maxima = max_in_strips(features, region_map, num_regions, rows,
                               columns).cpu().numpy()
    else:
        maxima = _max_of_runs(channels_last, runs, rows, columns, num_regions)
    return PooledRegions(mean.astype(np.float32), maxima, areas)


def _mean_weights(runs: np.ndarray, sums: np.ndarray, rows: _Axis,
                  columns: _Axis, shape: Tuple[int, ...],
                  areas: np.ndarray) -> csr_matrix:
    """Sparse (R, h * w) float64: each region's mean of bilinear weights."""
    height, width = shape
    y, x = runs[:, 0], runs[:, 1]
    lengths = runs[:, 2] - x + 1
    regions = runs[:, 3] - 1
    indices, values = [], []
    for below, vertical in ((0, 1 - rows.fraction[y]), (1, rows.fraction[y])):
        for beside, horizontal in ((0, lengths - sums), (1, sums)):
            row = np.minimum(rows.first[y] + below, height - 1)
            column = np.minimum(columns.first[x] + beside, width - 1)
            indices.append(row * width + column)
            values.append(vertical * horizontal / areas[regions])
    return coo_matrix((np.concatenate(values),
                       (np.tile(regions, 4), np.concatenate(indices))),
                      shape=(len(areas), height * width)).tocsr()


def _max_of_runs(features: np.ndarray, runs: np.ndarray, rows: _Axis,
                 columns: _Axis, num_regions: int) -> np.ndarray:
    """(R, C) maxima, channels shared out over the threads."""
    channels = features.shape[2]
    best = np.full((num_regions, channels), -np.inf, np.float32)

    def work(begin: int, end: int) -> None:
        part = np.full((num_regions, end - begin), -np.inf, np.float32)
        max_over_runs(
            np.ascontiguousarray(features[..., begin:end]), runs, rows.first,
            rows.fraction.astype(np.float32), columns.first,
            columns.fraction.astype(np.float32), part)
        best[:, begin:end] = part

    run_in_chunks(work, channels, len(runs) * channels)
    return best


def max_in_strips(feature_map: Tensor,
                  region_map: np.ndarray,
                  num_regions: int,
                  rows: _Axis,
                  columns: _Axis,
                  strip_rows: int = 16) -> Tensor:
    """The maxima with torch's own operations, for any device.

    Args:
        feature_map (Tensor): (C, h, w).
        region_map (np.ndarray): (H, W) uint16.
        num_regions (int): R.
        rows (_Axis): Of the H rows of pixels.
        columns (_Axis): Of the W columns.
        strip_rows (int): Rows interpolated at a time; C x strip_rows x W
            floats is what exists of the large map.

    Returns:
        Tensor: (R, C) float32.
    """
    features = feature_map.detach().float()
    device = features.device
    ids = torch.from_numpy(region_map.astype(np.int64)).to(device)
    best = features.new_full((num_regions + 1, len(features)), -torch.inf)
    for begin in range(0, len(ids), strip_rows):
        strip = slice(begin, begin + strip_rows)
        part = _lerp(features, 1, rows.first[strip], rows.fraction[strip])
        part = _lerp(part, 2, columns.first, columns.fraction)
        index = ids[strip].reshape(-1)
        best.scatter_reduce_(0, index[:, None].expand(-1, len(features)),
                             part.flatten(1).T, 'amax')
    return best[1:]


def _lerp(values: Tensor, dim: int, first: np.ndarray,
          fraction: np.ndarray) -> Tensor:
    """Interpolate (C, h, w) linearly along one of its last two axes."""
    index = torch.from_numpy(first).to(values.device)
    after = (index + 1).clamp(max=values.shape[dim] - 1)
    weight = torch.from_numpy(fraction).to(values)
    weight = weight[:, None] if dim == 1 else weight
    return torch.lerp(
        values.index_select(dim, index), values.index_select(dim, after),
        weight)
