"""How well tokens follow objects in the frames of a report.

Shapes: N points, G groups.
"""
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from ..preparation.lifting import purity_cases as cases
from ..preparation.lifting.lifting import frame_points, read_frame
from ..store.posed_images import PosedImages, decode_image
from ..store.region_maps import RegionMaps


def read_objects(data: Path, scan: str, name: str) -> Optional[np.ndarray]:
    """True objects of a frame, which made-up rooms have.

    Args:
        data (Path): The data set.
        scan (str): Name of the scan.
        name (str): Of the frame.

    Returns:
        Optional[np.ndarray]: (H', W') uint16 ids of the pixels of the depth
        image; None for real rooms.
    """
    path = data / 'frame_instances' / scan / f'{name}.png'
    if not path.exists():
        return None
    return decode_image(path.read_bytes(), str(path)).astype(np.uint16)


def token_purity(
    data: Path,
    frames: Sequence[Tuple[str,
                           str]]) -> Optional[Dict[str, Dict[str, float]]]:
    """Purity of the regions and of as many groups of neighbors.

    Args:
        data (Path): The data set.
        frames (Sequence[Tuple[str, str]]): Scan and name of each.

    Returns:
        Optional[Dict[str, Dict[str, float]]]: As
        :func:`~..preparation.lifting.purity_cases.measure_regions`, on as
        many points of a frame as pre-training takes; None where true objects
        are not known.
    """
    images = PosedImages(data / 'posed_images')
    maps = RegionMaps(data / 'region_maps')
    parts = []
    for seed, (scan, name) in enumerate(frames):
        objects = read_objects(data, scan, name)
        if objects is None:
            return None
        frame, ids = read_frame(images, maps, scan, name)
        xyz, regions = frame_points(frame, ids)
        own = frame_points(frame, objects)[1].astype(np.int64)
        part = cases.Labeled(xyz, own, dict(regions=regions))
        if regions.any():
            parts.append(part.sample(seed))
    return cases.measure_regions(parts, 'regions') if parts else None


def neighbor_groups(xyz: np.ndarray, count: int) -> np.ndarray:
    """As many groups of nearest neighbors as there are regions.

    Args:
        xyz (np.ndarray): (N, 3) meters.
        count (int): Groups, each of N / count points around a center.

    Returns:
        np.ndarray: (N,) the group, 1..count, whose center is nearest; 0 for
        points in none.
    """
    groups = cases.nearest_center_regions(xyz, count)
    members = cases.neighbor_members(xyz, count, len(xyz) // count)
    groups[np.setdiff1d(np.arange(len(xyz)), members)] = 0
    return groups
