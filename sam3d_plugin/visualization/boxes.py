"""Geometry of oriented boxes for pictures: corners, overlap, matching.

Shapes: M boxes, P predicted boxes, T true boxes. A box is (cx, cy, cz, dx, dy,
dz, yaw): gravity center and full sizes in meters in depth coordinates (z
up), yaw in radians counter-clockwise about z, as mmdet3d's
``DepthInstance3DBoxes`` with origin (0.5, 0.5, 0.5).
"""
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple, Union

import numpy as np
import shapely

from ..store.errors import UserError

# Corners differ along an edge in exactly one bit of their index.
BOX_EDGES = np.array([(i, i | bit) for i in range(8) for bit in (1, 2, 4)
                      if not i & bit])


@dataclass(frozen=True)
class LabelledBoxes:
    """Boxes of one scene with what is written beside them.

    Raises ValueError when the shapes do not fit or a number is not finite.
    """
    boxes: np.ndarray  # (M, 7) boxes; (M, 6) is read as yaw 0
    names: Sequence[str]  # M class names
    # (M,) confidences; true boxes have none
    scores: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, dtype=np.float64)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 7)
        if boxes.ndim != 2 or boxes.shape[1] not in (6, 7):
            raise UserError('boxes must be (M, 7) or (M, 6), got '
                            f'{np.shape(self.boxes)}')
        if not np.isfinite(boxes).all():
            raise UserError('a box has a coordinate that is not finite; '
                            'leave such boxes out')
        yaw = np.zeros((len(boxes), 7 - boxes.shape[1]))
        object.__setattr__(self, 'boxes', np.hstack([boxes, yaw]))
        object.__setattr__(self, 'names', tuple(self.names))
        if self.scores is not None:
            scores = np.asarray(self.scores, dtype=np.float64).reshape(-1)
            object.__setattr__(self, 'scores', scores)
        for field in (self.names, self.scores):
            if field is not None and len(field) != len(boxes):
                raise UserError(f'{len(boxes)} boxes came with '
                                f'{len(field)} names or scores')

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, keep: Union[np.ndarray, slice]) -> 'LabelledBoxes':
        """The boxes of an (M,) mask or of indices, with names and scores."""
        index = np.arange(len(self))[keep]
        scores = None if self.scores is None else self.scores[index]
        return LabelledBoxes(self.boxes[index], [self.names[i] for i in index],
                             scores)

    def captions(self) -> Tuple[str, ...]:
        """The class name and, where there is one, the score."""
        if self.scores is None:
            return tuple(self.names)
        return tuple(f'{name} {score:.2f}'
                     for name, score in zip(self.names, self.scores))


NO_BOXES = LabelledBoxes(np.zeros((0, 7)), ())


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """(M, 8, 3) corners of (M, 7) boxes.

    Bits 1, 2 and 4 of a corner's index are set on the far side of the box's
    own x, y and z axis.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 7)
    signs = (np.arange(8)[:, None] >> np.arange(3) & 1) - 0.5
    local = signs * boxes[:, None, 3:6]
    cos, sin = np.cos(boxes[:, 6:7]), np.sin(boxes[:, 6:7])
    corners = local.copy()
    corners[..., 0] = local[..., 0] * cos - local[..., 1] * sin
    corners[..., 1] = local[..., 0] * sin + local[..., 1] * cos
    return corners + boxes[:, None, :3]


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(M, T) volume overlap, from 0 to 1, of (M, 7) and (T, 7) boxes."""
    first = np.asarray(first, dtype=np.float64).reshape(-1, 7)
    second = np.asarray(second, dtype=np.float64).reshape(-1, 7)
    tops, bottoms, footprints = [], [], []
    # Areas are exact near the origin.
    origin = np.append(first[:, :2], np.zeros((1, 2)), axis=0)[0]
    for boxes in (first, second):
        corners = box_corners(boxes)
        bottoms.append(corners[..., 2].min(axis=1))
        tops.append(corners[..., 2].max(axis=1))
        footprints.append(
            shapely.polygons(corners[:, [0, 1, 3, 2], :2] - origin))
    heights = (np.minimum.outer(*tops) - np.maximum.outer(*bottoms))
    areas = shapely.area(
        shapely.intersection(footprints[0][:, None], footprints[1]))
    shared = areas * heights.clip(min=0)
    volumes = [boxes[:, 3:6].prod(axis=1) for boxes in (first, second)]
    union = volumes[0][:, None] + volumes[1][None] - shared
    return (shared / np.maximum(union, 1e-12)).clip(0, 1)


def match_boxes(predicted: LabelledBoxes,
                true: LabelledBoxes,
                iou_thr: float = 0.25) -> np.ndarray:
    """(P,) index of the true box that a prediction matches, -1 for none.

    The rule of average precision: from the highest score down, a prediction
    takes the true box of its class that it overlaps most, if the overlap
    exceeds the threshold and no better prediction has taken it
    (``mmdet3d.evaluation.indoor_eval``).
    """
    matches = np.full(len(predicted), -1)
    if not len(predicted) or not len(true):
        return matches
    same_class = np.array(predicted.names)[:, None] == np.array(true.names)
    iou = np.where(same_class, box_iou(predicted.boxes, true.boxes), 0)
    scores = predicted.scores
    order = (
        np.arange(len(predicted)) if scores is None else np.argsort(
            -scores, kind='stable'))
    for i in order:
        best = iou[i].argmax()
        if iou[i, best] > iou_thr and best not in matches:
            matches[i] = best
    return matches
