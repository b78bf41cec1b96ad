"""True classes of the points of a frame, for probes.

Shapes: N points, H W pixels, I instances.
"""
import json
from typing import Dict, Optional

import numpy as np
from mmdet3d.datasets import ScanNetSegDataset
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.files import join, read_bytes
from sam3d_plugin.store.image_files import decode_uint16
from ...store.errors import UserError
from .base import Step

# ScanNet's 20 classes: 18 of detection, wall and floor.
CLASSES = tuple(ScanNetSegDataset.METAINFO['classes'])
NYU40_IDS = tuple(ScanNetSegDataset.METAINFO['seg_valid_class_ids'])
UNLABELLED = -1
_MAX_NYU40_ID = 40


@TRANSFORMS.register_module()
class LoadFrameLabels(Step):
    """Give each point the class of the true instance at its own pixel.

    Reads ``frame_instances/<scan>/<frame>.png``, instance ids of the depth
    image's pixels, and ``scenes/<scan>.json``, whose ``instance_classes``
    are NYU40 ids by instance id, as SynthRooms has them. Later transforms
    move the labels with the points.

    Required Keys:

    - scan (str), frame (str)
    - points (:obj:`BasePoints`) with column ``pixel``

    Added Keys:

    - pts_semantic_mask (np.ndarray): (N,) int64, an index into ``CLASSES``,
      -1 for every other class and for no instance

    Args:
        data_root (str): The data set.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 data_root: str,
                 backend_args: Optional[dict] = None) -> None:
        self.data_root = data_root
        self.backend_args = backend_args
        self._labels: Dict[str, np.ndarray] = {}

    def transform(self, results: dict) -> dict:
        """Add the labels.

        Raises StoreError when there are no true instances, or files do not
        belong to each other.
        """
        scan, frame = results['scan'], results['frame']
        points = results['points']
        column = (points.attribute_dims or {}).get('pixel')
        if column is None:
            raise UserError("LoadFrameLabels needs the pixel of each point: "
                            "put 'pixel' into the columns of LoadRGBDPoints")
        pixels = points.tensor[:, column].numpy().astype(np.int64)
        path = join(self.data_root, 'frame_instances', scan, f'{frame}.png')
        instances = decode_uint16(self._read(path), path).reshape(-1)
        labels = self._labels_of(scan)
        if len(instances) <= pixels.max() or len(labels) <= instances.max():
            raise StoreError(f'{path} does not belong to the depth image or '
                             'to the list of instances in scenes/; make the '
                             'data set again')
        results['pts_semantic_mask'] = labels[instances[pixels]]
        return results

    def _labels_of(self, scan: str) -> np.ndarray:
        """(I + 1,) label of each instance id."""
        if scan not in self._labels:
            path = join(self.data_root, 'scenes', f'{scan}.json')
            classes = json.loads(self._read(path)).get('instance_classes')
            if classes is None:
                raise StoreError(f'{path} has no instance_classes')
            table = np.full(_MAX_NYU40_ID + 1, UNLABELLED)
            table[list(NYU40_IDS)] = np.arange(len(NYU40_IDS))
            self._labels[scan] = table[np.asarray(classes, int)]
        return self._labels[scan]

    def _read(self, path: str) -> bytes:
        try:
            return read_bytes(path, self.backend_args)
        except FileNotFoundError:
            raise StoreError(
                f'{path} is missing: the probe needs the true instances of '
                'every frame, which tools/preparation/make_synthrooms.py '
                'writes') from None
