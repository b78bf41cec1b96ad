"""Random crops for 3DETR."""
from typing import Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import TRANSFORMS

from .base import Step


@TRANSFORMS.register_module()
class RandomCuboid(Step):
    """Keep the points in a random axis-aligned cuboid around one of them.

    A box stays complete when its center is in the range of the points that
    are left. A cuboid is drawn again when it holds too few points or, in a
    scene with boxes, no box; the scene stays as it is when none of the tries
    is good.

    Required Keys:

    - points (:obj:`BasePoints`)
    - gt_bboxes_3d (:obj:`BaseInstance3DBoxes`)
    - gt_labels_3d (np.ndarray)
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
        half = fractions * (xyz.max(axis=0) - xyz.min(axis=0)) / 2
        middle = xyz[np.random.randint(len(xyz))]
        is_point_kept = (np.abs(xyz - middle) <= half).all(axis=1)
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
        results['gt_bboxes_3d'] = results['gt_bboxes_3d'][torch.from_numpy(
            is_box_kept)]
        results['gt_labels_3d'] = results['gt_labels_3d'][is_box_kept]
        return results
