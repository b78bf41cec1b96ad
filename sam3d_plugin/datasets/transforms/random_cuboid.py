"""Random cuboids whose points are kept or dropped.

Shapes: N points.
"""
from typing import Optional, Tuple, Union

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS

from ...store.errors import UserError
from .base import Step


def near_random_point(xyz: np.ndarray, sizes: Union[float,
                                                    np.ndarray]) -> np.ndarray:
    """Draw an axis-aligned cuboid around one of the points.

    ``xyz`` is (N, 3), ``sizes`` (3,) or one number, in ranges of the points
    along each axis. Returns (N,) bool, the points in the cuboid.
    """
    half = sizes * (xyz.max(axis=0) - xyz.min(axis=0)) / 2
    middle = xyz[np.random.randint(len(xyz))]
    return (np.abs(xyz - middle) <= half).all(axis=1)


@TRANSFORMS.register_module()
class RandomCuboid(Step):
    """Keep the points in a random axis-aligned cuboid around one of them.

    As in DepthContrast and 3DETR. A box stays complete when its center is in
    the range of the points that are left. A cuboid is drawn again when it
    holds too few points or, in a scene with boxes, no box; the scene stays as
    it is when none of the tries is good.

    Required Keys:

    - points (:obj:`BasePoints`)
    - gt_bboxes_3d (:obj:`BaseInstance3DBoxes`, optional)
    - gt_labels_3d (np.ndarray, with ``gt_bboxes_3d``)
    - pts_instance_mask (np.ndarray, optional)
    - pts_semantic_mask (np.ndarray, optional)

    Modified Keys:

    - all of them

    Args:
        min_points (int): Points that must be left.
        min_crop (float): Smallest size as a fraction of the scene's.
        max_crop (float): Largest size.
        aspect (float): For at least two axes these fractions differ by no more
            than this factor.
        num_tries (int): Cuboids to try.
    """

    def __init__(self,
                 min_points: int = 30000,
                 min_crop: float = 0.5,
                 max_crop: float = 1.,
                 aspect: float = 0.8,
                 num_tries: int = 100) -> None:
        self.min_points = min_points
        self.min_crop = min_crop
        self.max_crop = max_crop
        self.aspect = aspect
        self.num_tries = num_tries

    def transform(self, results: dict) -> dict:
        """Crop the scene."""
        xyz = results['points'].coord.numpy()
        centers = np.zeros((0, 3))
        if 'gt_bboxes_3d' in results:
            centers = results['gt_bboxes_3d'].gravity_center.numpy()
        if len(xyz) < self.min_points:
            return results
        for _ in range(self.num_tries):
            kept = self._draw(xyz, centers)
            if kept is not None:
                return self._keep(results, *kept)
        return results

    def _draw(self, xyz: np.ndarray,
              centers: np.ndarray) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """Which points and which boxes a cuboid keeps; None if it is bad."""
        fractions = np.random.uniform(self.min_crop, self.max_crop, 3)
        ordered = np.sort(fractions)
        if (ordered[:-1] / ordered[1:]).max() < self.aspect:
            return None
        is_point_kept = near_random_point(xyz, fractions)
        if is_point_kept.sum() < self.min_points:
            return None
        inside = xyz[is_point_kept]
        is_box_kept = ((centers >= inside.min(axis=0)) &
                       (centers <= inside.max(axis=0))).all(axis=1)
        if len(centers) and not is_box_kept.any():
            return None
        return is_point_kept, is_box_kept

    @staticmethod
    def _keep(results: dict, is_point_kept: np.ndarray,
              is_box_kept: np.ndarray) -> dict:
        results['points'] = results['points'][torch.from_numpy(is_point_kept)]
        for key in ('pts_instance_mask', 'pts_semantic_mask'):
            if key in results:
                results[key] = results[key][is_point_kept]
        if 'gt_bboxes_3d' in results:
            results['gt_bboxes_3d'] = results['gt_bboxes_3d'][torch.from_numpy(
                is_box_kept)]
            results['gt_labels_3d'] = results['gt_labels_3d'][is_box_kept]
        return results


@TRANSFORMS.register_module()
class DropCuboid(Step):
    """Drop the points in a random axis-aligned cuboid around one of them.

    As in DepthContrast.

    Required Keys:

    - points (:obj:`BasePoints`)

    Modified Keys:

    - points (:obj:`BasePoints`)

    Args:
        size (float): Of the cuboid, as a fraction of the range of the points
            along each axis, in [0, 1).
    """

    def __init__(self, size: float = 0.2) -> None:
        if not 0 <= size < 1:
            raise UserError(f'size of DropCuboid is {size}; it must be in '
                            '[0, 1), so that points are left')
        self.size = size

    def transform(self, results: dict) -> dict:
        """Drop the points, unless all are at one place."""
        xyz = results['points'].coord.numpy()
        is_dropped = near_random_point(xyz, self.size)
        if not is_dropped.all():
            results['points'] = results['points'][torch.from_numpy(
                ~is_dropped)]
        return results
