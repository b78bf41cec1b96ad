"""Detections of one scan.

Shapes: N points, M boxes.
"""
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from ..preparation.sources.scans.box_readers import FRAME
from ..visualization.boxes import LabelledBoxes


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

    def __len__(self) -> int:
        return len(self.boxes)

    def to_dict(self) -> Dict[str, Any]:
        """The boxes as plain values, for JSON.

        ``boxes`` holds per box its class, score, center (gravity) and size in
        meters and yaw in radians, counter-clockwise about z.
        """
        boxes, scores = self.boxes, self.boxes.scores
        assert scores is not None
        return dict(
            scan=self.scan,
            frame=FRAME,
            axis_align=self.axis_align.tolist(),
            tokens=self.tokens,
            score_thr=self.score_thr,
            notes=self.notes,
            boxes=[{
                'class': name,
                'score': round(float(score), 6),
                'center': _rounded(box[:3]),
                'size': _rounded(box[3:6]),
                'yaw': round(float(box[6]), 6)
            } for name, score, box in zip(boxes.names, scores, boxes.boxes)])


def _rounded(values: np.ndarray) -> List[float]:
    """Meters to a hundredth of a millimeter."""
    return [round(float(value), 5) for value in values]
