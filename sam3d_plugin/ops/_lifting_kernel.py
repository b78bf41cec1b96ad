"""The CPU kernel of ``lifting``: numpy arrays in and out."""
import numpy as np

from ._numba import jit


@jit
def _pixel(projection, x, y, z, height, width):
    """Return row, column and depth, the row -1 where nothing is seen."""
    depth = (
        projection[2, 0] * x + projection[2, 1] * y + projection[2, 2] * z +
        projection[2, 3])
    if not depth > 0:
        return -1, -1, depth
    u = (projection[0, 0] * x + projection[0, 1] * y + projection[0, 2] * z +
         projection[0, 3]) / depth + 0.5
    v = (projection[1, 0] * x + projection[1, 1] * y + projection[1, 2] * z +
         projection[1, 3]) / depth + 0.5
    # Compared as numbers first: a huge one has no integer.
    if not (u >= 0 and v >= 0 and u < width and v < height):
        return -1, -1, depth
    return int(v), int(u), depth


@jit
def look_up_regions(xyz, depth, region_map, depth_projection, color_projection,
                    is_single, tolerance):
    """Return the ids (N,) uint16 of points and whether each is seen (N,)."""
    ids = np.zeros(len(xyz), np.uint16)
    is_seen = np.zeros(len(xyz), np.bool_)
    for point in range(len(xyz)):
        x = xyz[point, 0]
        y = xyz[point, 1]
        z = xyz[point, 2]
        row, column, near = _pixel(depth_projection, x, y, z, depth.shape[0],
                                   depth.shape[1])
        if row < 0:
            continue
        measured = depth[row, column]
        # A depth of 0 says nothing, also close to the camera.
        if not (measured > 0 and abs(near - measured) < tolerance):
            continue
        if not is_single:
            row, column, near = _pixel(color_projection, x, y, z,
                                       region_map.shape[0],
                                       region_map.shape[1])
            if row < 0:
                continue
        is_seen[point] = True
        ids[point] = region_map[row, column]
    return ids, is_seen
