"""Region ids as a column of the points."""
import os.path as osp
from typing import Optional

import torch
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.store import read_region_file
from .base import Step

# Stands in the column of a scan that has no region file.
NO_REGIONS = -1.


@TRANSFORMS.register_module()
class LoadRegionIds(Step):
    """Add the region id of each point as a column of the points.

    It stands right after ``LoadPointsFromFile``, so that the column is that
    behind the columns which were loaded: 3 for xyz alone. From there on
    mmdet3d's own sampling, flips, rotations and packing keep ids and points
    together; what later steps add stands behind. A
    scan whose infos name no region file gets -1 everywhere, which tokenizers
    without regions ignore and those that need them refuse.

    Required Keys:

    - points (:obj:`BasePoints`), as stored on disk
    - lidar_points (dict), with ``lidar_path``
    - pts_region_path (str, optional), relative to the region folder

    Modified Keys:

    - points (:obj:`BasePoints`), with ``attribute_dims['region']``

    Args:
        region_folder (str): Folder of the region files, beside the folder of
            the points.
        backend_args (Optional[dict]): Arguments of the file backend.
    """

    def __init__(self,
                 region_folder: str = 'regions',
                 backend_args: Optional[dict] = None) -> None:
        self.region_folder = region_folder
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add the column; ids must be those of the points, below 2 ** 24.

        Raises FileNotFoundError when the region file is missing.
        Raises ValueError when it belongs to other points or holds ids that a
        float32 column cannot.
        """
        points = results['points']
        attribute_dims = dict(points.attribute_dims or {})
        attribute_dims['region'] = points.points_dim
        results['points'] = type(points)(
            torch.cat((points.tensor, self._read_column(results)), dim=1),
            points_dim=points.points_dim + 1,
            attribute_dims=attribute_dims)
        return results

    def _read_column(self, results: dict) -> torch.Tensor:
        """Return the ids as a float32 column (N, 1)."""
        points = results['points']
        if not results.get('pts_region_path'):
            return torch.full((len(points), 1), NO_REGIONS)
        lidar_path = results['lidar_points']['lidar_path']
        region_ids = read_region_file(
            osp.join(
                osp.dirname(osp.dirname(lidar_path)), self.region_folder,
                results['pts_region_path']),
            points.coord.numpy(),
            backend_args=self.backend_args)
        return torch.from_numpy(region_ids.astype('float32'))[:, None]
