"""Hungarian matching of V-DETR, one true box to several queries.

Axes: L stages, Q queries, n true boxes of a scene, K classes.
"""
from typing import Dict

import torch
from mmdet3d.registry import TASK_UTILS
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from .three_detr_assigner import BoxSetAssigner


@TASK_UTILS.register_module()
class RepeatedBoxAssigner(BoxSetAssigner):
    """Hungarian assignment with the costs of V-DETR.

    Args:
        class_cost (float): Weight of the focal loss of the true class, less
            that of "not this class".
        center_cost (float): Weight of the L1 distance of the centers, as
            fractions of the anchor's size.
        size_cost (float): Weight of the L1 distance of the logarithms of the
            sizes.
        giou_cost (float): Weight of minus the generalized IoU.
        with_rot (bool): Whether that of the rotated boxes.
        repeats (int): Queries that a true box gets in every stage but the
            first. Defaults to 5.
    """

    def __init__(self,
                 class_cost: float,
                 center_cost: float,
                 size_cost: float,
                 giou_cost: float,
                 with_rot: bool,
                 repeats: int = 5) -> None:
        super().__init__(class_cost, 0., center_cost, giou_cost, with_rot)
        self.size_cost = size_cost
        self.repeats = repeats

    def repeats_of(self, layer: int) -> int:
        """How many queries of a stage a true box gets.

        Args:
            layer (int): Counted from 0, the proposals.

        Returns:
            int: 1 for the proposals, otherwise ``repeats``.
        """
        return self.repeats if layer else 1

    @torch.no_grad()
    def costs(self, predictions: Dict[str, Tensor],
              targets: Dict[str, Tensor]) -> Tensor:
        """Cost of every query for every true box of a scene.

        Args:
            predictions (Dict[str, Tensor]): ``cls_logits`` (L, Q, K),
                ``boxes`` (L, Q, 7), ``center``, ``size`` and ``anchor_size``
                (L, Q, 3), as the box coder gives them.
            targets (Dict[str, Tensor]): ``labels`` (n,), ``boxes`` (n, 7),
                ``center`` and ``size`` (n, 3).

        Returns:
            Tensor: (L, Q, n).
        """
        logits = predictions['cls_logits'].float()
        focal = sigmoid_focal_loss(
            logits, torch.ones_like(logits)) - sigmoid_focal_loss(
                logits, torch.zeros_like(logits))
        scale = predictions['anchor_size'].float()[..., None, :]
        distance = (predictions['center'].float()[..., None, :] -
                    targets['center']) / scale
        size = torch.cdist(predictions['size'].float(), targets['size'], p=1)
        return (self.class_cost * focal[..., targets['labels']] +
                self.center_cost * distance.abs().sum(dim=-1) +
                self.size_cost * size -
                self.giou_cost * self.giou(predictions, targets))
