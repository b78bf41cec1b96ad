"""Class ids: those that we write, and doubts about those of others.

Shapes: N points.
"""
from typing import Sequence

import numpy as np

from ....store.errors import UserError
from ....store.ply_comments import CLASS_INDEX
from .scan import CLASS_NAMES, NYU40_IDS, SEGMENTATION_IDS, Scan

# A floor is as flat as this, is as near to the lowest points, and is of as
# many points; meters.
_FLAT, _LOW, _FEW = 0.25, 0.3, 100


def ids_of_classes(indices: np.ndarray, comments: Sequence[str]) -> np.ndarray:
    """(N,) int64 NYU40 ids of class indices that tools/predict.py writes; 0
    for classes that NYU40 does not have.

    The file's comments name the classes; ValueError when one has no name.
    """
    words = [comment.split(maxsplit=2) for comment in comments]
    names = {
        int(word[1]): word[2]
        for word in words
        if len(word) == 3 and word[0] == CLASS_INDEX and word[1].isdigit()
    }
    unknown = set(np.unique(indices).tolist()) - set(names)
    if unknown:
        raise UserError(f'its comments name no class for {CLASS_INDEX} '
                        f'{min(unknown)}')
    ids = np.zeros(max(names) + 1, dtype=np.int64)
    for index, name in names.items():
        ids[index] = NYU40_IDS.get(name, 0)
    return ids[indices.astype(np.int64)]


def doubt_class_ids(scan: Scan) -> None:
    """Note ids that look like class indices instead of NYU40 ids.

    The floor is 2 in NYU40, and 1 where ScanNet's or S3DIS' classes are
    counted from 0. Without a floor, ids that are all as low as such indices
    are noted, too.
    """
    if scan.semantic is None:
        return
    low = float(np.percentile(scan.xyz[:, 2], 2))
    heights = {i: scan.xyz[scan.semantic == i, 2] for i in (1, 2)}
    if _is_floor(heights[2], low):
        return
    if _is_floor(heights[1], low):
        scan.notes.append('id 1 is flat on the floor, but is the wall of '
                          'NYU40; if these are class indices, map them to '
                          'NYU40 ids first')
    elif 0 < scan.semantic.max() <= len(SEGMENTATION_IDS):
        found = [i for i in np.unique(scan.semantic) if i in CLASS_NAMES]
        names = ', '.join(f'{i} {CLASS_NAMES[i]}' for i in found[:3])
        scan.notes.append(f'semantic is read as NYU40 ids ({names or found}); '
                          'if these are class indices, map them to NYU40 ids '
                          'first')


def _is_floor(heights: np.ndarray, low: float) -> bool:
    """Whether (N,) heights of a class are those of a floor, meters."""
    if len(heights) < _FEW:
        return False
    bottom, middle, top = np.percentile(heights, [5, 50, 95])
    return bool(top - bottom < _FLAT and abs(middle - low) < _LOW)
