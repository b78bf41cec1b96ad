"""Hungarian matching of queries and true boxes.

Axes: L decoder layers, Q queries, n true boxes of a scene, K classes.
"""
from typing import Dict, Tuple

import numpy as np
import torch
from mmdet3d.registry import TASK_UTILS
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sam3d_plugin.ops import pairwise_giou_3d
from ...store.errors import UserError


@TASK_UTILS.register_module()
class BoxSetAssigner:
    """Hungarian assignment with the costs of 3DETR.

    Args:
        class_cost (float): Weight of minus the probability of the true class.
        objectness_cost (float): Weight of minus the probability of any class.
        center_cost (float): Weight of the L1 distance of the centers, as
            fractions of the scene.
        giou_cost (float): Weight of minus the generalised IoU.
        with_rot (bool): Whether that of the rotated boxes.
    """

    def __init__(self, class_cost: float, objectness_cost: float,
                 center_cost: float, giou_cost: float, with_rot: bool) -> None:
        self.class_cost = class_cost
        self.objectness_cost = objectness_cost
        self.center_cost = center_cost
        self.giou_cost = giou_cost
        self.box_columns = 7 if with_rot else 6

    @torch.no_grad()
    def costs(self, predictions: Dict[str, Tensor],
              targets: Dict[str, Tensor]) -> Tensor:
        """Cost of every query for every true box of a scene.

        Args:
            predictions (Dict[str, Tensor]): ``cls_logits`` (L, Q, K + 1),
                ``boxes`` (L, Q, 7), ``center`` (L, Q, 3).
            targets (Dict[str, Tensor]): ``labels`` (n,), ``boxes`` (n, 7),
                ``center`` (n, 3).

        Returns:
            Tensor: (L, Q, n).
        """
        probability = predictions['cls_logits'].float().softmax(dim=-1)
        cost = -self.class_cost * probability[..., targets['labels']]
        if self.objectness_cost:
            objectness = 1 - probability[..., -1:]
            cost = cost - self.objectness_cost * objectness
        if self.center_cost:
            distance = torch.cdist(
                predictions['center'].float(), targets['center'], p=1)
            cost = cost + self.center_cost * distance
        return cost - self.giou_cost * self.giou(predictions, targets)

    def giou(self, predictions: Dict[str, Tensor],
             targets: Dict[str, Tensor]) -> Tensor:
        """Generalised IoU of every predicted with every true box.

        Args:
            predictions (Dict[str, Tensor]): ``boxes`` (L, Q, 7).
            targets (Dict[str, Tensor]): ``boxes`` (n, 7).

        Returns:
            Tensor: (L, Q, n).
        """
        return pairwise_giou_3d(
            predictions['boxes'][..., :self.box_columns].float(),
            targets['boxes'][:, :self.box_columns])

    def repeats_of(self, layer: int) -> int:
        """How many queries of a layer a true box gets.

        Args:
            layer (int): Counted from 0.

        Returns:
            int: 1.
        """
        return 1

    def assign(self, predictions: Dict[str, Tensor],
               targets: Dict[str, Tensor]) -> Tuple[Tensor, Tensor, Tensor]:
        """Match the true boxes of a scene, separately for every layer.

        Args:
            predictions (Dict[str, Tensor]): As for :meth:`costs`.
            targets (Dict[str, Tensor]): Likewise.

        Returns:
            Tuple[Tensor, Tensor, Tensor]: Layer, query and true box of the
            min(Q, n * repeats) pairs of every layer, int64.

        Raises:
            ValueError: When a cost is not finite.
        """
        costs = self.costs(predictions, targets)
        device = costs.device
        array = costs.cpu().numpy()
        if not np.isfinite(array).all():
            raise UserError('predicted boxes or scores are not finite: the '
                            'training has diverged; lower the learning rate '
                            'or look for bad points with CheckPoints')
        num_boxes = max(1, array.shape[-1])
        pairs = [
            linear_sum_assignment(np.tile(cost, self.repeats_of(i)))
            for i, cost in enumerate(array)
        ]
        queries = np.concatenate([query for query, _ in pairs])
        boxes = np.concatenate([box % num_boxes for _, box in pairs])
        layers = np.repeat(
            np.arange(len(array)), [len(query) for query, _ in pairs])
        layer_ids, query_ids, box_ids = (
            torch.from_numpy(ids).to(device)
            for ids in (layers, queries, boxes))
        return layer_ids, query_ids, box_ids
