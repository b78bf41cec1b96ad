"""The nearest neighbors of points in one scene."""
import numpy as np

from ._numba import jit
from ._tree import LEAF_SIZE, PointTree, box_distance

# Targets that are compared with a source at once.
LANES = 64
# Squared distance from which mmcv's knn no longer sees a point.
KNN_LIMIT = np.float32(1e10)
_NUM_BUCKETS = 128
# Squared distances that differ by less count as equal when put into buckets.
_MIN_RANGE = np.float32(1e-30)


@jit
def _visit_leaf(xyz, index, leaf, x, y, z, bound, work, square, members,
                count):
    """Append the points below ``bound``; returns the new count."""
    for i in range(LEAF_SIZE):
        dx = x - xyz[0, leaf, i]
        dy = y - xyz[1, leaf, i]
        dz = z - xyz[2, leaf, i]
        work[i] = dx * dx + dy * dy + dz * dz
    for i in range(LEAF_SIZE):
        # Written always and kept sometimes: no branch to mispredict.
        square[count] = work[i]
        members[count] = index[leaf, i]
        count += work[i] < bound
    return count


@jit
def _fill_buckets(square, count, size, starts):
    """Cut the range of distances into buckets, evenly.

    On a surface the squared distances to its points are spread evenly.

    Returns:
        tuple: The lowest distance, the buckets per unit of distance, the
        first bucket up to which there are ``size`` points, and how many there
        are; ``starts`` counts those before each bucket.
    """
    lowest = np.float32(np.inf)
    highest = np.float32(0)
    for i in range(count):
        lowest = min(lowest, square[i])
        highest = max(highest, square[i])
    scale = np.float32(0)
    if highest - lowest > _MIN_RANGE:
        scale = np.float32(_NUM_BUCKETS - 1) / (highest - lowest)
    starts[:] = 0
    for i in range(count):
        starts[np.int32((square[i] - lowest) * scale)] += 1
    last = -1
    total = 0
    while total < size:
        last += 1
        added = starts[last]
        starts[last] = total
        total += added
    return lowest, scale, last, total


@jit
def _tighten(bound, square, members, count, size, starts):
    """Drop points that are not among the ``size`` nearest, but few others.

    Returns:
        tuple: A distance that ``size`` points stay below, and the points
        left.
    """
    lowest, scale, last, _ = _fill_buckets(square, count, size, starts)
    if scale == 0:
        return bound, count
    # A little more than where the bucket ends, for what rounding does.
    end = lowest + np.float32(last + 1) / scale
    bound = min(bound, end * np.float32(1.00001))
    left = 0
    for i in range(count):
        square[left] = square[i]
        members[left] = members[i]
        left += square[i] < bound
    return bound, left


@jit
def _sort_nearest(square, members, count, size, starts, keys):
    """Write the nearest points in order; may write more than ``size``.

    A key holds the bit pattern of a squared distance, which has the order of
    the distances, above the index of the point.
    """
    lowest, scale, last, total = _fill_buckets(square, count, size, starts)
    pattern = square.view(np.int32)
    for i in range(count):
        bucket = np.int32((square[i] - lowest) * scale)
        if bucket <= last:
            keys[starts[bucket]] = (np.int64(pattern[i]) << 32) | members[i]
            starts[bucket] += 1
    if total > 2 * (size + _NUM_BUCKETS):  # unevenly spread
        keys[:total].sort()
        return
    for i in range(1, total):
        key = keys[i]
        place = i
        while place > 0 and keys[place - 1] > key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key


@jit
def _work_space(tree):
    """Allocate what a search needs besides its keys."""
    num_nodes = tree.bounds.shape[0]
    capacity = tree.indices.size + LEAF_SIZE
    return (np.empty(num_nodes, np.int32), np.empty(num_nodes, np.float32),
            np.empty(LEAF_SIZE, np.float32), np.empty(capacity, np.float32),
            np.empty(capacity, np.int32), np.empty(_NUM_BUCKETS, np.int32))


@jit
def _search(tree, x, y, z, work_space, limit, size, keys):
    """Find the nearest points in order of distance, then of index.

    Points below the bound pile up until there are enough to tighten it.

    Args:
        tree (PointTree): Points of the scene.
        x (float): Coordinate of the center; likewise y and z.
        work_space (tuple): Arrays of :func:`_work_space`.
        limit (float): Squared distance that a point must stay below.
        size (int): Number of points to find.
        keys (np.ndarray): (points + size,) int64; the first ``size`` are
            filled in place, with the limit and index 0 where points lack.
    """
    xyz, index, bounds, first_leaf = tree
    stack, waiting, work, square, members, starts = work_space
    bound = limit
    count = 0
    # More would keep the bound high for long, less tighten it often.
    wanted = size + size // 2 + LEAF_SIZE
    stack[0] = 0
    waiting[0] = 0
    height = 1
    while height > 0:
        height -= 1
        node = stack[height]
        if waiting[height] >= bound:
            continue
        if node >= first_leaf:
            count = _visit_leaf(xyz, index, node - first_leaf, x, y, z, bound,
                                work, square, members, count)
            if count >= wanted:
                bound, count = _tighten(bound, square, members, count, size,
                                        starts)
                wanted = count + size + size // 2 + LEAF_SIZE
            continue
        near, far, near_bound, far_bound = _sort_children(
            bounds, node, x, y, z)
        if far_bound < bound:
            stack[height] = far
            waiting[height] = far_bound
            height += 1
        if near_bound < bound:
            stack[height] = near
            waiting[height] = near_bound
            height += 1
    _sort_nearest(square, members, count, min(size, count), starts, keys)
    work[0] = limit
    keys[count:size] = np.int64(work.view(np.int32)[0]) << 32


@jit
def _sort_children(bounds, node, x, y, z):
    """Return the nearer and the further child and their distances."""
    left = 2 * node + 1
    right = left + 1
    left_bound = box_distance(bounds, left, x, y, z)
    right_bound = box_distance(bounds, right, x, y, z)
    if right_bound < left_bound or (right_bound == left_bound and
                                    _center_distance(bounds, right, x, y, z)
                                    < _center_distance(bounds, left, x, y, z)):
        return right, left, right_bound, left_bound
    return left, right, left_bound, right_bound


@jit
def _center_distance(bounds, node, x, y, z):
    """Return four times the squared distance to the middle of a node."""
    dx = bounds[node, 0] + bounds[node, 3] - x - x
    dy = bounds[node, 1] + bounds[node, 4] - y - y
    dz = bounds[node, 2] + bounds[node, 5] - z - z
    return dx * dx + dy * dy + dz * dz


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
def _has_tie(keys):
    # Equal keys stand for values at the limit or beyond it.
    for i in range(keys.shape[0] - 1):
        if keys[i] >> 32 == keys[i + 1] >> 32 and keys[i] != keys[i + 1]:
            return True
    return False


@jit
def find_neighbors(tree: PointTree, points: np.ndarray, centers: np.ndarray,
                   start: int, stop: int, neighbors: np.ndarray) -> None:
    """Write the K nearest points of the centers ``start`` to ``stop``.

    Args:
        tree (PointTree): Tree of ``points``.
        points (np.ndarray): (N, 3) float32.
        centers (np.ndarray): (M, 3) float32.
        start (int): First center.
        stop (int): Center after the last.
        neighbors (np.ndarray): (K, M) int32, filled in place.
    """
    num_neighbors = neighbors.shape[0]
    work_space = _work_space(tree)
    # One more than asked for shows whether the last one has equals.
    size = num_neighbors + 1
    keys = np.empty(points.shape[0] + size, np.int64)
    distances = np.empty(num_neighbors, np.float32)
    indices = np.empty(num_neighbors, np.int32)
    for i in range(start, stop):
        x = centers[i, 0]
        y = centers[i, 1]
        z = centers[i, 2]
        _search(tree, x, y, z, work_space, KNN_LIMIT, size, keys)
        for k in range(num_neighbors):
            neighbors[k, i] = keys[k] & 0x7fffffff
        if _has_tie(keys[:size]):
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
    work_space = _work_space(tree)
    keys = np.empty(tree.indices.size + 3, np.int64)
    square = np.empty(3, np.float32)
    for i in range(start, stop):
        _search(tree, targets[i, 0], targets[i, 1], targets[i, 2], work_space,
                np.float32(np.inf), 3, keys)
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
    """Find the three nearest sources of every lane's target.

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
    """Same as :func:`find_three_by_tree`, but tests every source.

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
