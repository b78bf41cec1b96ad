"""Generalized IoU of one pair of boxes after the other, in plain Python.

What ``sam3d_plugin.ops.pairwise_giou_3d`` is compared with, for its results
in the tests and for its speed in ``benchmark_downstream.py``.
"""
import math
from typing import List, Sequence, Tuple

Point = Tuple[float, float]


def rectangle(box: Sequence[float]) -> List[Point]:
    """Corners of a box seen from above."""
    x, y, _, size_x, size_y, _, yaw = box
    cos, sin = math.cos(yaw), math.sin(yaw)
    return [(x + i * size_x / 2 * cos - j * size_y / 2 * sin,
             y + i * size_x / 2 * sin + j * size_y / 2 * cos)
            for i, j in ((1, 1), (-1, 1), (-1, -1), (1, -1))]


def clip(polygon: List[Point], begin: Point, end: Point) -> List[Point]:
    """Part of a polygon to the left of a line.

    Returns it counterclockwise; empty when nothing is left.
    """

    def side(point: Point) -> float:
        return ((end[0] - begin[0]) * (point[1] - begin[1]) -
                (end[1] - begin[1]) * (point[0] - begin[0]))

    kept = []
    for point, following in zip(polygon, polygon[1:] + polygon[:1]):
        here, there = side(point), side(following)
        if here >= 0:
            kept.append(point)
        if here * there < 0:
            part = here / (here - there)
            kept.append((point[0] + part * (following[0] - point[0]),
                         point[1] + part * (following[1] - point[1])))
    return kept


def giou_of_pair(box: Sequence[float], other: Sequence[float]) -> float:
    """Generalized IoU of two boxes that have a volume.

    Returns a number in [-1, 1].
    """
    polygon, clipper = rectangle(box), rectangle(other)
    xs, ys = zip(*polygon, *clipper)
    for begin, end in zip(clipper, clipper[1:] + clipper[:1]):
        polygon = clip(polygon, begin, end)
    area = sum(a[0] * b[1] - a[1] * b[0]
               for a, b in zip(polygon, polygon[1:] + polygon[:1])) / 2
    top, other_top = box[2] + box[5] / 2, other[2] + other[5] / 2
    bottom, other_bottom = box[2] - box[5] / 2, other[2] - other[5] / 2
    shared = area * max(0, min(top, other_top) - max(bottom, other_bottom))
    union = math.prod(box[3:6]) + math.prod(other[3:6]) - shared
    height = max(top, other_top) - min(bottom, other_bottom)
    enclosing = (max(xs) - min(xs)) * (max(ys) - min(ys)) * height
    return shared / union - (enclosing - union) / enclosing
