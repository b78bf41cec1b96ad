"""Rotation of points about more than the vertical axis."""
import math
from typing import Optional, Sequence

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS

from ...store.errors import UserError
from .base import Step


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula.

    Args:
        axis (np.ndarray): (3,), of any length but 0.
        angle (float): Radians, counter-clockwise.

    Returns:
        np.ndarray: (3, 3), for columns.
    """
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return (np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) *
            (cross @ cross))


@TRANSFORMS.register_module()
class TurnPoints(Step):
    """Rotate xyz about the origin; columns behind xyz stay.

    ``GlobalRotScaleTrans`` turns about z alone.

    Required Keys:

    - points (:obj:`BasePoints`)

    Modified Keys:

    - points (:obj:`BasePoints`)

    Args:
        ranges (Optional[Sequence[float]]): Largest angles about x, y and z,
            in this order, radians. None for one rotation by any angle about
            an axis of any direction. Defaults to None.
    """

    def __init__(self, ranges: Optional[Sequence[float]] = None) -> None:
        if ranges is not None and (len(ranges) != 3 or min(ranges) < 0):
            raise UserError(f'ranges of TurnPoints are {tuple(ranges)}; they '
                            'must be three angles of at least 0')
        self.ranges = ranges

    def transform(self, results: dict) -> dict:
        """Rotate."""
        if self.ranges is None:
            turn = rotation_about(
                np.random.normal(size=3), np.random.uniform(-math.pi, math.pi))
        else:
            turn = np.eye(3)
            for axis, most in zip(np.eye(3), self.ranges):
                angle = np.random.uniform(-most, most)
                turn = rotation_about(axis, angle) @ turn
        points = results['points']
        turned = points.coord.double() @ torch.from_numpy(turn).T
        points.coord = turned.to(points.coord.dtype)
        return results
