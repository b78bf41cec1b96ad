"""Furthest point sampling of one scene with a kd-tree."""
import numpy as np

from ._kdtree import box_distance
from ._numba import jit


@jit
def _rank(index, bits):
    """Order among equally far points: mmcv's block reduction.

    mmcv gives point ``i`` to thread ``i % 2**bits``. A thread keeps its first
    point, and of two threads the tree reduction keeps the one whose lowest
    differing bit is 0, which orders threads by their reversed bits.
    """
    reverse = 0
    thread = index
    for _ in range(bits):
        reverse = (reverse << 1) | (thread & 1)
        thread >>= 1
    return (reverse << 32) | thread


@jit
def _update_leaf(tree, node, x, y, z, distances, best, bits):
    """Bring the leaf's distances and its furthest point up to date."""
    xyz = tree.xyz
    start = tree.starts[node]
    stop = tree.stops[node]
    before = distances[best[node]]
    for i in range(start, stop):
        dx = xyz[0, i] - x
        dy = xyz[1, i] - y
        dz = xyz[2, i] - z
        distance = dx * dx + dy * dy + dz * dz
        old = distances[i]
        distances[i] = distance if distance < old else old
    if distances[best[node]] == before:
        # Distances only shrink, so the furthest point is still the furthest.
        return
    position = start
    for i in range(start + 1, stop):
        if distances[i] > distances[position] or (
                distances[i] == distances[position] and _rank(
                    tree.index[i], bits) < _rank(tree.index[position], bits)):
            position = i
    best[node] = position


@jit
def _further(tree, distances, left, right, bits):
    if distances[left] != distances[right]:
        return left if distances[left] > distances[right] else right
    if _rank(tree.index[left], bits) < _rank(tree.index[right], bits):
        return left
    return right


@jit
def sample_furthest(tree, bits, chosen):
    """Fill ``chosen`` with the indices of the sampled points.

    Args:
        tree (KDTree): Points of the scene.
        bits (int): Binary logarithm of the number of threads of mmcv's block.
        chosen (np.ndarray): (num_points,) int32, filled in place.
    """
    num_nodes = tree.starts.shape[0]
    xyz = tree.xyz
    distances = np.full(xyz.shape[1], np.float32(np.inf))
    best = tree.starts.copy()
    stack = np.empty(num_nodes, np.int32)
    inner = np.empty(num_nodes, np.int32)
    position = 0
    while tree.index[position] != 0:
        position += 1
    for number in range(chosen.shape[0]):
        chosen[number] = tree.index[position]
        x = xyz[0, position]
        y = xyz[1, position]
        z = xyz[2, position]
        stack[0] = 0
        height = 1
        num_inner = 0
        while height > 0:
            height -= 1
            node = stack[height]
            if box_distance(tree.bounds, node, x, y,
                            z) >= distances[best[node]]:
                continue
            if node >= tree.first_leaf:
                _update_leaf(tree, node, x, y, z, distances, best, bits)
                continue
            inner[num_inner] = node
            num_inner += 1
            stack[height] = 2 * node + 1
            stack[height + 1] = 2 * node + 2
            height += 2
        # Parents were noted before their children.
        for i in range(num_inner - 1, -1, -1):
            node = inner[i]
            best[node] = _further(tree, distances, best[2 * node + 1],
                                  best[2 * node + 2], bits)
        position = best[0]
