"""Segmentation of one scan.

Shapes: N points.
"""
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

import numpy as np

from ..visualization.segments import count_labels
from .file_frame import FileFrame


@dataclass(frozen=True)
class Segmentation:
    """The class of every point of a scan."""
    scan: str  # Name of the scan
    # (N,) int64 indices into the classes, in the order of the scan's points
    labels: np.ndarray
    confidences: np.ndarray  # (N,) float32 probability of that class
    classes: Tuple[str, ...]  # Their names
    palette: List[List[int]]  # Their colors, three numbers from 0 to 255
    points: np.ndarray  # (N, 3) all points of the scan, aligned frame
    # (4, 4) from the scan's frame, in meters with z up, to the aligned frame
    axis_align: np.ndarray
    tokens: str  # What the tokens were, in words
    notes: List[str]  # What was done to the scan
    # Units and axes of the scan's file
    frame: FileFrame = field(default_factory=FileFrame)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> Dict[str, int]:
        """Dict[str, int]: Points of each class that occurs, most first."""
        return count_labels(self.labels, self.classes)

    def to_dict(self) -> Dict[str, Any]:
        """The labels as plain values, for JSON.

        ``labels`` holds per point an index into ``classes``; ``found`` per
        class that occurs its points and mean confidence.
        """
        found = {}
        for name, count in self.counts.items():
            of_class = self.labels == self.classes.index(name)
            confidence = float(self.confidences[of_class].mean())
            found[name] = dict(points=count, confidence=round(confidence, 4))
        return dict(
            scan=self.scan,
            frame=self.frame.name,
            axis_align=self.frame.alignment(self.axis_align).tolist(),
            tokens=self.tokens,
            notes=self.notes,
            classes=list(self.classes),
            found=found,
            labels=self.labels.tolist())
