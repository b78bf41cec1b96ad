"""Tests of one scene's points for boxes."""
import numpy as np

from ._numba import jit


@jit
def _frame(box):
    """Return a box's middle height, half sizes, cosine and sine."""
    half = np.float32(0.5)
    return (box[2] + box[5] * half, box[3] * half, box[4] * half,
            box[5] * half, np.cos(-box[6]), np.sin(-box[6]))


@jit
def mark_all(xyz: np.ndarray, boxes: np.ndarray, start: int, stop: int,
             inside: np.ndarray) -> None:
    """Write 1 where a point is in one of the boxes ``start`` to ``stop``.

    Args:
        xyz (np.ndarray): (3, M) float32.
        boxes (np.ndarray): (T, 7) float32.
        start (int): First box.
        stop (int): Box after the last.
        inside (np.ndarray): (T, M) int32, filled in place.
    """
    for t in range(start, stop):
        cx = boxes[t, 0]
        cy = boxes[t, 1]
        cz, half_x, half_y, half_z, cosine, sine = _frame(boxes[t])
        for i in range(xyz.shape[1]):
            x = xyz[0, i] - cx
            y = xyz[1, i] - cy
            local_x = x * cosine + y * -sine
            local_y = x * sine + y * cosine
            inside[t, i] = ((abs(xyz[2, i] - cz) <= half_z)
                            & (local_x > -half_x) & (local_x < half_x)
                            & (local_y > -half_y) & (local_y < half_y))


@jit
def mark_first(xyz: np.ndarray, boxes: np.ndarray, start: int, stop: int,
               first: np.ndarray) -> None:
    """Write the lowest box of the points ``start`` to ``stop``.

    Args:
        xyz (np.ndarray): (3, M) float32.
        boxes (np.ndarray): (T, 7) float32.
        start (int): First point.
        stop (int): Point after the last.
        first (np.ndarray): (M,) int32, stays where a point is in no box.
    """
    # Loops that start at 0 need no test for negative indices and vectorise.
    xs = xyz[0, start:stop]
    ys = xyz[1, start:stop]
    zs = xyz[2, start:stop]
    part = first[start:stop]
    for t in range(boxes.shape[0] - 1, -1, -1):
        cx = boxes[t, 0]
        cy = boxes[t, 1]
        cz, half_x, half_y, half_z, cosine, sine = _frame(boxes[t])
        number = np.int32(t)
        for i in range(part.shape[0]):
            x = xs[i] - cx
            y = ys[i] - cy
            local_x = x * cosine + y * -sine
            local_y = x * sine + y * cosine
            inside = ((abs(zs[i] - cz) <= half_z)
                      & (local_x > -half_x) & (local_x < half_x)
                      & (local_y > -half_y) & (local_y < half_y))
            part[i] = number if inside else part[i]
