"""Few labels: scans of which only some boxes are annotated."""
from typing import Optional

import numpy as np
from mmdet3d.registry import TRANSFORMS

from ...store.errors import UserError
from .base import Step
from .few_labels import check_number, choose


@TRANSFORMS.register_module()
class KeepBoxLabels(Step):
    """Keep some boxes of a scan, and their points' labels, and no others.

    Which ones, :func:`.few_labels.choose` says. What lost its box becomes
    background, also in the semantic mask, from which axis-aligned heads take
    their vote targets. With masks it stands behind ``GlobalAlignment`` and
    ``PointSegClassMapping``, before sampling and augmentation; without,
    anywhere behind ``LoadAnnotations3D``.

    Required Keys:

    - gt_bboxes_3d (:obj:`BaseInstance3DBoxes`)
    - gt_labels_3d (np.ndarray)
    - lidar_points (dict), with ``lidar_path``
    - points (:obj:`BasePoints`), where there are masks
    - pts_instance_mask (np.ndarray, optional): (N,) int64
    - pts_semantic_mask (np.ndarray, optional): (N,) int64, as mapped

    Modified Keys:

    - gt_bboxes_3d (:obj:`BaseInstance3DBoxes`)
    - gt_labels_3d (np.ndarray)
    - pts_semantic_mask (np.ndarray, optional)

    Args:
        num_boxes (Optional[int]): Boxes to keep, of a scan with fewer all;
            None keeps every box.
        ignore_index (int): Semantic label of the background, the number of
            classes.
        seed (int): Which boxes.
    """

    def __init__(self,
                 num_boxes: Optional[int],
                 ignore_index: int,
                 seed: int = 0) -> None:
        check_number('num_boxes', num_boxes)
        self.num_boxes = num_boxes
        self.ignore_index = ignore_index
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Remove the other boxes.

        Raises ValueError when the masks are not those of the points, or not
        mapped to classes.
        """
        labels = results['gt_labels_3d']
        if self.num_boxes is None or len(labels) <= self.num_boxes:
            return results
        kept = np.sort(
            choose(np.arange(len(labels)), self.num_boxes, results, self.seed))
        if 'pts_semantic_mask' in results:
            results['pts_semantic_mask'] = self._few_labels(results, kept)
        results['gt_bboxes_3d'] = results['gt_bboxes_3d'][kept]
        results['gt_labels_3d'] = labels[kept]
        return results

    def _few_labels(self, results: dict, kept: np.ndarray) -> np.ndarray:
        """Semantic mask (N,) in which only the kept boxes' points count."""
        xyz = results['points'].coord.numpy()
        semantic = np.asarray(results['pts_semantic_mask'])
        instance = np.asarray(results['pts_instance_mask'])
        if len(semantic) != len(xyz) or len(instance) != len(xyz):
            raise UserError('the masks are not those of the points: put '
                            'KeepBoxLabels before PointSample')
        if semantic.max() > self.ignore_index:
            raise UserError(
                f'the semantic mask holds {semantic.max()}, more than the '
                f'{self.ignore_index} of the background: put KeepBoxLabels '
                'behind PointSegClassMapping')
        few = np.full_like(semantic, self.ignore_index)
        for number in np.unique(instance[semantic < self.ignore_index]):
            members = np.flatnonzero(instance == number)
            # The heads take an instance's class from its first point.
            label = semantic[members[0]]
            center = (xyz[members].min(axis=0) + xyz[members].max(axis=0)) / 2
            if self._box_of(results, label, center) in kept:
                few[members] = semantic[members]
        return few

    @staticmethod
    def _box_of(results: dict, label: int, center: np.ndarray) -> int:
        """Box of an instance: the nearest of its class, -1 for none."""
        centers = results['gt_bboxes_3d'].gravity_center.numpy()
        gaps = np.linalg.norm(centers - center, axis=1)
        gaps[results['gt_labels_3d'] != label] = np.inf
        return int(gaps.argmin()) if np.isfinite(gaps).any() else -1
