"""Furthest point sampling of one scene.

A key holds the bit pattern of a squared distance, which has the order of the
distances, above the point's preference among equally far ones. The largest
key names the next point, and the compiler can vectorise the search for it.
"""
import numpy as np

from ._numba import jit
from ._tree import PointTree, box_distance

_LOWEST_KEY = np.int64(-1 << 62)
_LAST_RANK = 0x7fffffff


@jit
def _reverse_bits(number, bits):
    reverse = 0
    for _ in range(bits):
        reverse = (reverse << 1) | (number & 1)
        number >>= 1
    return reverse


@jit
def _preferences(index, num_points, bits):
    """Order equally far points as mmcv's block reduction does.

    mmcv gives point ``i`` to thread ``i % 2**bits``. A thread keeps its first
    point, and of two threads the tree reduction keeps the one whose lowest
    differing bit is 0, which orders threads by their reversed bits.
    """
    points_per_thread = ((num_points - 1) >> bits) + 1
    preferences = np.empty(index.shape, np.int32)
    for row in range(index.shape[0]):
        for i in range(index.shape[1]):
            point = index[row, i]
            thread = _reverse_bits(point & ((1 << bits) - 1), bits)
            rank = thread * points_per_thread + (point >> bits)
            preferences[row, i] = _LAST_RANK - rank
    return preferences


@jit
def _point_of(key, num_points, bits):
    """Return the index of the point that a key names."""
    points_per_thread = ((num_points - 1) >> bits) + 1
    rank = _LAST_RANK - (key & _LAST_RANK)
    thread = _reverse_bits(rank // points_per_thread, bits)
    return thread | (rank % points_per_thread) << bits


@jit
def _shrink(xyz, row, x, y, z, distances, pattern, preferences):
    """Lower a row's distances to that of a new point.

    Returns:
        int: The largest key of the row.
    """
    for i in range(distances.shape[1]):
        dx = xyz[0, row, i] - x
        dy = xyz[1, row, i] - y
        dz = xyz[2, row, i] - z
        distance = dx * dx + dy * dy + dz * dz
        old = distances[row, i]
        distances[row, i] = distance if distance < old else old
    largest = _LOWEST_KEY
    for i in range(distances.shape[1]):
        key = (np.int64(pattern[row, i]) << 32) | preferences[row, i]
        largest = key if key > largest else largest
    return largest


@jit
def sample_by_scan(xyz: np.ndarray, bits: int, chosen: np.ndarray) -> None:
    """Sample by looking at every point each time; for small scenes.

    Args:
        xyz (np.ndarray): (3, N) float32.
        bits (int): Binary logarithm of the number of threads of mmcv's block.
        chosen (np.ndarray): (num_points,) int32, filled in place.
    """
    num_points = xyz.shape[1]
    row = xyz.reshape(3, 1, num_points)
    distances = np.full((1, num_points), np.float32(np.inf))
    pattern = distances.view(np.int32)
    preferences = _preferences(
        np.arange(num_points).reshape(1, num_points), num_points, bits)
    point = 0
    for number in range(chosen.shape[0]):
        chosen[number] = point
        key = _shrink(row, 0, xyz[0, point], xyz[1, point], xyz[2, point],
                      distances, pattern, preferences)
        point = _point_of(key, num_points, bits)


@jit
def _shrink_near(xyz, bounds, first_leaf, x, y, z, distances, pattern,
                 preferences, largest, inner, stack):
    """Lower the distances in the leaves that a new point can change."""
    # The upper half of a key is the distance itself (little-endian).
    furthest = largest.view(np.float32)
    stack[0] = 0
    height = 1
    num_inner = 0
    while height > 0:
        height -= 1
        node = stack[height]
        if node >= first_leaf:
            largest[node] = _shrink(xyz, node - first_leaf, x, y, z, distances,
                                    pattern, preferences)
            continue
        inner[num_inner] = node
        num_inner += 1
        for child in range(2 * node + 1, 2 * node + 3):
            if box_distance(bounds, child, x, y, z) < furthest[2 * child + 1]:
                stack[height] = child
                height += 1
    # Parents were noted before their children.
    for i in range(num_inner - 1, -1, -1):
        node = inner[i]
        largest[node] = max(largest[2 * node + 1], largest[2 * node + 2])


@jit
def sample_by_tree(tree: PointTree, points: np.ndarray, bits: int,
                   chosen: np.ndarray) -> None:
    """Sample with a tree that leaves most points alone.

    Args:
        tree (PointTree): Tree of ``points``.
        points (np.ndarray): (N, 3) float32.
        bits (int): Binary logarithm of the number of threads of mmcv's block.
        chosen (np.ndarray): (num_points,) int32, filled in place.
    """
    xyz, index, bounds, first_leaf = tree
    num_points = points.shape[0]
    distances = np.full(index.shape, np.float32(np.inf))
    # What fills the last leaf is nearer than anything.
    distances.reshape(-1)[num_points:] = -1
    pattern = distances.view(np.int32)
    preferences = _preferences(index, num_points, bits)
    # The largest key of each node.
    largest = np.full(bounds.shape[0], _LOWEST_KEY)
    used = slice(first_leaf, first_leaf + index.shape[0])
    largest.view(np.float32).reshape(-1, 2)[used, 1] = np.inf
    for node in range(first_leaf - 1, -1, -1):
        largest[node] = max(largest[2 * node + 1], largest[2 * node + 2])
    stack = np.empty(bounds.shape[0], np.int32)
    inner = np.empty(bounds.shape[0], np.int32)
    point = 0
    for number in range(chosen.shape[0]):
        chosen[number] = point
        _shrink_near(xyz, bounds, first_leaf, points[point, 0],
                     points[point, 1], points[point, 2], distances, pattern,
                     preferences, largest, inner, stack)
        point = _point_of(largest[0], num_points, bits)
