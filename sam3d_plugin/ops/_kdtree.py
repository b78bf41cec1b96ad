"""A balanced kd-tree over one scene's points, built and walked in numba.

Every search of this package that looks at a few points out of many uses it:
furthest point sampling skips nodes whose points are all nearer to a chosen
point already, ball query and nearest neighbours skip nodes that lie too far.

A skipped node never changes a result, down to the last bit: a node's distance
is computed from its bounding box in float32 with the operations and the order
that the points' own distances use, and rounding is monotone, so it is never
above the distance of a point inside.
"""
from typing import NamedTuple

import numpy as np

from ._numba import jit

LEAF_SIZE = 32


class KDTree(NamedTuple):
    """Points grouped by leaf.

    Node ``i`` has the children ``2 i + 1`` and ``2 i + 2`` and holds the
    points ``starts[i]`` to ``stops[i]``.

    Attributes:
        xyz (np.ndarray): (3, N) float32, coordinates in the tree's order.
        index (np.ndarray): (N,) int32, each point's index in the input.
        starts (np.ndarray): (nodes,) int32.
        stops (np.ndarray): (nodes,) int32.
        bounds (np.ndarray): (nodes, 6) float32, lower then upper corner.
        first_leaf (int): Number of the first leaf; all later ones are leaves.
    """
    xyz: np.ndarray
    index: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    bounds: np.ndarray
    first_leaf: int


@jit
def _bound(xyz, start, stop, bounds):
    for axis in range(3):
        lower = np.float32(np.inf)
        upper = np.float32(-np.inf)
        for i in range(start, stop):
            value = xyz[axis, i]
            lower = value if value < lower else lower
            upper = value if value > upper else upper
        bounds[axis] = lower
        bounds[axis + 3] = upper


@jit
def _swap(xyz, index, i, j):
    for axis in range(3):
        xyz[axis, i], xyz[axis, j] = xyz[axis, j], xyz[axis, i]
    index[i], index[j] = index[j], index[i]


@jit
def _split(xyz, index, axis, start, stop, middle):
    """Put the smaller coordinates before ``middle`` (Hoare's selection)."""
    low = start
    high = stop - 1
    while low < high:
        pivot = xyz[axis, (low + high) // 2]
        i = low
        j = high
        while i <= j:
            while xyz[axis, i] < pivot:
                i += 1
            while xyz[axis, j] > pivot:
                j -= 1
            if i <= j:
                _swap(xyz, index, i, j)
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@jit
def _build(points, leaf_size):
    num_points = points.shape[0]
    depth = 0
    while (num_points >> depth) > leaf_size:
        depth += 1
    first_leaf = (1 << depth) - 1
    num_nodes = 2 * first_leaf + 1
    xyz = points.T.copy()
    index = np.arange(num_points).astype(np.int32)
    starts = np.zeros(num_nodes, np.int32)
    stops = np.zeros(num_nodes, np.int32)
    bounds = np.empty((num_nodes, 6), np.float32)
    stops[0] = num_points
    for node in range(num_nodes):
        start = starts[node]
        stop = stops[node]
        _bound(xyz, start, stop, bounds[node])
        if node < first_leaf:
            axis = np.argmax(bounds[node, 3:] - bounds[node, :3])
            middle = (start + stop) // 2
            _split(xyz, index, axis, start, stop, middle)
            starts[2 * node + 1] = start
            stops[2 * node + 1] = middle
            starts[2 * node + 2] = middle
            stops[2 * node + 2] = stop
    return xyz, index, starts, stops, bounds, first_leaf


def build_kdtree(points: np.ndarray) -> KDTree:
    """Build the tree of one scene.

    Args:
        points (np.ndarray): (N, 3) float32, contiguous, N at least 1.

    Returns:
        KDTree: The tree.
    """
    return KDTree(*_build(points, LEAF_SIZE))


@jit
def box_distance(bounds, node, x, y, z):
    """Return a lower bound of the squared distances to a node's points."""
    zero = np.float32(0)
    dx = max(bounds[node, 0] - x, x - bounds[node, 3], zero)
    dy = max(bounds[node, 1] - y, y - bounds[node, 4], zero)
    dz = max(bounds[node, 2] - z, z - bounds[node, 5], zero)
    return dx * dx + dy * dy + dz * dz
