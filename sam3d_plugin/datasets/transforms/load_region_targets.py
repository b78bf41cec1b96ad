"""Stored targets of the regions of a frame.

Shapes: R regions, C channels.
"""
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS
from mmengine.structures import InstanceData

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.frame_rows import FrameRows
from ...store.errors import UserError
from .base import Step, data_folder

GROUP_IDS = 'group_ids'
# What stores hold a column; region_features hold all others.
_KINDS = {GROUP_IDS: 'region_groups', 'classes': 'region_classes'}
_TOOLS = dict(
    region_features='tools/preparation/extract_features.py',
    region_groups='tools/preparation/build_groups.py',
    region_classes='the program that classified the regions')


@TRANSFORMS.register_module()
class LoadRegionTargets(Step):
    """Read one stored value per region of the frame; may be repeated.

    Row i belongs to region i + 1 of the points' region column.

    Required Keys:

    - data_root (str), scan (str), frame (str)
    - num_regions (int), from ``LoadRGBDPoints`` with column ``region``

    Added or Modified Keys:

    - regions (:obj:`InstanceData`): ids (R,) int64 from 1, and ``key``: (R,
      C) float32, or int64 for a column of integers

    Args:
        folder (str): Folder of the store in the data set.
        key (str): Name of the values in ``regions``: ``'features'``,
            ``'group_ids'``.
        column (Optional[str]): Column of the files. None is ``'mean'`` for
            ``'features'``, else the key.
        max_open (int): Scans whose files stay mapped.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 folder: str = 'region_features',
                 key: str = 'features',
                 column: Optional[str] = None,
                 max_open: int = 256,
                 backend_args: Optional[dict] = None) -> None:
        self.folder = folder
        self.key = key
        self.column = column or ('mean' if key == 'features' else key)
        self.max_open = max_open
        self.backend_args = backend_args
        self.kind = _KINDS.get(self.column, 'region_features')
        self._rows: Dict[str, FrameRows] = {}

    @property
    def stores(self) -> List[Tuple[str, str]]:
        """Kind and folder of each store that is read."""
        return [(self.kind, self.folder)]

    def transform(self, results: dict) -> dict:
        """Add the values.

        Raises StoreError when a file is damaged, has another number of regions
        than the id map, or a value is not finite.
        Raises ValueError when points have no regions.
        """
        if 'num_regions' not in results:
            raise UserError("LoadRegionTargets needs region ids: put 'region'"
                            ' into the columns of LoadRGBDPoints before it')
        root, tool = data_folder(results, self.folder), _TOOLS[self.kind]
        if root not in self._rows:
            self._rows[root] = FrameRows(root, (self.column, ), tool,
                                         self.backend_args, self.max_open)
        scan, frame = results['scan'], results['frame']
        values = self._rows[root].read(scan, frame)[self.column]
        count = results['num_regions']
        if len(values) != count:
            raise StoreError(
                f'{root}: {scan}/{frame} has {len(values)} regions, its id '
                f'map {count}; they are of different id maps, run {tool} '
                'again')
        is_float = values.dtype.kind == 'f'
        values = values.astype(np.float32 if is_float else np.int64)
        if not np.isfinite(values).all():
            raise StoreError(
                f'{root}: a value of {scan}/{frame} is NaN or infinite; '
                f'remove the file of the scan and run {tool} again')
        if 'regions' not in results:
            results['regions'] = InstanceData(ids=torch.arange(1, count + 1))
        setattr(results['regions'], self.key, torch.from_numpy(values))
        return results
