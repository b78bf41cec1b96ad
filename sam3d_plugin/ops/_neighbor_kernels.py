"""Nearest neighbours and ball query of one scene with a kd-tree."""
import numpy as np

from ._kdtree import box_distance
from ._numba import jit

# Distances of one block are computed together, so that they vectorise.
BLOCK = 64
# Squared distance from which mmcv's knn no longer sees a point.
KNN_LIMIT = np.float32(1e10)


@jit
def _is_after(distance_a, index_a, distance_b, index_b):
    if distance_a != distance_b:
        return distance_a > distance_b
    return index_a > index_b


@jit
def _sink(distances, indices, size, distance, index):
    """Replace the top of a heap ordered by distance, then by index."""
    hole = 0
    child = 1
    while child < size:
        right = child + 1
        if right < size and _is_after(distances[right], indices[right],
                                      distances[child], indices[child]):
            child = right
        if not _is_after(distances[child], indices[child], distance, index):
            break
        distances[hole] = distances[child]
        indices[hole] = indices[child]
        hole = child
        child = 2 * hole + 1
    distances[hole] = distance
    indices[hole] = index


@jit
def _visit_leaf(tree, node, x, y, z, distances, indices):
    size = distances.shape[0]
    xyz = tree.xyz
    for i in range(tree.starts[node], tree.stops[node]):
        dx = x - xyz[0, i]
        dy = y - xyz[1, i]
        dz = z - xyz[2, i]
        distance = dx * dx + dy * dy + dz * dz
        if distance > distances[0]:
            continue
        index = tree.index[i]
        if distance < distances[0] or index < indices[0]:
            _sink(distances, indices, size, distance, index)


@jit
def _search(tree, x, y, z, stack, bounds, distances, indices):
    """Find the nearest points in order of distance, then of index.

    Args:
        tree (KDTree): Points of the scene.
        x (float): Coordinate of the centre; likewise y and z.
        stack (np.ndarray): (nodes,) int32, work space.
        bounds (np.ndarray): (nodes,) float32, work space.
        distances (np.ndarray): (K,) squared distances, filled with a limit
            that only nearer points pass; in place.
        indices (np.ndarray): (K,) int32, filled with 0; in place.
    """
    stack[0] = 0
    bounds[0] = np.float32(0)
    height = 1
    while height > 0:
        height -= 1
        node = stack[height]
        if bounds[height] > distances[0]:
            continue
        if node >= tree.first_leaf:
            _visit_leaf(tree, node, x, y, z, distances, indices)
            continue
        near = 2 * node + 1
        far = near + 1
        near_bound = box_distance(tree.bounds, near, x, y, z)
        far_bound = box_distance(tree.bounds, far, x, y, z)
        if far_bound < near_bound:
            near, far = far, near
            near_bound, far_bound = far_bound, near_bound
        stack[height] = far
        bounds[height] = far_bound
        stack[height + 1] = near
        bounds[height + 1] = near_bound
        height += 2
    # Sort: take the last of the order from the top, again and again.
    for size in range(distances.shape[0] - 1, 0, -1):
        distance = distances[size]
        index = indices[size]
        distances[size] = distances[0]
        indices[size] = indices[0]
        _sink(distances, indices, size, distance, index)


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
def _has_tie(distances):
    for i in range(distances.shape[0] - 1):
        if distances[i] == distances[i + 1] and distances[i] < KNN_LIMIT:
            return True
    return False


@jit
def find_neighbors(tree, points, centers, start, stop, neighbors):
    """Write the K nearest points of the centres ``start`` to ``stop``.

    Args:
        tree (KDTree): Tree of ``points``.
        points (np.ndarray): (N, 3) float32.
        centers (np.ndarray): (M, 3) float32.
        start (int): First centre.
        stop (int): Centre after the last.
        neighbors (np.ndarray): (K, M) int32, filled in place.
    """
    num_neighbors = neighbors.shape[0]
    stack = np.empty(tree.starts.shape[0], np.int32)
    bounds = np.empty(tree.starts.shape[0], np.float32)
    # One more than asked for shows whether the last one has equals.
    distances = np.empty(num_neighbors + 1, np.float32)
    indices = np.empty(num_neighbors + 1, np.int32)
    for i in range(start, stop):
        x = centers[i, 0]
        y = centers[i, 1]
        z = centers[i, 2]
        distances[:] = KNN_LIMIT
        indices[:] = 0
        _search(tree, x, y, z, stack, bounds, distances, indices)
        if _has_tie(distances):
            _search_like_mmcv(points, x, y, z, distances[:num_neighbors],
                              indices[:num_neighbors])
        for k in range(num_neighbors):
            neighbors[k, i] = indices[k]


@jit
def find_three(tree, targets, start, stop, distances, indices):
    """Write the three nearest points of the targets ``start`` to ``stop``.

    Args:
        tree (KDTree): Tree of the sources.
        targets (np.ndarray): (N, 3) float32.
        start (int): First target.
        stop (int): Target after the last.
        distances (np.ndarray): (N, 3) float32, not squared; in place.
        indices (np.ndarray): (N, 3) int32, filled in place.
    """
    stack = np.empty(tree.starts.shape[0], np.int32)
    bounds = np.empty(tree.starts.shape[0], np.float32)
    for i in range(start, stop):
        distances[i] = np.float32(np.inf)
        indices[i] = 0
        _search(tree, targets[i, 0], targets[i, 1], targets[i, 2], stack,
                bounds, distances[i], indices[i])
        for k in range(3):
            distances[i, k] = np.sqrt(distances[i, k])


@jit
def _keep_lowest(kept, count, index):
    """Add to a list of the lowest indices, kept as a max-heap when full."""
    size = kept.shape[0]
    if count < size:
        hole = count
        while hole > 0 and kept[(hole - 1) // 2] < index:
            kept[hole] = kept[(hole - 1) // 2]
            hole = (hole - 1) // 2
        kept[hole] = index
        return count + 1
    if index >= kept[0]:
        return count
    hole = 0
    child = 1
    while child < size:
        if child + 1 < size and kept[child + 1] > kept[child]:
            child += 1
        if kept[child] <= index:
            break
        kept[hole] = kept[child]
        hole = child
        child = 2 * hole + 1
    kept[hole] = index
    return count


@jit
def _scan_ball(xyz, stop, x, y, z, lower, upper, work, kept):
    """Note the first points inside among the first ``stop`` ones."""
    count = 0
    for block in range(0, stop, BLOCK):
        size = min(BLOCK, stop - block)
        for i in range(size):
            dx = x - xyz[0, block + i]
            dy = y - xyz[1, block + i]
            dz = z - xyz[2, block + i]
            work[i] = dx * dx + dy * dy + dz * dz
        for i in range(size):
            if work[i] < upper and (work[i] >= lower or work[i] == 0):
                kept[count] = block + i
                count += 1
                if count == kept.shape[0]:
                    return count
    return count


@jit
def _search_ball(tree, x, y, z, lower, upper, stack, kept):
    """Note the points inside with the lowest indices, in no order."""
    xyz = tree.xyz
    count = 0
    stack[0] = 0
    height = 1
    while height > 0:
        height -= 1
        node = stack[height]
        if box_distance(tree.bounds, node, x, y, z) >= upper:
            continue
        if node < tree.first_leaf:
            stack[height] = 2 * node + 1
            stack[height + 1] = 2 * node + 2
            height += 2
            continue
        for i in range(tree.starts[node], tree.stops[node]):
            dx = x - xyz[0, i]
            dy = y - xyz[1, i]
            dz = z - xyz[2, i]
            distance = dx * dx + dy * dy + dz * dz
            if distance < upper and (distance >= lower or distance == 0):
                count = _keep_lowest(kept, count, tree.index[i])
    return count


@jit
def query_balls(tree, xyz, centers, radii, start, stop, members):
    """Write the first K points inside the balls ``start`` to ``stop``.

    Args:
        tree (KDTree): Tree of the points.
        xyz (np.ndarray): (3, N) float32, the points in index order.
        centers (np.ndarray): (M, 3) float32.
        radii (np.ndarray): (2,) float32, smallest and largest radius.
        start (int): First centre.
        stop (int): Centre after the last.
        members (np.ndarray): (M, K) int32, filled in place.
    """
    lower = radii[0] * radii[0]
    upper = radii[1] * radii[1]
    size = members.shape[1]
    stack = np.empty(tree.starts.shape[0], np.int32)
    work = np.empty(BLOCK, np.float32)
    # Crowded balls are full after a look at the first few points.
    first = min(xyz.shape[1], 8 * size)
    for i in range(start, stop):
        x = centers[i, 0]
        y = centers[i, 1]
        z = centers[i, 2]
        kept = members[i]
        count = _scan_ball(xyz, first, x, y, z, lower, upper, work, kept)
        if count < size and first < xyz.shape[1]:
            count = _search_ball(tree, x, y, z, lower, upper, stack, kept)
            kept[:count].sort()
        for k in range(count, size):
            kept[k] = kept[0] if count > 0 else 0
