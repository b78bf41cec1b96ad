"""Detections of one scan.

Shapes: N points, M boxes.
"""
import math
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional

import numpy as np

from ..visualization.boxes import LabelledBoxes
from .file_frame import FileFrame


@dataclass(frozen=True)
class Detections:
    """Boxes of a scan, the best first."""
    scan: str  # Name of the scan
    # M boxes with class names and scores, meters, aligned frame
    boxes: LabelledBoxes
    points: np.ndarray  # (N, 3) all points of the scan, aligned frame
    colors: Optional[np.ndarray]  # (N, 3) uint8; None without colors
    # (4, 4) from the scan's frame, in meters with z up, to the aligned frame
    axis_align: np.ndarray
    score_thr: float  # Boxes of lower scores were left out
    tokens: str  # What the tokens were, in words
    notes: List[str]  # What was done to the scan
    # Units and axes of the scan's file
    frame: FileFrame = field(default_factory=FileFrame)

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, score_thr: float) -> 'Detections':
        """The same without boxes of lower scores."""
        scores = self.boxes.scores
        assert scores is not None
        return replace(
            self,
            boxes=self.boxes.select(scores >= score_thr),
            score_thr=float(score_thr))

    def to_dict(self) -> Dict[str, Any]:
        """The boxes as plain values, for JSON.

        ``boxes`` holds per box its class, score, center (gravity) and size in
        the units and axes of the file, and yaw in radians, counter-clockwise
        about the axis that points up.
        """
        boxes, scores = self.boxes, self.boxes.scores
        assert scores is not None
        # A hundredth of a millimeter, also of a file in kilometers.
        digits = 5 + max(math.ceil(math.log10(self.frame.scale)), 0)
        return dict(
            scan=self.scan,
            frame=self.frame.name,
            axis_align=self.frame.alignment(self.axis_align).tolist(),
            tokens=self.tokens,
            score_thr=self.score_thr,
            notes=self.notes,
            boxes=[{
                'class': name,
                'score': round(float(score), 6),
                'center': box[:3].round(digits).tolist(),
                'size': box[3:6].round(digits).tolist(),
                'yaw': round(float(box[6]), 6)
            } for name, score, box in zip(boxes.names, scores,
                                          self.frame.boxes(boxes.boxes))])
