"""A tree of bounding boxes over one scene's points, for the numba kernels.

Points are sorted along a Morton curve, which takes a fraction of the time of
a kd-tree's medians, and cut into leaves of equal size. Furthest point
sampling then skips nodes whose points are all nearer to a chosen point
already; ball query and nearest neighbors skip nodes that are too far.

A skipped node never changes a result, down to the last bit: a node's distance
is computed from its bounding box in float32 with the operations and the order
that the points' own distances use, and rounding is monotone, so it is never
above the distance of a point inside.
"""
from typing import NamedTuple

import numpy as np

from ._numba import jit

# Fixed, so that loops over a leaf become a few vector instructions.
LEAF_SIZE = 32
# Cells of the Morton curve along each axis, as a power of 2.
_CELL_BITS = 14
# Bits that one pass of the radix sort orders.
_DIGIT_BITS = 11


class PointTree(NamedTuple):
    """Points in leaf order.

    Node ``i`` has the children ``2 i + 1`` and ``2 i + 2``. Leaf ``j`` is
    node ``first_leaf + j``. Infinite coordinates and index 0 fill the last
    leaf. Kernels take the arrays out once, since each access to a tuple's
    array counts references, and with atomic instructions.

    Attributes:
        xyz (np.ndarray): (3, leaves, LEAF_SIZE) float32.
        indices (np.ndarray): (leaves, LEAF_SIZE) int32, in the input.
        bounds (np.ndarray): (nodes, 6) float32, lower then upper corner;
            nodes without points have infinitely distant ones.
        first_leaf (int): Number of the first leaf.
    """
    xyz: np.ndarray
    indices: np.ndarray
    bounds: np.ndarray
    first_leaf: int


@jit
def _spread(value):
    """Move the bits of a number below 2**21 three places apart."""
    value = (value | (value << 32)) & 0x1f00000000ffff
    value = (value | (value << 16)) & 0x1f0000ff0000ff
    value = (value | (value << 8)) & 0x100f00f00f00f00f
    value = (value | (value << 4)) & 0x10c30c30c30c30c3
    return (value | (value << 2)) & 0x1249249249249249


@jit
def _morton_keys(points):
    num_points = points.shape[0]
    lower = np.full(3, np.float32(np.inf))
    upper = np.full(3, np.float32(-np.inf))
    for i in range(num_points):
        for axis in range(3):
            lower[axis] = min(lower[axis], points[i, axis])
            upper[axis] = max(upper[axis], points[i, axis])
    extent = max(upper[0] - lower[0], upper[1] - lower[1], upper[2] - lower[2])
    last_cell = np.int64((1 << _CELL_BITS) - 1)
    # Anything is right, only slower, for clouds that are one point or
    # infinitely large.
    scale = np.float32(0)
    if extent > 0 and extent < np.inf:
        scale = np.float32(last_cell) / extent
    keys = np.empty(num_points, np.int64)
    for i in range(num_points):
        key = 0
        for axis in range(3):
            cell = np.int64((points[i, axis] - lower[axis]) * scale)
            cell = min(max(cell, np.int64(0)), last_cell)
            key |= _spread(cell) << axis
        keys[i] = key
    return keys


@jit
def _sort_order(keys):
    """Return the stable order of non-negative keys (radix sort)."""
    num_keys = keys.shape[0]
    order = np.arange(num_keys).astype(np.int32)
    other = np.empty(num_keys, np.int32)
    counts = np.empty(1 << _DIGIT_BITS, np.int32)
    mask = (1 << _DIGIT_BITS) - 1
    for shift in range(0, 3 * _CELL_BITS, _DIGIT_BITS):
        counts[:] = 0
        for i in range(num_keys):
            counts[(keys[i] >> shift) & mask] += 1
        place = 0
        for digit in range(counts.shape[0]):
            count = counts[digit]
            counts[digit] = place
            place += count
        for i in range(num_keys):
            digit = (keys[order[i]] >> shift) & mask
            other[counts[digit]] = order[i]
            counts[digit] += 1
        order, other = other, order
    return order


@jit
def _bound_nodes(xyz, num_leaves, first_leaf):
    bounds = np.empty((2 * first_leaf + 1, 6), np.float32)
    bounds[:, :3] = np.inf
    bounds[:, 3:] = -np.inf
    for leaf in range(num_leaves):
        node = bounds[first_leaf + leaf]
        for axis in range(3):
            for i in range(LEAF_SIZE):
                value = xyz[axis, leaf, i]
                if value < np.inf:
                    node[axis] = min(node[axis], value)
                    node[axis + 3] = max(node[axis + 3], value)
    for node in range(first_leaf - 1, -1, -1):
        for axis in range(3):
            bounds[node, axis] = min(bounds[2 * node + 1, axis],
                                     bounds[2 * node + 2, axis])
            bounds[node, axis + 3] = max(bounds[2 * node + 1, axis + 3],
                                         bounds[2 * node + 2, axis + 3])
    return bounds


@jit
def arrange(points: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Put points into blocks of LEAF_SIZE; infinity fills the last block.

    Args:
        points (np.ndarray): (N, 3) float32.
        order (np.ndarray): (N,) integers, the point at each place.

    Returns:
        np.ndarray: (3, blocks, LEAF_SIZE) float32.
    """
    num_blocks = (points.shape[0] + LEAF_SIZE - 1) // LEAF_SIZE
    xyz = np.full((3, num_blocks * LEAF_SIZE), np.float32(np.inf))
    for i in range(points.shape[0]):
        for axis in range(3):
            xyz[axis, i] = points[order[i], axis]
    return xyz.reshape(3, num_blocks, LEAF_SIZE)


@jit
def _build(points):
    num_points = points.shape[0]
    num_leaves = (num_points + LEAF_SIZE - 1) // LEAF_SIZE
    first_leaf = 0
    while first_leaf + 1 < num_leaves:
        first_leaf = 2 * first_leaf + 1
    order = _sort_order(_morton_keys(points))
    index = np.zeros(num_leaves * LEAF_SIZE, np.int32)
    index[:num_points] = order
    leaves = arrange(points, order)
    return (leaves, index.reshape(num_leaves, LEAF_SIZE),
            _bound_nodes(leaves, num_leaves, first_leaf), first_leaf)


def build_tree(points: np.ndarray) -> PointTree:
    """Build the tree of one scene.

    Args:
        points (np.ndarray): (N, 3) float32, contiguous, N at least 1.

    Returns:
        PointTree: The tree.
    """
    return PointTree(*_build(points))


@jit
def box_distance(bounds, node, x, y, z):
    """Return a lower bound of the squared distances to a node's points."""
    zero = np.float32(0)
    dx = max(bounds[node, 0] - x, x - bounds[node, 3], zero)
    dy = max(bounds[node, 1] - y, y - bounds[node, 4], zero)
    dz = max(bounds[node, 2] - z, z - bounds[node, 5], zero)
    return dx * dx + dy * dy + dz * dz
