"""Rigid places of furniture and the test whether two pieces overlap.

Boxes of solid parts are turned about z only. Shapes: P parts.
"""
from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

import numpy as np

from .furniture import Furniture

# Pieces may touch: a counter stands on its cabinets.
_TOUCHING = 0.002


@dataclass(frozen=True)
class Placed:
    """A piece at its place."""
    piece: Furniture  # What stands there
    x: float = 0.0  # Of its local origin, meters
    y: float = 0.0  # Meters
    z: float = 0.0  # Of its bottom, meters
    yaw: float = 0.0  # Turn about z, radians, counter-clockwise

    def moved(self, x: float, y: float, z: float, yaw: float) -> 'Placed':
        """The piece after its surroundings were turned, then shifted."""
        cos, sin = np.cos(yaw), np.sin(yaw)
        return replace(
            self,
            x=float(x + cos * self.x - sin * self.y),
            y=float(y + sin * self.x + cos * self.y),
            z=self.z + z,
            yaw=self.yaw + yaw)

    def vertices(self) -> np.ndarray:
        """(V, 3) vertices at the place, meters."""
        return _turn(self.piece.mesh.vertices,
                     self.yaw) + [self.x, self.y, self.z]

    def hull(self) -> 'Boxes':
        """The box of the whole piece at the place."""
        low, high = self.piece.mesh.extent
        center = _turn(
            (low + high)[None] / 2, self.yaw) + [self.x, self.y, self.z]
        return Boxes(center, (high - low)[None] / 2, np.full(1, self.yaw))

    def boxes(self) -> 'Boxes':
        """The boxes of its solid parts at the place."""
        parts = self.piece.mesh.parts
        center = _turn(parts.mean(1), self.yaw) + [self.x, self.y, self.z]
        return Boxes(center, (parts[:, 1] - parts[:, 0]) / 2,
                     np.full(len(parts), self.yaw))


@dataclass(frozen=True)
class Boxes:
    """Boxes turned about z."""
    center: np.ndarray  # (P, 3) meters
    half: np.ndarray  # (P, 3) half the sizes, meters
    yaw: np.ndarray  # (P,) radians

    def corners(self) -> np.ndarray:
        """(P, 4, 2) corners seen from above, meters."""
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        flat = signs * self.half[:, None, :2]
        cos, sin = np.cos(self.yaw)[:, None], np.sin(self.yaw)[:, None]
        turned = np.stack([
            cos * flat[..., 0] - sin * flat[..., 1],
            sin * flat[..., 0] + cos * flat[..., 1]
        ], -1)
        return turned + self.center[:, None, :2]

    @property
    def bottom(self) -> np.ndarray:
        """(P,) lowest z, meters."""
        return self.center[:, 2] - self.half[:, 2]

    @property
    def top(self) -> np.ndarray:
        """(P,) highest z, meters."""
        return self.center[:, 2] + self.half[:, 2]


def join_boxes(boxes: Sequence[Boxes]) -> Boxes:
    """All boxes of several as one."""
    if not boxes:
        return Boxes(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    return Boxes(
        np.concatenate([b.center for b in boxes]),
        np.concatenate([b.half for b in boxes]),
        np.concatenate([b.yaw for b in boxes]))


def box_between(low: Sequence[float], high: Sequence[float]) -> Boxes:
    """One box that is parallel to the axes."""
    lowest, highest = np.asarray(low, float), np.asarray(high, float)
    return Boxes((lowest + highest)[None] / 2, (highest - lowest)[None] / 2,
                 np.zeros(1))


def overlap(first: Boxes, second: Boxes) -> np.ndarray:
    """(P, Q) whether boxes overlap, by separating axes; not if they touch."""
    meets = (np.minimum(first.top[:, None], second.top) -
             np.maximum(first.bottom[:, None], second.bottom)) > _TOUCHING
    if not meets.any():
        return meets
    corners = first.corners(), second.corners()
    for boxes, is_first in ((first, True), (second, False)):
        for turn in (0.0, np.pi / 2):
            axis = np.stack(
                [np.cos(boxes.yaw + turn),
                 np.sin(boxes.yaw + turn)], 1)
            if is_first:
                mine = np.einsum('pkd,pd->pk', corners[0], axis)[:, None]
                theirs = np.einsum('qkd,pd->pqk', corners[1], axis)
            else:
                mine = np.einsum('pkd,qd->pqk', corners[0], axis)
                theirs = np.einsum('qkd,qd->qk', corners[1], axis)[None]
            meets &= (np.minimum(mine.max(-1), theirs.max(-1)) -
                      np.maximum(mine.min(-1), theirs.min(-1))) > _TOUCHING
    return meets


def extent_of(pieces: Sequence[Placed]) -> np.ndarray:
    """(2, 3) lowest and highest coordinates of pieces, meters."""
    points = [placed.vertices() for placed in pieces]
    return np.stack([
        np.min([p.min(0) for p in points], axis=0),
        np.max([p.max(0) for p in points], axis=0)
    ])


def _turn(points: np.ndarray, yaw: float) -> np.ndarray:
    cos, sin = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


Unit = List[Placed]
Rectangle = Tuple[float, float, float, float]
