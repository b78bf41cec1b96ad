"""Mixing the features of three sources in one scene."""
import numpy as np

from ._numba import jit


@jit
def _check_indices(indices, num_sources):
    lowest = 0
    highest = -1
    for i in range(indices.shape[0]):
        for corner in range(3):
            lowest = min(lowest, indices[i, corner])
            highest = max(highest, indices[i, corner])
    if lowest < 0 or highest >= num_sources:
        raise IndexError('three_interpolate got an index out of bounds.')


@jit
def _mix_four(features, indices, weight, output):
    for i in range(indices.shape[0]):
        j = np.uint32(indices[i, 0])
        k = np.uint32(indices[i, 1])
        m = np.uint32(indices[i, 2])
        u = weight[i, 0]
        v = weight[i, 1]
        w = weight[i, 2]
        for c in range(4):
            output[c, i] = (
                u * features[c, j] + v * features[c, k] + w * features[c, m])


@jit
def mix_three(features: np.ndarray, indices: np.ndarray, weight: np.ndarray,
              start: int, stop: int, output: np.ndarray) -> None:
    """Write the channels ``start`` to ``stop``.

    Args:
        features (np.ndarray): (C, M) of the sources.
        indices (np.ndarray): (N, 3) integers below M.
        weight (np.ndarray): (N, 3) in the features' type.
        start (int): First channel.
        stop (int): Channel after the last.
        output (np.ndarray): (C, N), filled in place.
    """
    _check_indices(indices, features.shape[1])
    # Four channels at once read indices and weights once for all of them.
    whole = start + (stop - start) // 4 * 4
    for c in range(start, whole, 4):
        _mix_four(features[c:c + 4], indices, weight, output[c:c + 4])
    for c in range(whole, stop):
        for i in range(indices.shape[0]):
            output[c, i] = (
                weight[i, 0] * features[c, indices[i, 0]] +
                weight[i, 1] * features[c, indices[i, 1]] +
                weight[i, 2] * features[c, indices[i, 2]])
