"""The units and axes of a scan's file, in which results are written.

Shapes: N points, M boxes.
"""
from dataclasses import dataclass

import numpy as np

from ..preparation.sources.scans.box_readers import frame_of_units
from ..preparation.sources.scans.frames import TO_Z_UP
from ..preparation.sources.scans.scan import Scan


@dataclass(frozen=True)
class FileFrame:
    """From meters with z up back to the units and axes of a file.

    Args:
        scale (float): Meters per unit of the file.
        up (str): Axis of the file that points up, one of ``UP_AXES``.
    """
    scale: float = 1.0
    up: str = 'z'

    @classmethod
    def of(cls, scan: Scan) -> 'FileFrame':
        """The frame of the file that a scan was read from."""
        return cls(scan.scale, scan.up)

    @property
    def is_default(self) -> bool:
        """Whether it is in meters with z up."""
        return (self.scale, self.up) == (1.0, 'z')

    @property
    def name(self) -> str:
        """What files of boxes say."""
        return frame_of_units(self.scale, self.up)

    @property
    def comment(self) -> str:
        """What files of points say."""
        if self.is_default:
            return 'x y z in meters, z up'
        return f'x y z in units of {self.scale:g} m, {self.up} up'

    def points(self, xyz: np.ndarray) -> np.ndarray:
        """(N, 3) coordinates in the file's units and axes."""
        if self.is_default:
            return xyz
        return xyz @ TO_Z_UP[self.up] / self.scale

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """(M, 7) centers, sizes along the file's axes before the turn, and
        counter-clockwise turns about its up axis, radians."""
        if self.is_default:
            return boxes
        turn = TO_Z_UP[self.up]
        return np.concatenate([
            self.points(boxes[:, :3]),
            boxes[:, 3:6] @ np.abs(turn) / self.scale, boxes[:, 6:]
        ], 1)

    def alignment(self, matrix: np.ndarray) -> np.ndarray:
        """(4, 4) alignment, with its translation in the file's units."""
        result = matrix.copy()
        result[:3, 3] /= self.scale
        return result
