"""Masks from boxes and boxes from masks.

Shapes: N points, R boxes.
"""
from dataclasses import replace
from typing import Iterator, List, Optional, Tuple

import numpy as np

from .scan import CLASS_NAMES, Scan, ScanError

# GroupFree3DHead and VoteHead of mmdet3d pad their targets to this many.
MAX_BOXES = 64

# float32 coordinates against float64 boxes that touch them.
_TOLERANCE = 1e-4
# A flat instance has no volume, and no box could overlap it.
_SMALLEST_SIZE = 1e-3


def complete_labels(scan: Scan) -> Scan:
    """Give a scan the masks and boxes that follow from what it has.

    Notes say where they come from. ScanError when a box is outside the scan,
    there are over 64, or instances have no class.
    """
    if scan.boxes is None:
        scan = _boxes_from_masks(scan)
    else:
        check_boxes_inside(scan)
        if scan.instance is None or scan.semantic is None:
            scan = _masks_from_boxes(scan)
    assert scan.boxes is not None and scan.semantic is not None
    if len(scan.boxes) > MAX_BOXES:
        raise ScanError(
            f'{scan.path} has {len(scan.boxes)} boxes, but VoteNet and '
            f'GroupFree3D take at most {MAX_BOXES}; split the scan')
    return _separate_strays(scan)


def check_boxes_inside(scan: Scan) -> None:
    """ScanError when a box is outside the scan, or most hold no point; a note
    on a few empty ones."""
    assert scan.boxes is not None
    xyz = scan.aligned_xyz
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    centers, halves = scan.boxes[:, :3], scan.boxes[:, 3:] / 2
    is_outside = ((centers + halves < low) | (centers - halves > high)).any(1)
    if is_outside.any():
        index = int(np.flatnonzero(is_outside)[0])
        raise ScanError(
            f'{scan.path}: {int(is_outside.sum())} of {len(centers)} boxes '
            f'are outside the points, the first is {index} at '
            f'{centers[index].round(2).tolist()}; give boxes in the units and '
            'axes of the points (before --scale, after alignment)')
    empty = sum(not mask.any() for mask in _points_in_boxes(xyz, scan.boxes))
    if empty > len(centers) / 2:
        raise ScanError(f'{scan.path}: {empty} of {len(centers)} boxes hold '
                        'no point; give boxes in the units and axes of the '
                        'points (before --scale, after alignment)')
    if empty > 0:
        scan.notes.append(f'{empty} boxes hold no point')


def _points_in_boxes(xyz: np.ndarray,
                     boxes: np.ndarray) -> Iterator[np.ndarray]:
    """For each of (R, 6) boxes, which of (N, 3) points it holds."""
    for box in boxes:
        half = box[3:] / 2 + _TOLERANCE
        yield (np.abs(xyz - box[:3]) <= half).all(axis=1)


def smallest_box(xyz: np.ndarray,
                 boxes: np.ndarray,
                 allowed: Optional[np.ndarray] = None) -> np.ndarray:
    """Index of the smallest box that holds each point.

    Args:
        xyz (np.ndarray): (N, 3) meters, frame of the boxes.
        boxes (np.ndarray): (R, 6) center and size, meters.
        allowed (Optional[np.ndarray]): (R, N) bool, which box may take which
            point.

    Returns:
        np.ndarray: (N,) int64 from 0, -1 for points in no box. Of boxes of
        equal volume the first takes the point.
    """
    found = np.full(len(xyz), -1, dtype=np.int64)
    masks = list(_points_in_boxes(xyz, boxes))
    volumes = boxes[:, 3:].prod(axis=1)
    # Largest first and the first of equals last, so that it overwrites.
    for index in np.lexsort([np.arange(len(boxes)), volumes])[::-1]:
        mask = masks[index]
        if allowed is not None:
            mask = mask & allowed[index]
        found[mask] = index
    return found


def _masks_from_boxes(scan: Scan) -> Scan:
    """Each point takes the smallest box that holds it."""
    assert scan.boxes is not None and scan.box_classes is not None
    semantic, allowed, rule = scan.semantic, None, 'smallest box'
    if semantic is not None:
        allowed = scan.box_classes[:, None] == semantic
        rule = 'smallest box of its class'
    elif scan.instance is not None:
        scan.notes.append('instance ids are not used: there are no semantic '
                          'ids to tell their classes')
    index = smallest_box(scan.aligned_xyz, scan.boxes, allowed)
    if semantic is None:
        semantic = np.append(scan.box_classes, 0)[index]
    scan.notes.append(
        f'masks from boxes: each point takes the {rule} that holds it '
        f'({int((index >= 0).sum()):,} of {len(index):,} points are in one)')
    return replace(scan, semantic=semantic, instance=index + 1)


def _boxes_from_masks(scan: Scan) -> Scan:
    """The extents of the instances whose class is detected."""
    count = len(scan.xyz)
    no_ids = np.zeros(count, dtype=np.int64)
    boxes, classes = np.zeros((0, 6)), no_ids[:0]
    if scan.instance is None:
        scan.notes.append(
            'no boxes and no instances: a scan without objects' if scan.
            semantic is None else 'semantic ids only: no objects to detect')
    elif scan.semantic is None:
        raise ScanError(f'{scan.path} has instance ids but neither semantic '
                        'ids nor boxes, so that their classes are unknown; '
                        'add one of them')
    else:
        boxes, classes = instance_boxes(scan.aligned_xyz, scan.instance,
                                        scan.semantic)
        scan.notes.append(f"boxes from masks: the instances' extents "
                          f'({len(boxes)} of a detected class)')
    return replace(
        scan,
        boxes=boxes,
        box_classes=classes,
        semantic=no_ids if scan.semantic is None else scan.semantic,
        instance=no_ids if scan.instance is None else scan.instance)


def instance_boxes(xyz: np.ndarray, instance: np.ndarray,
                   semantic: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Extents of the instances of the 18 detection classes.

    Args:
        xyz (np.ndarray): (N, 3) meters, aligned frame.
        instance (np.ndarray): (N,) ids, 0 = in no instance.
        semantic (np.ndarray): (N,) NYU40 ids; an instance has the class of
            most of its points.

    Returns:
        Tuple[np.ndarray, np.ndarray]: (R, 6) geometric centers and sizes, in
        order of the instance ids, and (R,) NYU40 ids.
    """
    boxes: List[np.ndarray] = []
    classes: List[int] = []
    for number in np.unique(instance[instance > 0]):
        mask = instance == number
        label = int(np.bincount(semantic[mask]).argmax())
        if label not in CLASS_NAMES:
            continue
        low, high = xyz[mask].min(axis=0), xyz[mask].max(axis=0)
        size = np.maximum(high - low, _SMALLEST_SIZE)
        boxes.append(np.concatenate([(low + high) / 2, size]))
        classes.append(label)
    return (np.array(boxes).reshape(-1, 6), np.array(classes, dtype=np.int64))


def _separate_strays(scan: Scan) -> Scan:
    """Keep objects' points without an instance apart from the background.

    mmdet3d's heads treat instance 0 like any other and look at the class of
    its first point: one stray chair point there and the whole background
    would vote for the middle of the room. So the strays of a class form an
    instance of their own.
    """
    instance, semantic = scan.instance, scan.semantic
    assert instance is not None and semantic is not None
    is_stray = (instance == 0) & np.isin(semantic, list(CLASS_NAMES))
    if not is_stray.any() or not (instance > 0).any():
        return scan
    instance = instance.copy()
    instance[is_stray] = instance.max() + semantic[is_stray]
    names = [CLASS_NAMES[i] for i in np.unique(semantic[is_stray])]
    scan.notes.append(
        f'{int(is_stray.sum()):,} points of {", ".join(names)} are in no '
        'instance; those of a class share one without a box')
    return replace(scan, instance=instance)
