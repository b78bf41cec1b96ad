"""The nearest neighbours of points in one scene."""
import numpy as np

from ._numba import jit
from ._tree import LEAF_SIZE, PointTree, box_distance

# Targets that are compared with a source at once.
LANES = 64
# Squared distance from which mmcv's knn no longer sees a point.
KNN_LIMIT = np.float32(1e10)


@jit
def _select(keys, count, size):
    """Move the ``size`` lowest of ``count`` keys to the front, last one last.

    Hoare's selection.
    """
    low = 0
    high = count - 1
    while low < high:
        pivot = keys[(low + high) // 2]
        i = low
        j = high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if size - 1 <= j:
            high = j
        elif size - 1 >= i:
            low = i
        else:
            return


@jit
def _visit_leaf(xyz, index, leaf, x, y, z, work, pattern, bound, keys, count):
    """Append the keys below ``bound``; returns the new count."""
    for i in range(LEAF_SIZE):
        dx = x - xyz[0, leaf, i]
        dy = y - xyz[1, leaf, i]
        dz = z - xyz[2, leaf, i]
        work[i] = dx * dx + dy * dy + dz * dz
    for i in range(LEAF_SIZE):
        key = (np.int64(pattern[i]) << 32) | index[leaf, i]
        # Written always and kept sometimes: no branch to mispredict.
        keys[count] = key
        count += key < bound
    return count


@jit
def _search(tree, x, y, z, stack, waiting, work, limit, size, keys):
    """Find the nearest points in order of distance, then of index.

    A key holds the bit pattern of a squared distance, which has the order of
    the distances, above the index of the point. Keys below the bound pile up
    until a selection throws out all but the ``size`` lowest.

    Args:
        tree (PointTree): Points of the scene.
        x (float): Coordinate of the centre; likewise y and z.
        stack (np.ndarray): (nodes,) int32, work space.
        waiting (np.ndarray): (nodes,) float32, work space.
        work (np.ndarray): (LEAF_SIZE,) float32, work space.
        limit (float): Squared distance that a point must stay below.
        size (int): Number of points to find.
        keys (np.ndarray): Longer than ``size + LEAF_SIZE``; the first
            ``size`` are filled in place.
    """
    xyz, index, bounds, first_leaf = tree
    pattern = work.view(np.int32)
    work[0] = limit
    limit_key = np.int64(pattern[0]) << 32
    bound = limit_key
    count = 0
    stack[0] = 0
    waiting[0] = 0
    waiting_pattern = waiting.view(np.int32)
    height = 1
    while height > 0:
        height -= 1
        node = stack[height]
        if waiting_pattern[height] > bound >> 32:
            continue
        if node >= first_leaf:
            count = _visit_leaf(xyz, index, node - first_leaf, x, y, z, work,
                                pattern, bound, keys, count)
            is_full = count > keys.shape[0] - LEAF_SIZE
            if is_full or (bound == limit_key and count >= size):
                _select(keys, count, size)
                bound = keys[size - 1]
                count = size
            continue
        near = 2 * node + 1
        far = near + 1
        near_bound = box_distance(bounds, near, x, y, z)
        far_bound = box_distance(bounds, far, x, y, z)
        if far_bound < near_bound:
            near, far = far, near
            near_bound, far_bound = far_bound, near_bound
        if far_bound < limit:
            stack[height] = far
            waiting[height] = far_bound
            height += 1
        if near_bound < limit:
            stack[height] = near
            waiting[height] = near_bound
            height += 1
    keys[count:size] = limit_key
    _select(keys, count, size)
    keys[:size].sort()


@jit
def _search_like_mmcv(points, x, y, z, distances, indices):
    """Run mmcv's unstable heap over all points in index order.

    Where several points are equally far, which of them stay and in which
    order depends on all that passed through that heap, so it is repeated
    move by move: a point enters when strictly nearer than the top; going
    down, it changes places with an equal child.
    """
    size = distances.shape[0]
    distances[:] = KNN_LIMIT
    indices[:] = 0
    for i in range(points.shape[0]):
        dx = x - points[i, 0]
        dy = y - points[i, 1]
        dz = z - points[i, 2]
        distance = dx * dx + dy * dy + dz * dz
        if distance < distances[0]:
            _sink_through_equals(distances, indices, size, distance, i)
    for last in range(size - 1, 0, -1):
        distance = distances[last]
        index = indices[last]
        distances[last] = distances[0]
        indices[last] = indices[0]
        _sink_through_equals(distances, indices, last, distance, index)


@jit
def _sink_through_equals(distances, indices, size, distance, index):
    hole = 0
    child = 1
    while child < size:
        if child + 1 < size and distances[child + 1] > distances[child]:
            child += 1
        if distance > distances[child]:
            break
        distances[hole] = distances[child]
        indices[hole] = indices[child]
        hole = child
        child = 2 * hole + 1
    distances[hole] = distance
    indices[hole] = index


@jit
def _has_tie(keys, limit_key):
    for i in range(keys.shape[0] - 1):
        if keys[i] >> 32 == keys[i + 1] >> 32 and keys[i] < limit_key:
            return True
    return False


@jit
def find_neighbors(tree: PointTree, points: np.ndarray, centers: np.ndarray,
                   start: int, stop: int, neighbors: np.ndarray) -> None:
    """Write the K nearest points of the centres ``start`` to ``stop``.

    Args:
        tree (PointTree): Tree of ``points``.
        points (np.ndarray): (N, 3) float32.
        centers (np.ndarray): (M, 3) float32.
        start (int): First centre.
        stop (int): Centre after the last.
        neighbors (np.ndarray): (K, M) int32, filled in place.
    """
    num_neighbors = neighbors.shape[0]
    stack = np.empty(tree.bounds.shape[0], np.int32)
    waiting = np.empty(tree.bounds.shape[0], np.float32)
    work = np.empty(LEAF_SIZE, np.float32)
    # One more than asked for shows whether the last one has equals.
    size = num_neighbors + 1
    keys = np.empty(size + max(size // 2, 32) + LEAF_SIZE, np.int64)
    work[0] = KNN_LIMIT
    limit_key = np.int64(work.view(np.int32)[0]) << 32
    distances = np.empty(num_neighbors, np.float32)
    indices = np.empty(num_neighbors, np.int32)
    for i in range(start, stop):
        x = centers[i, 0]
        y = centers[i, 1]
        z = centers[i, 2]
        _search(tree, x, y, z, stack, waiting, work, KNN_LIMIT, size, keys)
        for k in range(num_neighbors):
            neighbors[k, i] = keys[k] & 0x7fffffff
        if _has_tie(keys[:size], limit_key):
            _search_like_mmcv(points, x, y, z, distances, indices)
            neighbors[:, i] = indices


@jit
def find_three_by_tree(tree: PointTree, targets: np.ndarray, start: int,
                       stop: int, distances: np.ndarray,
                       indices: np.ndarray) -> None:
    """Write the three nearest sources of the targets ``start`` to ``stop``.

    Args:
        tree (PointTree): Tree of the sources.
        targets (np.ndarray): (N, 3) float32.
        start (int): First target.
        stop (int): Target after the last.
        distances (np.ndarray): (N, 3) float32, not squared; in place.
        indices (np.ndarray): (N, 3) int32, filled in place.
    """
    stack = np.empty(tree.bounds.shape[0], np.int32)
    waiting = np.empty(tree.bounds.shape[0], np.float32)
    work = np.empty(LEAF_SIZE, np.float32)
    keys = np.empty(3 + 2 * LEAF_SIZE, np.int64)
    square = np.empty(3, np.float32)
    for i in range(start, stop):
        _search(tree, targets[i, 0], targets[i, 1], targets[i, 2], stack,
                waiting, work, np.float32(np.inf), 3, keys)
        for k in range(3):
            square.view(np.int32)[k] = keys[k] >> 32
            distances[i, k] = np.sqrt(square[k])
            indices[i, k] = keys[k] & 0x7fffffff


@jit
def _insert(distance, index, nearest):
    """Add a source to a target's three nearest ones, without branches."""
    first, second, third, first_index, second_index, third_index = nearest
    is_first = distance < first
    is_second = distance < second
    is_third = distance < third
    return (
        distance if is_first else first,
        first if is_first else (distance if is_second else second),
        second if is_second else (distance if is_third else third),
        index if is_first else first_index,
        first_index if is_first else (index if is_second else second_index),
        second_index if is_second else (index if is_third else third_index),
    )


@jit
def _compare_lanes(sources, lanes):
    """Let every lane's target see all sources and keep three of them.

    The rows of ``lanes`` are the target's x, y and z, the three smallest
    squared distances and their indices, LANES numbers each. One array with
    constant offsets and no branches becomes vector instructions, and four
    sources at once save most of its loads and stores.
    """
    lanes[3 * LANES:6 * LANES] = np.inf
    lanes[6 * LANES:] = 0
    for group in range(sources.shape[0]):
        base = np.float32(4 * group)
        for i in range(LANES):
            nearest = (lanes[3 * LANES + i], lanes[4 * LANES + i],
                       lanes[5 * LANES + i], lanes[6 * LANES + i],
                       lanes[7 * LANES + i], lanes[8 * LANES + i])
            for m in range(4):
                dx = lanes[i] - sources[group, 0, m]
                dy = lanes[LANES + i] - sources[group, 1, m]
                dz = lanes[2 * LANES + i] - sources[group, 2, m]
                nearest = _insert(dx * dx + dy * dy + dz * dz,
                                  base + np.float32(m), nearest)
            lanes[3 * LANES + i] = nearest[0]
            lanes[4 * LANES + i] = nearest[1]
            lanes[5 * LANES + i] = nearest[2]
            lanes[6 * LANES + i] = nearest[3]
            lanes[7 * LANES + i] = nearest[4]
            lanes[8 * LANES + i] = nearest[5]


@jit
def find_three_by_scan(sources: np.ndarray, targets: np.ndarray, start: int,
                       stop: int, distances: np.ndarray,
                       indices: np.ndarray) -> None:
    """Do as :func:`find_three_by_tree`, looking at every source.

    Args:
        sources (np.ndarray): (groups, 3, 4) float32, four sources each,
            at most 2**24 together; infinity fills the last group.
        targets (np.ndarray): (N, 3) float32.
        start (int): First target.
        stop (int): Target after the last.
        distances (np.ndarray): (N, 3) float32, not squared; in place.
        indices (np.ndarray): (N, 3) int32, filled in place.
    """
    lanes = np.zeros(9 * LANES, np.float32)
    for block in range(start, stop, LANES):
        size = min(LANES, stop - block)
        for i in range(size):
            for axis in range(3):
                lanes[axis * LANES + i] = targets[block + i, axis]
        _compare_lanes(sources, lanes)
        for i in range(size):
            for k in range(3):
                distances[block + i, k] = np.sqrt(lanes[(3 + k) * LANES + i])
                indices[block + i, k] = np.int32(lanes[(6 + k) * LANES + i])
