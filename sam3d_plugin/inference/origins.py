"""Alignment of a scan with the training scans of a model.

Models of ScanNet-like data see rooms that mmdet3d's ``GlobalAlignment`` put
with the floor at z = 0 and the center near x = y = 0; what they find depends
on that. Scans of one's own begin anywhere.

Shapes: N points.
"""
from dataclasses import replace
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ..ops.scene_origin import find_origin
from ..preparation.sources.scans.scan import Scan

# What goes without saying, meters.
_TINY_MOVE = 0.3
# Rooms that their data set aligned lie nearer than that, meters: some begin
# in a corner, but all stand on the floor.
_ALIGNED_WITHIN = np.array([10.0, 10.0, 0.5])


def place_scan(scan: Scan,
               pipeline: Sequence[Dict[str, Any]]) -> Tuple[Scan, np.ndarray]:
    """Move a scan to the origin of the model's training scans.

    A scan whose file says how it is aligned stays where that puts it, and so
    does every scan where the pipeline aligns none (SUN RGB-D's rooms are
    around the camera).

    Args:
        scan (Scan): In meters with z up.
        pipeline (Sequence[Dict[str, Any]]): Transforms of the test data.

    Returns:
        Tuple[Scan, np.ndarray]: The scan for the model, with a note if it
        was moved far, and the (3,) origin to add to what the model finds.
    """
    if not _has_transform(pipeline, 'GlobalAlignment'):
        return scan, np.zeros(3)
    origin = find_origin(scan.aligned_xyz, 'floor')
    if scan.is_aligned or (scan.axis_align != np.eye(4)).any():
        notes = scan.notes + _notes_of_alignment(origin)
        return replace(scan, notes=notes), np.zeros(3)
    # Still float64: float32 is coarse far from the origin.
    moved = replace(scan, xyz=scan.xyz - origin)
    if np.linalg.norm(origin) > _TINY_MOVE:
        # Adding 0 turns -0 into 0.
        x, y, z = np.round(-origin, 2) + 0.0
        moved.notes = scan.notes + [
            f'moved by ({x:.2f}, {y:.2f}, {z:.2f}) m for the model, which '
            'expects rooms with the floor at z = 0 and the center at x = y = '
            "0; the results are in the scan's own coordinates"
        ]
    return moved, origin


def _has_transform(pipeline: Sequence[Any], name: str) -> bool:
    """Whether a transform is in a pipeline or in one of its branches."""
    return any(
        _has_transform(step, name) if isinstance(step, (list, tuple)) else
        # A registry's name may stand before it.
        str(step['type']).split('.')[-1] == name
        or _has_transform(step.get('transforms') or [], name)
        for step in pipeline)


def _notes_of_alignment(origin: np.ndarray) -> List[str]:
    """A warning about an alignment that leaves a scan far away."""
    if (np.abs(origin) <= _ALIGNED_WITHIN).all():
        return []
    x, y, z = origin
    return [
        f'its alignment leaves the floor at z = {z:.2f} and the center at '
        f'({x:.2f}, {y:.2f}), but the model expects rooms with the floor at z '
        '= 0 and the center near x = y = 0; without the alignment the scan is '
        'moved there'
    ]
