"""Furthest point sampling of one scene."""
import numpy as np

from ._numba import jit
from ._tree import LEAF_SIZE, box_distance


@jit
def _rank(index, bits):
    """Order among equally far points: mmcv's block reduction.

    mmcv gives point ``i`` to thread ``i % 2**bits``. A thread keeps its first
    point, and of two threads the tree reduction keeps the one whose lowest
    differing bit is 0, which orders threads by their reversed bits.
    """
    reverse = 0
    rest = index
    for _ in range(bits):
        reverse = (reverse << 1) | (rest & 1)
        rest >>= 1
    return (reverse << 32) | rest


@jit
def _shrink(xyz, distances, start, size, x, y, z):
    """Lower the distances of ``size`` points to that of a new one."""
    for i in range(start, start + size):
        dx = xyz[0, i] - x
        dy = xyz[1, i] - y
        dz = xyz[2, i] - z
        distance = dx * dx + dy * dy + dz * dz
        old = distances[i]
        distances[i] = distance if distance < old else old


@jit
def _furthest(pattern, index, start, size, bits):
    """Return where the largest distance of ``size`` points is.

    Distances come as the integers of their bit patterns, which have the same
    order and whose maximum and count the compiler can vectorise.
    """
    top = pattern[start]
    for i in range(start, start + size):
        top = max(top, pattern[i])
    count = 0
    position = 0
    for i in range(start, start + size):
        is_top = pattern[i] == top
        count += is_top
        position += i * is_top
    if count == 1:
        return position
    position = -1
    for i in range(start, start + size):
        if pattern[i] == top and (position < 0 or _rank(index[i], bits) <
                                  _rank(index[position], bits)):
            position = i
    return position


@jit
def sample_by_scan(xyz, bits, chosen):
    """Sample by looking at every point each time; for small scenes.

    Args:
        xyz (np.ndarray): (3, N) float32.
        bits (int): Binary logarithm of the number of threads of mmcv's block.
        chosen (np.ndarray): (num_points,) int32, filled in place.
    """
    num_points = xyz.shape[1]
    distances = np.full(num_points, np.float32(np.inf))
    pattern = distances.view(np.int32)
    index = np.arange(num_points)
    position = 0
    for number in range(chosen.shape[0]):
        chosen[number] = position
        _shrink(xyz, distances, 0, num_points, xyz[0, position],
                xyz[1, position], xyz[2, position])
        position = _furthest(pattern, index, 0, num_points, bits)


@jit
def _shrink_near(tree, x, y, z, distances, best, inner, stack, bits):
    """Lower the distances in the leaves that a new point can change.

    Returns:
        int: Number of inner nodes on the way, noted parents first.
    """
    pattern = distances.view(np.int32)
    stack[0] = 0
    height = 1
    num_inner = 0
    while height > 0:
        height -= 1
        node = stack[height]
        if node >= tree.first_leaf:
            start = (node - tree.first_leaf) * LEAF_SIZE
            before = distances[best[node]]
            _shrink(tree.xyz, distances, start, LEAF_SIZE, x, y, z)
            # Distances only shrink: an unchanged furthest stays furthest.
            if distances[best[node]] != before or best[node] == start:
                best[node] = _furthest(pattern, tree.index, start, LEAF_SIZE,
                                       bits)
            continue
        inner[num_inner] = node
        num_inner += 1
        for child in range(2 * node + 1, 2 * node + 3):
            if best[child] >= 0 and box_distance(
                    tree.bounds, child, x, y, z) < distances[best[child]]:
                stack[height] = child
                height += 1
    return num_inner


@jit
def _further(tree, distances, left, right, bits):
    if right < 0:
        return left
    if distances[left] != distances[right]:
        return left if distances[left] > distances[right] else right
    if _rank(tree.index[left], bits) < _rank(tree.index[right], bits):
        return left
    return right


@jit
def sample_by_tree(tree, num_points, bits, chosen):
    """Sample with a tree that leaves most points alone.

    Args:
        tree (PointTree): Points of the scene.
        num_points (int): Number of points in the tree.
        bits (int): Binary logarithm of the number of threads of mmcv's block.
        chosen (np.ndarray): (num_points,) int32, filled in place.
    """
    num_nodes = tree.bounds.shape[0]
    distances = np.full(tree.index.shape[0], np.float32(np.inf))
    distances[num_points:] = -1
    # The furthest point in each node; -1 in nodes without points.
    best = np.full(num_nodes, -1, np.int32)
    for leaf in range(tree.index.shape[0] // LEAF_SIZE):
        best[tree.first_leaf + leaf] = leaf * LEAF_SIZE
    for node in range(tree.first_leaf - 1, -1, -1):
        best[node] = best[2 * node + 1]
    stack = np.empty(num_nodes, np.int32)
    inner = np.empty(num_nodes, np.int32)
    position = np.argmin(tree.index[:num_points])
    for number in range(chosen.shape[0]):
        chosen[number] = tree.index[position]
        num_inner = _shrink_near(tree, tree.xyz[0, position],
                                 tree.xyz[1, position], tree.xyz[2, position],
                                 distances, best, inner, stack, bits)
        for i in range(num_inner - 1, -1, -1):
            node = inner[i]
            best[node] = _further(tree, distances, best[2 * node + 1],
                                  best[2 * node + 2], bits)
        position = best[0]
