"""The step that turns rooms into mmdet3d's files.

    points/<room>.bin           (N, 6) float32 xyz and rgb, least corner at 0
    instance_mask/<room>.bin    (N,) int64 >= 1
    semantic_mask/<room>.bin    (N,) int64 index of the 13 classes
    infos/<room>.json           its entry of the infos, and numbers

Shapes: N points, R boxes.
"""
import json
from dataclasses import asdict
from typing import Any, Dict, List

import numpy as np

from ....store.files import (BackendArgs, PathLike, fingerprint_of_files, join,
                             list_names)
from ...running.frame_steps import Product, ScanStep
from .raw import CLASSES, Room, find_rooms, read_room

# Classes of mmdet3d.datasets.S3DISDataset, which finds furniture.
DETECTION_CLASSES = ('table', 'chair', 'sofa', 'bookcase', 'board')
FOLDERS = ('points', 'instance_mask', 'semantic_mask')


class RoomStep(ScanStep):
    """Raw rooms to points, masks and infos.

    Args:
        source (PathLike): The release; see :func:`find_rooms`.
        backend_args (BackendArgs): Arguments of the source's backend.
    """
    kind = 'scans'
    unit = 'rooms'

    def __init__(self,
                 source: PathLike,
                 backend_args: BackendArgs = None) -> None:
        self.backend_args = backend_args
        self.folders = find_rooms(source, backend_args)

    def settings(self) -> Dict[str, Any]:
        """The source's name."""
        return dict(source='s3dis')

    def scans(self) -> List[str]:
        """Names of the rooms."""
        return list(self.folders)

    def paths(self, scan: str, item: str) -> List[str]:
        """Arrays and what the infos say."""
        return [
            *(f'{folder}/{scan}.bin' for folder in FOLDERS),
            f'infos/{scan}.json'
        ]

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The files of the room."""
        folder = join(self.folders[scan], 'Annotations')
        files = [
            join(folder, name)
            for name in list_names(folder, self.backend_args)
        ]
        return dict(files=fingerprint_of_files(files, self.backend_args))

    def make(self, scan: str, item: str) -> Product:
        room = read_room(self.folders[scan], self.backend_args)
        # As mmdet3d: the room's least corner becomes the origin.
        xyz = (room.xyz - room.xyz.min(axis=0)).astype('<f4')
        arrays = (np.hstack([xyz, room.rgb.astype('<f4')]),
                  room.instance.astype('<i8'), room.semantic.astype('<i8'))
        fields = describe_room(scan, room, xyz)
        contents = [array.tobytes() for array in arrays]
        contents.append(json.dumps(fields).encode())
        return Product(dict(zip(self.paths(scan, item), contents)), fields)


def describe_room(name: str, room: Room, xyz: np.ndarray) -> Dict[str, Any]:
    """JSON values of a room for infos, ``seg_info`` and manifest; ``xyz`` (N,
    3) float32 as stored, meters."""
    boxes = furniture_boxes(xyz, room)
    info = dict(
        lidar_points=dict(num_pts_feats=6, lidar_path=f'{name}.bin'),
        pts_semantic_mask_path=f'{name}.bin',
        pts_instance_mask_path=f'{name}.bin',
        instances=boxes)
    return dict(
        info=info,
        num_points=len(xyz),
        num_instances=int(room.instance.max()),
        class_counts=np.bincount(room.semantic,
                                 minlength=len(CLASSES)).tolist(),
        flaws={
            key: value
            for key, value in asdict(room.flaws).items() if value
        })


def furniture_boxes(xyz: np.ndarray, room: Room) -> List[Dict[str, Any]]:
    """Boxes of the instances of the detection classes.

    Args:
        xyz (np.ndarray): (N, 3) float32 coordinates as stored, meters.
        room (Room): Labels of the points.

    Returns:
        List[Dict[str, Any]]: ``bbox_3d``, geometric center and size, and
        ``bbox_label_3d``, in the order of the instances.
    """
    # Points of an instance are contiguous, in the order of the instances.
    starts = np.flatnonzero(np.diff(room.instance, prepend=0))
    lows = np.minimum.reduceat(xyz, starts).astype(np.float64)
    highs = np.maximum.reduceat(xyz, starts).astype(np.float64)
    boxes = np.hstack([(lows + highs) / 2, highs - lows])
    names = [CLASSES[number] for number in room.semantic[starts]]
    return [
        dict(
            bbox_3d=box.tolist(), bbox_label_3d=DETECTION_CLASSES.index(name))
        for box, name in zip(boxes, names) if name in DETECTION_CLASSES
    ]
