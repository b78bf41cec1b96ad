"""One scan on its way into mmdet3d's data, and the labels it may carry.

Shapes: N points, R boxes.
"""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from ....store.errors import ScanError as ScanError

# NYU40 ids of ScanNet's 18 detection classes, in the order of
# mmdet3d.datasets.ScanNetDataset.METAINFO (a test compares the two).
DETECTION_CLASSES: Dict[str, int] = {
    'cabinet': 3,
    'bed': 4,
    'chair': 5,
    'sofa': 6,
    'table': 7,
    'door': 8,
    'window': 9,
    'bookshelf': 10,
    'picture': 11,
    'counter': 12,
    'desk': 14,
    'curtain': 16,
    'refrigerator': 24,
    'showercurtrain': 28,
    'toilet': 33,
    'sink': 34,
    'bathtub': 36,
    'garbagebin': 39,
}
CLASS_NAMES: Dict[int, str] = {
    number: name
    for name, number in DETECTION_CLASSES.items()
}

# The same of ScanNetSegDataset: the 18, wall (1), floor (2).
SEGMENTATION_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33,
                    34, 36, 39)

# NYU40 ids by the names of both.
NYU40_IDS: Dict[str, int] = {
    'wall': 1,
    'floor': 2,
    'otherfurniture': 39,
    **DETECTION_CLASSES
}

# mmdet3d's label maps have one entry for each of 0 (unlabeled) to 40.
MAX_NYU40_ID = 40

# Endings of published scans that are not part of the scan's name.
_NAME_ENDINGS = ('_labelled', '_vh_clean_2')


@dataclass
class Scan:
    """One scan."""
    name: str  # Name it gets in the data set
    path: Path  # File it was read from, for messages
    xyz: np.ndarray  # (N, 3) coordinates, meters, z up
    rgb: np.ndarray  # (N, 3) colors, 0 to 255
    # (4, 4) from ``xyz`` to the frame of the boxes, in which walls are
    # parallel to the axes
    axis_align: np.ndarray
    semantic: Optional[np.ndarray] = None  # (N,) NYU40 ids, 0 = unlabeled
    instance: Optional[np.ndarray] = None  # (N,) ids, 0 = in no instance
    regions: Optional[np.ndarray] = None  # (N,) ids, 0 = in no region
    # (R, 6) geometric center and size, meters, aligned frame
    boxes: Optional[np.ndarray] = None
    box_classes: Optional[np.ndarray] = None  # (R,) NYU40 ids
    # What was done to the scan, for the log
    notes: List[str] = field(default_factory=list)
    # Whether its files say what ``axis_align`` is, be it the identity
    is_aligned: bool = False
    # (3,) meters that were subtracted from ``xyz``
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    # (3,) meters by which this moved the aligned frame
    aligned_offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    # Meters per unit of the file, and its axis that points up
    scale: float = 1.
    up: str = 'z'
    # Meters to which the file's coordinates are rounded; 0 if unknown
    step: float = 0.

    @property
    def aligned_xyz(self) -> np.ndarray:
        """(N, 3) coordinates in the frame of the boxes, meters."""
        return self.xyz @ self.axis_align[:3, :3].T + self.axis_align[:3, 3]


def scan_name(path: Path) -> str:
    """Name of a scan: that of its file without the endings."""
    name = path.stem
    for ending in _NAME_ENDINGS:
        name = name.removesuffix(ending)
    return name


def files_beside(path: Path, ending: str) -> List[Path]:
    """Possible files of a scan with an ending: named like its file, with and
    without the file's own ending, or like the scan."""
    stems = dict.fromkeys((path.name, path.stem, scan_name(path)))
    return [path.with_name(f'{stem}{ending}') for stem in stems]


def class_of(value: object, path: Path) -> int:
    """NYU40 id of a box's class, given by name or by id; ScanError when it is
    not one of the 18 detection classes."""
    if isinstance(value, str):
        name = value.strip().lower()
        value = int(name) if name.isdecimal() else name
    if isinstance(value, str) and value in DETECTION_CLASSES:
        return DETECTION_CLASSES[value]
    if isinstance(value, (int, float, np.number)) and value in CLASS_NAMES:
        return int(value)
    known = ', '.join(f'{name} ({number})'
                      for name, number in DETECTION_CLASSES.items())
    raise ScanError(
        f'{path}: unknown box class {value!r:.40}; known are {known}')
