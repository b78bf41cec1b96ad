"""Few labels: a scan of which only some points are annotated."""
import zlib
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
class KeepPointLabels(BaseTransform):
    """Keep the labels of some points of a scan and ignore all others.

    Which points depends on the scan's name and the seed alone: the same ones
    in every epoch, worker, run and machine, and with the same seed a larger
    number holds those of a smaller one. It stands behind
    ``PointSegClassMapping`` and before sampling. ``IndoorPatchPointSample``
    behind it must have ``ignore_index=None``, or it looks for patches that
    are labelled throughout.

    Required Keys:

    - pts_semantic_mask (np.ndarray): (N,) int64, as mapped
    - lidar_points (dict), with ``lidar_path``

    Modified Keys:

    - pts_semantic_mask (np.ndarray)

    Args:
        num_points (Optional[int]): Labels to keep, of a scan with fewer all;
            None keeps every label.
        ignore_index (int): Label of points without one, the number of
            classes.
        seed (int): Which points. Defaults to 0.
    """

    def __init__(self,
                 num_points: Optional[int],
                 ignore_index: int,
                 seed: int = 0) -> None:
        if num_points is not None and num_points < 1:
            raise ValueError(f'num_points must be at least 1, got '
                             f'{num_points}; leave the scan out instead')
        self.num_points = num_points
        self.ignore_index = ignore_index
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Remove the other labels.

        Args:
            results (dict): Result dict of the pipeline.

        Returns:
            dict: The same.
        """
        if self.num_points is None:
            return results
        labels = results['pts_semantic_mask']
        name = results['lidar_points']['lidar_path'].rsplit('/', 1)[-1]
        # RandomState, because its streams are frozen for all time.
        generator = np.random.RandomState(
            [zlib.crc32(name.encode()), self.seed])
        labelled = np.flatnonzero(labels != self.ignore_index)
        kept = generator.permutation(labelled)[:self.num_points]
        few = np.full_like(labels, self.ignore_index)
        few[kept] = labels[kept]
        results['pts_semantic_mask'] = few
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_points={self.num_points}, '
                f'ignore_index={self.ignore_index}, seed={self.seed})')
