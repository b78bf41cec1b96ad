"""The CPU kernels of ``graph_segmentation``: numpy arrays in and out."""
import numpy as np

from ._numba import jit


@jit
def find(parent, node):
    """Return the root of a node and halve the path to it."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@jit
def _join(parent, size, a, b):
    """Join two roots; the larger one stays, the lower of equal ones."""
    if size[a] < size[b] or (size[a] == size[b] and b < a):
        a, b = b, a
    parent[b] = a
    size[a] += size[b]
    return a


@jit
def label_roots(parent):
    """Return labels (N,) int64, 0.. in the order of first nodes."""
    labels = np.full(len(parent), -1, np.int64)
    names = np.full(len(parent), -1, np.int64)
    count = 0
    for node in range(len(parent)):
        root = find(parent, node)
        if names[root] < 0:
            names[root] = count
            count += 1
        labels[node] = names[root]
    return labels


@jit
def segment_edges(sources: np.ndarray, targets: np.ndarray,
                  weights: np.ndarray, order: np.ndarray, size: np.ndarray,
                  scale: float, min_size: int) -> np.ndarray:
    """Return labels (N,) int64; ``size`` (N,) is overwritten."""
    num_nodes = len(size)
    # 32 bits halve what the searches, most of the time, read from memory.
    parent = np.arange(num_nodes).astype(np.int32)
    # Internal difference plus scale / size: what an edge may weigh.
    limit = np.empty(num_nodes, np.float64)
    for node in range(num_nodes):
        limit[node] = scale / size[node]
    left = np.empty(len(order), np.int64)
    num_left = 0
    for edge in order:
        a = find(parent, sources[edge])
        b = find(parent, targets[edge])
        if a == b:
            continue
        weight = weights[edge]
        if weight <= limit[a] and weight <= limit[b]:
            a = _join(parent, size, a, b)
            limit[a] = weight + scale / size[a]
        else:
            left[num_left] = edge
            num_left += 1
    for edge in left[:num_left]:
        a = find(parent, sources[edge])
        b = find(parent, targets[edge])
        if a != b and (size[a] < min_size or size[b] < min_size):
            _join(parent, size, a, b)
    return label_roots(parent)


@jit
def sum_rows(values: np.ndarray, labels: np.ndarray,
             num_labels: int) -> np.ndarray:
    """Return the sums (S, C) float64 of the rows (N, C) of each label."""
    sums = np.zeros((num_labels, values.shape[1]), np.float64)
    for row in range(len(values)):
        for column in range(values.shape[1]):
            sums[labels[row], column] += values[row, column]
    return sums


@jit
def border_edges(labels: np.ndarray, sources: np.ndarray,
                 targets: np.ndarray) -> np.ndarray:
    """Return the edges (P,) int64 between nodes of different labels."""
    found = np.empty(len(sources), np.int64)
    count = 0
    for edge in range(len(sources)):
        if labels[sources[edge]] != labels[targets[edge]]:
            found[count] = edge
            count += 1
    return found[:count]
