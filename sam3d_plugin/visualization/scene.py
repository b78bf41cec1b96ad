"""Content and viewpoint of pictures and pages of a scene.

Shapes: N points. Points in meters, z up.
"""
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from ..store.errors import UserError
from .boxes import NO_BOXES, LabelledBoxes
from .points import check_points, choose_points, colors_from_height


@dataclass(frozen=True)
class ViewOptions:
    """What a picture shows and from where."""
    # Where the camera of the perspective view stands, degrees
    # counter-clockwise from the x axis
    azimuth: float = -60.0
    elevation: float = 50.0  # Its height over the horizon, degrees
    # Points higher above the floor are left out, meters, so that a ceiling
    # does not hide the room
    max_height: Optional[float] = None
    max_points: int = 50000  # Points drawn at most
    seed: int = 0  # Seed of their choice
    iou_thr: float = 0.25  # Overlap from which a prediction counts as matched


DEFAULT_VIEW = ViewOptions()


@dataclass(frozen=True)
class Scene:
    """A room with its true and predicted boxes."""
    name: str  # Name of the scan
    points: np.ndarray  # (N, 3) xyz, meters, z up
    colors: Optional[np.ndarray] = None  # (N, 3) uint8; without, by height
    # True boxes; None of a scan without annotations
    true: Optional[LabelledBoxes] = None
    predicted: LabelledBoxes = NO_BOXES  # Predicted boxes with scores

    def shown_points(self,
                     options: ViewOptions) -> Tuple[np.ndarray, np.ndarray]:
        """Points (n, 3) float64 and colors (n, 3) uint8 of a picture.

        Raises ValueError when there is no point, a coordinate is not finite,
        or points and colors differ in number.
        """
        points = check_points(self.points)
        colors = self.colors
        if colors is None:
            colors = colors_from_height(points)
        if np.shape(colors) != points.shape:
            raise UserError(f'{len(points)} points came with colors of shape '
                            f'{np.shape(colors)}; give three numbers a point')
        index = choose_points(points, options.max_points, options.max_height,
                              options.seed)
        return points[index], np.asarray(colors, dtype=np.uint8)[index]
