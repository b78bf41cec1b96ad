"""Encode and decode the boxes of 3DETR.

Axes: L decoder layers, B scenes, Q queries, n true boxes of a scene.
"""
import math
from typing import Dict

import torch
from mmdet3d.models.task_modules import PartialBinBasedBBoxCoder
from mmdet3d.registry import TASK_UTILS
from mmdet3d.structures import BaseInstance3DBoxes
from torch import Tensor

from .three_detr_layers import normalize_positions, scene_size


@TASK_UTILS.register_module()
class ThreeDETRBoxCoder(PartialBinBasedBBoxCoder):
    """Boxes relative to a query and to the size of their scene.

    The center is an offset from the query, the size a fraction of the
    scene's, the angle a class and a residual of at most half a class in
    either direction, as a fraction of that half (mmdet3d's own angle code).

    Args:
        num_dir_bins (int): Angle classes: 12 for SUN RGB-D, 1 without
            rotation.
        with_rot (bool): Whether boxes are rotated about z.
        max_center_offset (float): How far a box center can be from its query
            along each axis, meters. Defaults to 0.5, as published; fewer
            queries need more.
    """

    def __init__(self,
                 num_dir_bins: int,
                 with_rot: bool,
                 max_center_offset: float = 0.5) -> None:
        super().__init__(
            num_dir_bins=num_dir_bins,
            num_sizes=0,
            mean_sizes=[],
            with_rot=with_rot)
        self.max_center_offset = max_center_offset
        self.half_bin = math.pi / num_dir_bins

    def encode(self, boxes: BaseInstance3DBoxes, scene_min: Tensor,
               scene_max: Tensor) -> Dict[str, Tensor]:
        """Encode true boxes as targets.

        Args:
            boxes (BaseInstance3DBoxes): The n true boxes of a scene.
            scene_min (Tensor): (3,) lowest coordinates of its points, meters.
            scene_max (Tensor): (3,) highest ones.

        Returns:
            Dict[str, Tensor]: ``boxes`` (n, 7) with the geometric center,
            ``center`` and ``size`` (n, 3) as fractions of the scene,
            ``dir_class`` (n,) int64 and ``dir_res`` (n,) in [-1, 1].
        """
        center = boxes.gravity_center.to(scene_min)
        size = boxes.dims.to(scene_min)
        yaw = boxes.yaw.to(scene_min) if self.with_rot else center.new_zeros(
            len(center))
        dir_class, dir_res = self.angle2class(yaw)
        return dict(
            boxes=torch.cat((center, size, yaw[:, None]), dim=1),
            center=normalize_positions(center[None], scene_min[None],
                                       scene_max[None])[0],
            size=size / scene_size(scene_min, scene_max),
            dir_class=dir_class,
            dir_res=dir_res / self.half_bin)

    def decode(self, raw: Dict[str, Tensor], query_xyz: Tensor,
               scene_min: Tensor, scene_max: Tensor) -> Dict[str, Tensor]:
        """Decode boxes from the outputs of the MLPs.

        Args:
            raw (Dict[str, Tensor]): ``center``, ``size`` (L, B, Q, 3),
                ``dir_class`` and ``dir_res`` (L, B, Q, bins), not activated.
            query_xyz (Tensor): (B, Q, 3) meters.
            scene_min (Tensor): (B, 3) lowest coordinates of the points.
            scene_max (Tensor): (B, 3) highest ones.

        Returns:
            Dict[str, Tensor]: ``boxes`` (L, B, Q, 7) with the geometric
            center, meters and radians in (-pi, pi]; ``center``, ``size``
            (L, B, Q, 3) as fractions of the scene; ``dir_class``,
            ``dir_res`` as put in.
        """
        offset = (raw['center'].sigmoid() - 0.5) * 2 * self.max_center_offset
        center = query_xyz + offset
        size = raw['size'].sigmoid()
        scale = scene_size(scene_min, scene_max)[:, None]
        yaw = self._decode_yaw(raw['dir_class'], raw['dir_res'])
        return dict(
            raw,
            boxes=torch.cat((center, size * scale, yaw), dim=-1),
            center=(center - scene_min[:, None]) / scale,
            size=size)

    def _decode_yaw(self, dir_class: Tensor, dir_res: Tensor) -> Tensor:
        """(..., 1) radians, of the likeliest class."""
        if not self.with_rot:
            return dir_res.new_zeros((*dir_res.shape[:-1], 1))
        best = dir_class.argmax(dim=-1, keepdim=True)
        return self.class2angle(best, dir_res.gather(-1, best) * self.half_bin)
