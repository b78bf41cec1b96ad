"""The CPU kernels of ``region_pooling``: numpy arrays in and out.

A *run* is a stretch of pixels of one row that are in one region and between
the same two columns of the feature map. Bilinear interpolation is linear
along it, so that its ends hold its maximum, and its sum follows from its
length and the sum of its positions.
"""
from typing import Tuple

import numpy as np

from ...ops._numba import jit


@jit
def find_runs(ids: np.ndarray, left: np.ndarray,
              fraction: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Cut the rows of an id map into runs; pixels of id 0 are in none.

    Args:
        ids (np.ndarray): (H, W) uint16.
        left (np.ndarray): (W,) int64, feature column left of each pixel.
        fraction (np.ndarray): (W,) float64, how far the pixel is from it
            towards the next column.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (P, 4) int32 runs (row, first pixel,
        last pixel, id), and (P,) float64, the sum of their fractions.
    """
    height, width = ids.shape
    count = 0
    for y in range(height):
        for x in range(width):
            if ids[y, x] and (x == 0 or ids[y, x] != ids[y, x - 1]
                              or left[x] != left[x - 1]):
                count += 1
    runs = np.empty((count, 4), np.int32)
    sums = np.zeros(count, np.float64)
    run = -1
    for y in range(height):
        for x in range(width):
            if not ids[y, x]:
                continue
            if (x == 0 or ids[y, x] != ids[y, x - 1]
                    or left[x] != left[x - 1]):
                run += 1
                runs[run, 0], runs[run, 1], runs[run, 3] = y, x, ids[y, x]
            runs[run, 2] = x
            sums[run] += fraction[x]
    return runs, sums


@jit
def max_over_runs(features: np.ndarray, runs: np.ndarray, top: np.ndarray,
                  down: np.ndarray, left: np.ndarray, right: np.ndarray,
                  best: np.ndarray) -> None:
    """Raise the maxima of regions to those of some runs.

    Only one interpolated row of the feature map exists at a time.

    Args:
        features (np.ndarray): (h, w, C) float32.
        runs (np.ndarray): (P, 4) int32, sorted by row.
        top (np.ndarray): (H,) int64, feature row above each pixel row.
        down (np.ndarray): (H,) float32, how far the pixel row is below it.
        left (np.ndarray): (W,) int64, feature column left of each pixel.
        right (np.ndarray): (W,) float32, how far the pixel is right of it.
        best (np.ndarray): (R, C) float32, changed in place.
    """
    height, width, channels = features.shape
    row = np.empty((width, channels), np.float32)
    current = -1
    for run in range(len(runs)):
        y = runs[run, 0]
        if y != current:
            current = y
            above = features[top[y]]
            below = features[min(top[y] + 1, height - 1)]
            for x in range(width):
                for c in range(channels):
                    row[x, c] = above[x, c] + down[y] * (
                        below[x, c] - above[x, c])
        first, last = runs[run, 1], runs[run, 2]
        region = best[runs[run, 3] - 1]
        here = row[left[first]]
        there = row[min(left[first] + 1, width - 1)]
        near, far = right[first], right[last]
        for c in range(channels):
            slope = there[c] - here[c]
            value = max(here[c] + near * slope, here[c] + far * slope)
            region[c] = value if value > region[c] else region[c]
