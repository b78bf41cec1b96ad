"""The points inside balls in one scene."""
import numpy as np

from ._numba import jit
from ._tree import LEAF_SIZE, PointTree, box_distance


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
def _scan_ball(blocks, stop, x, y, z, lower, upper, is_inside, kept):
    """Find the first points inside among the first ``stop`` blocks.

    Returns:
        int: Their number; may exceed what was asked for by one block.
    """
    count = 0
    wanted = kept.shape[0] - LEAF_SIZE
    # Eight answers at once, of which most say no.
    words = is_inside.view(np.int64)
    for block in range(stop):
        for i in range(LEAF_SIZE):
            dx = x - blocks[0, block, i]
            dy = y - blocks[1, block, i]
            dz = z - blocks[2, block, i]
            distance = dx * dx + dy * dy + dz * dz
            is_inside[i] = (distance < upper) & ((distance >= lower) |
                                                 (distance == 0))
        for word in range(LEAF_SIZE // 8):
            if words[word] == 0:
                continue
            for i in range(8 * word, 8 * word + 8):
                # Written always and kept sometimes: no branch to mispredict.
                kept[count] = block * LEAF_SIZE + i
                count += is_inside[i]
        if count >= wanted:
            break
    return count


@jit
def _search_ball(tree, x, y, z, lower, upper, stack, kept):
    """Find the points inside with the lowest indices, unordered."""
    xyz, index, bounds, first_leaf = tree
    count = 0
    stack[0] = 0
    height = 1
    while height > 0:
        height -= 1
        node = stack[height]
        if node < first_leaf:
            for child in range(2 * node + 1, 2 * node + 3):
                if box_distance(bounds, child, x, y, z) < upper:
                    stack[height] = child
                    height += 1
            continue
        leaf = node - first_leaf
        for i in range(LEAF_SIZE):
            dx = x - xyz[0, leaf, i]
            dy = y - xyz[1, leaf, i]
            dz = z - xyz[2, leaf, i]
            distance = dx * dx + dy * dy + dz * dz
            if distance < upper and (distance >= lower or distance == 0):
                count = _keep_lowest(kept, count, index[leaf, i])
    return count


@jit
def _fill_up(kept, count, members):
    size = members.shape[0]
    for k in range(size):
        members[k] = kept[k] if k < count else (kept[0] if count > 0 else 0)


@jit
def query_by_scan(blocks: np.ndarray, centers: np.ndarray, radii: np.ndarray,
                  start: int, stop: int, members: np.ndarray) -> None:
    """Write the first K points inside the balls ``start`` to ``stop``.

    Args:
        blocks (np.ndarray): (3, blocks, LEAF_SIZE) float32, the points in
            index order.
        centers (np.ndarray): (M, 3) float32.
        radii (np.ndarray): (2,) float32, smallest and largest radius.
        start (int): First center.
        stop (int): Center after the last.
        members (np.ndarray): (M, K) int32, filled in place.
    """
    lower = radii[0] * radii[0]
    upper = radii[1] * radii[1]
    is_inside = np.empty(LEAF_SIZE, np.int8)
    kept = np.empty(members.shape[1] + LEAF_SIZE, np.int32)
    for i in range(start, stop):
        x = centers[i, 0]
        y = centers[i, 1]
        z = centers[i, 2]
        count = _scan_ball(blocks, blocks.shape[1], x, y, z, lower, upper,
                           is_inside, kept)
        _fill_up(kept, count, members[i])


@jit
def query_by_tree(tree: PointTree, blocks: np.ndarray, centers: np.ndarray,
                  radii: np.ndarray, start: int, stop: int,
                  members: np.ndarray) -> None:
    """Same as :func:`query_by_scan`, but skips most points.

    Args:
        tree (PointTree): Tree of the points.
        blocks (np.ndarray): (3, blocks, LEAF_SIZE) float32, the points in
            index order.
        centers (np.ndarray): (M, 3) float32.
        radii (np.ndarray): (2,) float32, smallest and largest radius.
        start (int): First center.
        stop (int): Center after the last.
        members (np.ndarray): (M, K) int32, filled in place.
    """
    lower = radii[0] * radii[0]
    upper = radii[1] * radii[1]
    size = members.shape[1]
    stack = np.empty(tree.bounds.shape[0], np.int32)
    is_inside = np.empty(LEAF_SIZE, np.int8)
    kept = np.empty(size + LEAF_SIZE, np.int32)
    # Crowded balls are full after a look at the first few points.
    first = min(blocks.shape[1], 8 * size // LEAF_SIZE + 1)
    for i in range(start, stop):
        x = centers[i, 0]
        y = centers[i, 1]
        z = centers[i, 2]
        count = _scan_ball(blocks, first, x, y, z, lower, upper, is_inside,
                           kept)
        if count < size:
            count = _search_ball(tree, x, y, z, lower, upper, stack,
                                 kept[:size])
            kept[:count].sort()
        _fill_up(kept, count, members[i])
