"""Tests of one scene's points for boxes."""
import numpy as np

from ._numba import jit


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
        half_x, half_y, half_z = boxes[t, 3:6] * np.float32(0.5)
        cz = boxes[t, 2] + half_z
        cosine, sine = np.cos(-boxes[t, 6]), np.sin(-boxes[t, 6])
        for i in range(xyz.shape[1]):
            x = xyz[0, i] - cx
            y = xyz[1, i] - cy
            local_x = x * cosine + y * -sine
            local_y = x * sine + y * cosine
            inside[t, i] = ((abs(xyz[2, i] - cz) <= half_z)
                            & (local_x > -half_x) & (local_x < half_x)
                            & (local_y > -half_y) & (local_y < half_y))
