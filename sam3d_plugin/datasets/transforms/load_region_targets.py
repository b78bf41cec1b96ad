"""What a frame's regions shall be predicted as.

Axis legend: R regions, C channels.
"""
from typing import Dict, Optional

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet3d.registry import TRANSFORMS
from mmengine.structures import InstanceData

from sam3d_plugin.store.errors import StoreError
from sam3d_plugin.store.frame_rows import FrameRows
from sam3d_plugin.store.region_groups import RegionGroups

_EXTRACT = 'tools/preparation/extract_features.py'
_GROUP = 'tools/preparation/build_groups.py'


@TRANSFORMS.register_module()
class LoadRegionTargets(BaseTransform):
    """Read the image features and groups of a frame's regions.

    What the dataset has no folder for is left out. Row i belongs to region i
    + 1 of the points' region column.

    Required Keys:

    - scan (str), frame (str)
    - num_regions (int), from ``LoadRGBDPoints``
    - region_features (str, optional), region_groups (str, optional): folders

    Added Keys:

    - regions (:obj:`InstanceData`): ids (R,) int64 from 1; features (R, C)
      float32, means over the region's pixels; group_ids (R,) int64

    Args:
        max_open (int): Scans whose files stay mapped. Defaults to 256.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 max_open: int = 256,
                 backend_args: Optional[dict] = None) -> None:
        self.max_open = max_open
        self.backend_args = backend_args
        self._features: Dict[str, FrameRows] = {}
        self._groups: Dict[str, RegionGroups] = {}

    def transform(self, results: dict) -> dict:
        """Add the regions.

        Args:
            results (dict): Result dict of the pipeline.

        Returns:
            dict: The same with ``regions``.

        Raises:
            StoreError: When a file is damaged, has another number of regions
                than the id map, or a feature is not finite.
        """
        count = results['num_regions']
        values = dict(ids=torch.arange(1, count + 1))
        if results.get('region_features'):
            values['features'] = self._read_features(results)
        if results.get('region_groups'):
            values['group_ids'] = self._read_groups(results)
        results['regions'] = InstanceData(**values)
        return results

    def _read_features(self, results: dict) -> torch.Tensor:
        root = results['region_features']
        if root not in self._features:
            # Of the two pooled features only this one is a target.
            self._features[root] = FrameRows(root, ('mean', ), _EXTRACT,
                                             self.backend_args, self.max_open)
        scan, frame = results['scan'], results['frame']
        features = self._features[root].read(scan, frame)['mean']
        _check_count(root, results, len(features), _EXTRACT)
        features = features.astype(np.float32)
        if not np.isfinite(features).all():
            raise StoreError(
                f'{root}: a feature of {scan}/{frame} is NaN or infinite; '
                f'remove the file of the scan and run {_EXTRACT} again')
        return torch.from_numpy(features)

    def _read_groups(self, results: dict) -> torch.Tensor:
        root = results['region_groups']
        if root not in self._groups:
            self._groups[root] = RegionGroups(root, self.backend_args,
                                              self.max_open)
        group_ids = self._groups[root].read(results['scan'], results['frame'])
        _check_count(root, results, len(group_ids), _GROUP)
        return torch.from_numpy(group_ids.astype(np.int64))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(max_open={self.max_open})'


def _check_count(root: str, results: dict, count: int, tool: str) -> None:
    """Raise StoreError unless there is a row for each region."""
    if count != results['num_regions']:
        raise StoreError(
            f'{root}: {results["scan"]}/{results["frame"]} has {count} '
            f'regions, its id map {results["num_regions"]}; they were made '
            f'of other id maps, run {tool} again')
