"""How often classes occur, and what tells them apart: shape or color.

A benchmark of a network that sees xyz alone needs classes that geometry tells
apart, and says little if color does.

Shapes: N points, O objects, D numbers that describe one.
"""
import pickle
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from ..datasets.transforms.load_frame_labels import CLASSES, NYU40_IDS
from .feature_geometry import describe

SPLITS = ('train', 'val')
_MIN_POINTS = 16


class Objects(NamedTuple):
    """Objects of many rooms, those of 16 points and more."""

    classes: np.ndarray  # (O,) index into CLASSES
    rooms: np.ndarray  # (O,) number of the room
    geometry: np.ndarray  # (O, 13) shape, height, size; meters to a side
    color: np.ndarray  # (O, 6) mean and deviation of R, G, B


class Room(NamedTuple):
    """A labeled scan."""

    xyz: np.ndarray  # (N, 3) meters, aligned, z up from the floor
    rgb: np.ndarray  # (N, 3)
    classes: np.ndarray  # (N,) index into CLASSES, -1 = unlabeled
    instances: np.ndarray  # (N,) 0 = none


def read_rooms(data_root: Path, split: str) -> List[Room]:
    """Read the labeled scans of a split.

    Args:
        data_root (Path): Prepared data set in the layout of ScanNet.
        split (str): 'train' or 'val'.

    Returns:
        List[Room]: In the order of the infos.

    Raises:
        FileNotFoundError: When infos, points or labels are missing.
    """
    infos = pickle.loads(
        (data_root / f'scannet_infos_{split}.pkl').read_bytes())
    table = np.full(max(NYU40_IDS) + 1, -1)
    table[list(NYU40_IDS)] = np.arange(len(CLASSES))
    rooms = []
    for info in infos['data_list']:
        points = np.fromfile(
            data_root / 'points' / info['lidar_points']['lidar_path'],
            np.float32).reshape(-1, info['lidar_points']['num_pts_feats'])
        labels = [
            np.fromfile(
                data_root / f'{kind}_mask' / info[f'pts_{kind}_mask_path'],
                np.int64) for kind in ('semantic', 'instance')
        ]
        is_known = (labels[0] >= 0) & (labels[0] < len(table))
        align = np.asarray(info.get('axis_align_matrix', np.eye(4)))
        rooms.append(
            Room(points[:, :3] @ align[:3, :3].T + align[:3, 3], points[:,
                                                                        3:6],
                 np.where(is_known, table[labels[0] * is_known], -1),
                 labels[1]))
    return rooms


def find_objects(rooms: List[Room]) -> Objects:
    """Describe every instance of a class.

    Args:
        rooms (List[Room]): Labeled scans.

    Returns:
        Objects: Their geometry is that of
        :func:`~.feature_geometry.describe` and the distance of the center
        to the nearest side of the room's extent.
    """
    rows = []
    for number, room in enumerate(rooms):
        low, high = room.xyz[:, :2].min(0), room.xyz[:, :2].max(0)
        for instance in np.unique(room.instances[room.instances > 0]):
            own = room.instances == instance
            kind = np.bincount(room.classes[own] + 1).argmax() - 1
            if kind < 0 or own.sum() < _MIN_POINTS:
                continue
            xyz, rgb = room.xyz[own].astype(np.float64), room.rgb[own]
            center = xyz[:, :2].mean(0)
            side = np.minimum(center - low, high - center).min()
            rows.append((kind, number, [*describe(xyz),
                                        side], [*rgb.mean(0), *rgb.std(0)]))
    return Objects(*(np.array(column) for column in zip(*rows)))


def count_classes(rooms: List[Room],
                  objects: Objects) -> Dict[str, Dict[str, int]]:
    """Count points, objects and rooms of every class.

    Args:
        rooms (List[Room]): Labeled scans.
        objects (Objects): Of these scans.

    Returns:
        Dict[str, Dict[str, int]]: ``points``, ``objects`` and ``rooms`` by
        name of the class.
    """
    labels = [room.classes for room in rooms]
    return {
        name:
        dict(
            points=int(sum((each == kind).sum() for each in labels)),
            objects=int((objects.classes == kind).sum()),
            rooms=int(sum((each == kind).any() for each in labels)))
        for kind, name in enumerate(CLASSES)
    }


def recognize(known: Objects, unknown: Objects, by: str) -> Dict[str, float]:
    """Learn classes from some rooms and recognize them in others.

    Args:
        known (Objects): Of the rooms that a random forest learns from.
        unknown (Objects): Of other rooms.
        by (str): 'geometry' or 'color'.

    Returns:
        Dict[str, float]: Share of the unknown objects of each class in both
        that is recognized, by its name; their mean is the balanced accuracy,
        and by chance 1 over their number.
    """
    forest = RandomForestClassifier(
        300, min_samples_leaf=2, class_weight='balanced', random_state=0)
    forest.fit(getattr(known, by), known.classes)
    is_right = forest.predict(getattr(unknown, by)) == unknown.classes
    return {
        CLASSES[kind]: float(is_right[unknown.classes == kind].mean())
        for kind in np.intersect1d(known.classes, unknown.classes)
    }


def study(data_root: Path) -> Dict[str, Any]:
    """Count the classes of a data set and recognize its objects.

    Args:
        data_root (Path): Prepared data set in the layout of ScanNet.

    Returns:
        Dict[str, Any]: ``counts`` by split and class; ``recognized``, shares
        of the validation objects by 'geometry' and 'color', and class;
        ``balanced_accuracy`` of both and ``chance``.
    """
    rooms = {split: read_rooms(data_root, split) for split in SPLITS}
    objects = {split: find_objects(found) for split, found in rooms.items()}
    shares = {
        by: recognize(objects['train'], objects['val'], by)
        for by in ('geometry', 'color')
    }
    accuracy = {by: float(np.mean([*s.values()])) for by, s in shares.items()}
    return dict(
        counts={
            split: count_classes(rooms[split], objects[split])
            for split in SPLITS
        },
        recognized=shares,
        balanced_accuracy=dict(accuracy, chance=1 / len(shares['color'])))
