"""The CPU kernels of ``regions``: numpy arrays in and out."""
from typing import Tuple

import numpy as np

from ._numba import jit


@jit
def counting_sort(segments: np.ndarray,
                  num_segments: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the stable order (P,) and the offsets (S + 1,), both int64."""
    offsets = np.zeros(num_segments + 1, np.int64)
    for segment in segments:
        offsets[segment + 1] += 1
    for s in range(num_segments):
        offsets[s + 1] += offsets[s]
    position = offsets[:-1].copy()
    order = np.empty(len(segments), np.int64)
    for row in range(len(segments)):
        segment = segments[row]
        order[position[segment]] = row
        position[segment] += 1
    return order, offsets


@jit
def segment_max(features: np.ndarray,
                offsets: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return maxima (S, C) and the rows (S, C) int32 that hold them.

    An empty segment has maximum 0 and row -1.
    """
    num_segments, channels = len(offsets) - 1, features.shape[1]
    values = np.zeros((num_segments, channels), np.float32)
    winners = np.full((num_segments, channels), -1, np.int32)
    for s in range(num_segments):
        begin, end = offsets[s], offsets[s + 1]
        if begin == end:
            continue
        for c in range(channels):
            values[s, c] = features[begin, c]
            winners[s, c] = begin
        for row in range(begin + 1, end):
            for c in range(channels):
                if features[row, c] > values[s, c]:
                    values[s, c] = features[row, c]
                    winners[s, c] = row
    return values, winners


@jit
def segment_max_backward(grad: np.ndarray, winners: np.ndarray,
                         num_rows: int) -> np.ndarray:
    """Send the gradient (S, C) to the rows (P, C) that won."""
    spread = np.zeros((num_rows, grad.shape[1]), np.float32)
    for s in range(grad.shape[0]):
        for c in range(grad.shape[1]):
            if winners[s, c] >= 0:
                spread[winners[s, c], c] = grad[s, c]
    return spread


@jit
def segment_centers(points: np.ndarray, order: np.ndarray,
                    offsets: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return means (S, 3) float32 and the nearest points (S,) int64."""
    num_segments = len(offsets) - 1
    centers = np.zeros((num_segments, 3), np.float32)
    anchors = np.zeros(num_segments, np.int64)
    for s in range(num_segments):
        members = order[offsets[s]:offsets[s + 1]]
        if len(members) == 0:
            continue
        x, y, z = 0., 0., 0.
        for point in members:
            x += points[point, 0]
            y += points[point, 1]
            z += points[point, 2]
        centers[s, 0] = x / len(members)
        centers[s, 1] = y / len(members)
        centers[s, 2] = z / len(members)
        best = np.float32(np.inf)
        for point in members:
            dx = points[point, 0] - centers[s, 0]
            dy = points[point, 1] - centers[s, 1]
            dz = points[point, 2] - centers[s, 2]
            distance = dx * dx + dy * dy + dz * dz
            if distance < best:
                best = distance
                anchors[s] = point
    return centers, anchors


@jit
def _join_nearer(x, y, z, center, part, distances, parts):
    """Move the rows that are nearer to a new center to its part."""
    center_x, center_y, center_z = x[center], y[center], z[center]
    for row in range(len(x)):
        dx = x[row] - center_x
        dy = y[row] - center_y
        dz = z[row] - center_z
        distance = dx * dx + dy * dy + dz * dz
        is_nearer = distance < distances[row]
        distances[row] = distance if is_nearer else distances[row]
        parts[row] = part if is_nearer else parts[row]


@jit
def _furthest(pattern):
    """Return the row of the largest distance, the first of equal ones.

    Bit patterns of distances have the order of the distances, and an integer
    maximum, with the row below it, is one that the compiler vectorises.
    """
    largest = np.int64(-1 << 62)
    for row in range(len(pattern)):
        key = (np.int64(pattern[row]) << 32) | (0x7fffffff - row)
        largest = key if key > largest else largest
    return 0x7fffffff - (largest & 0x7fffffff)


@jit
def _split(x, y, z, num_parts):
    """Return the part (P,) int32 of each row of one segment."""
    parts = np.zeros(len(x), np.int32)
    distances = np.full(len(x), np.float32(np.inf))
    pattern = distances.view(np.int32)
    center = 0
    for part in range(num_parts):
        # Nothing is nearer than a center is to itself.
        distances[center] = -1
        parts[center] = part
        _join_nearer(x, y, z, center, np.int32(part), distances, parts)
        center = _furthest(pattern)
    return parts


@jit
def split_segments(points: np.ndarray, segments: np.ndarray,
                   num_parts: np.ndarray) -> np.ndarray:
    """Return the part (P,) int64 of each point within its segment."""
    order, offsets = counting_sort(segments, len(num_parts))
    parts = np.zeros(len(points), np.int64)
    for s in range(len(num_parts)):
        if num_parts[s] <= 1:
            continue
        members = order[offsets[s]:offsets[s + 1]]
        x = np.empty(len(members), np.float32)
        y = np.empty(len(members), np.float32)
        z = np.empty(len(members), np.float32)
        for row, point in enumerate(members):
            x[row] = points[point, 0]
            y[row] = points[point, 1]
            z[row] = points[point, 2]
        for row, part in enumerate(_split(x, y, z, num_parts[s])):
            parts[members[row]] = part
    return parts


@jit
def allocate_parts(counts: np.ndarray, total: int) -> np.ndarray:
    """Return the tokens (R,) int64 of each region."""
    parts = np.ones(len(counts), np.int64)
    for _ in range(total - len(counts)):
        best = 0
        for r in range(1, len(counts)):
            # counts[r] / parts[r] > counts[best] / parts[best], in integers
            if counts[r] * parts[best] > counts[best] * parts[r]:
                best = r
        parts[best] += 1
    return parts
