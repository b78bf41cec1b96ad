"""Boxes of a scene sorted into kinds that are drawn alike.

Shapes: M boxes.
"""
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .boxes import LabelledBoxes, match_boxes
from .scene import Scene

# Blue and vermilion: told apart by readers with any color vision.
TRUE_COLOR = '#0050B0'
PREDICTED_COLOR = '#D9400B'
# Colors brighter than this cannot be read on white.
_MAX_LUMINANCE = 0.45
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class BoxGroup:
    """Boxes drawn alike."""
    boxes: LabelledBoxes  # The boxes
    color: str  # As matplotlib reads it
    legend: str  # What they are
    is_dashed: bool = False  # Whether the lines are dashed
    is_captioned: bool = True  # Whether class and score stand beside them


def match_groups(scene: Scene, iou_thr: float) -> List[BoxGroup]:
    """Non-empty kinds of boxes, those whose captions matter most first."""
    predicted, true = scene.predicted, scene.true
    if true is None:
        groups = [BoxGroup(predicted, PREDICTED_COLOR, 'predicted')]
    else:
        matches = match_boxes(predicted, true, iou_thr)
        is_found = np.isin(np.arange(len(true)), matches)
        groups = [
            BoxGroup(
                predicted.select(matches >= 0), PREDICTED_COLOR,
                f'predicted, IoU > {iou_thr:g} with a true box'),
            BoxGroup(
                true.select(~is_found), TRUE_COLOR,
                'true, not found' if is_found.any() else 'true'),
            BoxGroup(
                predicted.select(matches < 0), PREDICTED_COLOR,
                'predicted, no match', True),
            BoxGroup(
                true.select(is_found), TRUE_COLOR, 'true, found', False,
                False),
        ]
    return [group for group in groups if len(group.boxes)]


def class_groups(boxes: LabelledBoxes,
                 palette: Mapping[str, Sequence[int]],
                 is_matched: Optional[np.ndarray] = None) -> List[BoxGroup]:
    """Boxes by class, each class in its color, for :func:`.draw_room`.

    ``palette`` has three numbers from 0 to 255 by class. Boxes outside the
    (M,) mask ``is_matched`` are dashed, and their captions come last; without
    it, all are matched.
    """
    if is_matched is None:
        is_matched = np.ones(len(boxes), dtype=bool)
    names = np.array(boxes.names, dtype=object)
    return [
        BoxGroup(
            boxes.select((names == name) & (is_matched == matched)),
            line_color(palette[name]), name, not matched)
        for matched in (True, False) for name in sorted(set(boxes.names))
        if ((names == name) & (is_matched == matched)).any()
    ]


def line_color(color: Sequence[int]) -> str:
    """The color as ``#rrggbb``, dark enough to be read on white."""
    rgb = np.asarray(color, dtype=float)
    luminance = max(rgb @ _LUMINANCE / 255, 1e-6)
    return hex_color(rgb * min(1.0, _MAX_LUMINANCE / luminance))


def hex_color(color: ArrayLike) -> str:
    """Three numbers from 0 to 255 as ``#rrggbb``."""
    return '#' + np.asarray(color).round().astype(np.uint8).tobytes().hex()
