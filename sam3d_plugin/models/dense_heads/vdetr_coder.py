"""Encode and decode the boxes of V-DETR.

Axes: L decoder layers, B scenes, Q queries, n true boxes of a scene.
"""
from typing import Dict

import torch
from mmdet3d.registry import TASK_UTILS
from mmdet3d.structures import BaseInstance3DBoxes
from torch import Tensor

from .three_detr_coder import ThreeDETRBoxCoder

# Sizes stay between an anchor's e^-4 and e^4, and true ones above 1 mm.
_MAX_LOG = 4.
_MIN_SIZE = 1e-3


@TASK_UTILS.register_module()
class VDETRBoxCoder(ThreeDETRBoxCoder):
    """Boxes relative to anchor boxes (paper, section 3.3).

    The center is an offset from the anchor's as a fraction of its size, the
    size the logarithm of the ratio. Neither depends on the size of the scene.
    Angles are coded as in 3DETR.

    Args:
        num_dir_bins (int): Angle classes: 12 for SUN RGB-D, 1 without
            rotation.
        with_rot (bool): Whether boxes are rotated about z.
    """

    def __init__(self, num_dir_bins: int, with_rot: bool) -> None:
        super().__init__(num_dir_bins, with_rot)

    def encode(self, boxes: BaseInstance3DBoxes, scene_min: Tensor,
               scene_max: Tensor) -> Dict[str, Tensor]:
        """Encode true boxes as targets.

        Args:
            boxes (BaseInstance3DBoxes): The n true boxes of a scene.
            scene_min (Tensor): (3,) lowest coordinates of its points, meters.
            scene_max (Tensor): (3,) highest ones.

        Returns:
            Dict[str, Tensor]: ``boxes`` (n, 7) and ``center`` (n, 3) in
            meters, ``size`` (n, 3) the logarithm of meters, ``dir_class``
            (n,) int64 and ``dir_res`` (n,) in [-1, 1].
        """
        targets = super().encode(boxes, scene_min, scene_max)
        center, size = targets['boxes'][:, :3], targets['boxes'][:, 3:6]
        return dict(
            targets, center=center, size=size.clamp(min=_MIN_SIZE).log())

    def refine(self, raw: Dict[str, Tensor],
               anchors: Tensor) -> Dict[str, Tensor]:
        """Decode boxes from the outputs of the MLPs.

        Args:
            raw (Dict[str, Tensor]): ``center``, ``size`` (..., 3),
                ``dir_class`` and ``dir_res`` (..., bins).
            anchors (Tensor): (..., 6) geometric center and size, meters.

        Returns:
            Dict[str, Tensor]: ``boxes`` (..., 7) with the geometric center,
            meters and radians in (-pi, pi]; ``center`` in meters, ``size``
            the logarithm of meters and ``anchor_size`` (..., 3);
            ``dir_class``, ``dir_res`` as put in.
        """
        anchor_size = anchors[..., 3:].expand_as(raw['size'])
        center = anchors[..., :3] + raw['center'] * anchor_size
        log_size = raw['size'].clamp(-_MAX_LOG, _MAX_LOG) + anchor_size.log()
        yaw = self._decode_yaw(raw['dir_class'], raw['dir_res'])
        return dict(
            raw,
            boxes=torch.cat((center, log_size.exp(), yaw), dim=-1),
            center=center,
            size=log_size,
            anchor_size=anchor_size)
