"""Few labels: scans of which only some points are annotated."""
import zlib
from typing import Optional

import numpy as np
from mmdet3d.registry import TRANSFORMS

from ...store.errors import UserError
from .base import Step


def check_number(name: str, number: Optional[int]) -> None:
    """Refuse to keep no label; None keeps every one.

    Raises ValueError when it is below 1.
    """
    if number is not None and number < 1:
        raise UserError(f'{name} must be at least 1, got {number}; leave the '
                        'scan out instead')


def choose(candidates: np.ndarray, number: int, results: dict,
           seed: int) -> np.ndarray:
    """Choose ``number`` of a scan's labels (L,), all if there are fewer.

    The scan's name and the seed alone decide: the same ones in every epoch,
    worker, run and machine, and a larger number holds those of a smaller one.
    They come in random order.
    """
    name = results['lidar_points']['lidar_path'].rsplit('/', 1)[-1]
    # RandomState, because its streams are frozen for all time.
    generator = np.random.RandomState([zlib.crc32(name.encode()), seed])
    return generator.permutation(candidates)[:number]


@TRANSFORMS.register_module()
class KeepPointLabels(Step):
    """Keep the labels of some points of a scan and ignore all others.

    Which ones, :func:`choose` says. It stands behind
    ``PointSegClassMapping`` and before sampling. ``IndoorPatchPointSample``
    behind it must have ``ignore_index=None``, or it looks for patches that
    are labeled throughout.

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
        seed (int): Which points.
    """

    def __init__(self,
                 num_points: Optional[int],
                 ignore_index: int,
                 seed: int = 0) -> None:
        check_number('num_points', num_points)
        self.num_points = num_points
        self.ignore_index = ignore_index
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Remove the other labels."""
        if self.num_points is None:
            return results
        labels = results['pts_semantic_mask']
        labelled = np.flatnonzero(labels != self.ignore_index)
        kept = choose(labelled, self.num_points, results, self.seed)
        few = np.full_like(labels, self.ignore_index)
        few[kept] = labels[kept]
        results['pts_semantic_mask'] = few
        return results
