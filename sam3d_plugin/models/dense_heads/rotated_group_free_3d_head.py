"""GroupFree3D's head for boxes that are rotated about z."""
from typing import Any, Optional, Tuple

from mmdet3d.models import GroupFree3DHead
from mmdet3d.registry import MODELS
from mmdet3d.structures import BaseInstance3DBoxes, DepthInstance3DBoxes
from torch import Tensor


class _EveryBoxOfAPoint(DepthInstance3DBoxes):
    """Boxes that name every box around a point, not only the first.

    mmdet3d's target code for rotated boxes asks for ``points_in_boxes_part``,
    the first box around each of N points, but reads the answer as the
    (N, M) matrix of ``points_in_boxes_all``, and so fails.
    """

    def points_in_boxes_part(
            self,
            points: Tensor,
            boxes_override: Optional[Tensor] = None) -> Tensor:
        """Mark the boxes around each point.

        Args:
            points (Tensor): (N, 3 + D) xyz first, meters.
            boxes_override (Optional[Tensor]): Boxes in place of its own.

        Returns:
            Tensor: (N, M) 1 where the point is in the box, else 0.
        """
        return self.points_in_boxes_all(points, boxes_override)


@MODELS.register_module()
class RotatedGroupFree3DHead(GroupFree3DHead):
    """``GroupFree3DHead`` that also trains on rotated boxes.

    A point belongs to the box, of the first boxes around it, whose center is
    nearest, as in VoteNet's targets. Arguments are those of
    ``GroupFree3DHead``; everything else is unchanged.
    """

    def _get_targets_single(self, points: Tensor,
                            gt_bboxes_3d: BaseInstance3DBoxes,
                            gt_labels_3d: Tensor, *args:
                            Any) -> Tuple[Tensor, ...]:
        """Make the targets of one scene; see the parent."""
        boxes = _EveryBoxOfAPoint(
            gt_bboxes_3d.tensor,
            box_dim=gt_bboxes_3d.box_dim,
            with_yaw=gt_bboxes_3d.with_yaw)
        return super()._get_targets_single(points, boxes, gt_labels_3d, *args)
