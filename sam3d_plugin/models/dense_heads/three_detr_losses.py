"""The set losses of 3DETR, on every decoder layer at once.

Axes: L decoder layers, B scenes, Q queries, P matched pairs of all layers and
scenes, K classes.
"""
from typing import Dict, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3d_plugin.ops import paired_giou_3d


class MatchedPairs(NamedTuple):
    """Where the matched predictions are, each (P,) int64."""

    layers: Tensor  # Decoder layer
    scenes: Tensor  # Scene of the batch
    queries: Tensor  # Query of the scene
    boxes: Tensor  # True box, counted through all scenes

    def pick(self, values: Tensor) -> Tensor:
        """Rows of the matched predictions.

        Args:
            values (Tensor): (L, B, Q, ...).

        Returns:
            Tensor: (P, ...).
        """
        return values[self.layers, self.scenes, self.queries]


def classification_loss(logits: Tensor, labels: Tensor, pairs: MatchedPairs,
                        no_object_weight: float) -> Tensor:
    """Cross-entropy of all queries; unmatched ones are "no object".

    Args:
        logits (Tensor): (L, B, Q, K + 1), the last for "no object".
        labels (Tensor): Classes of the true boxes of all scenes.
        pairs (MatchedPairs): The assignment.
        no_object_weight (float): Weight of that class; the others have 1.

    Returns:
        Tensor: (L,) weighted means over the queries of a layer.
    """
    num_classes = logits.shape[-1] - 1
    targets = torch.full(
        logits.shape[:3], num_classes, dtype=torch.long, device=logits.device)
    targets[pairs.layers, pairs.scenes, pairs.queries] = labels[pairs.boxes]
    weights = logits.new_ones(num_classes + 1)
    weights[-1] = no_object_weight
    losses = F.cross_entropy(
        logits.permute(0, 3, 1, 2), targets, weights, reduction='none')
    return losses.sum(dim=(1, 2)) / weights[targets].sum(dim=(1, 2))


def box_losses(predictions: Dict[str, Tensor], targets: Dict[str, Tensor],
               pairs: MatchedPairs, with_rot: bool,
               with_giou: bool) -> Dict[str, Tensor]:
    """Losses of the matched boxes.

    Args:
        predictions (Dict[str, Tensor]): ``boxes`` (L, B, Q, 7), ``center``,
            ``size`` (L, B, Q, 3), ``dir_class``, ``dir_res``
            (L, B, Q, bins).
        targets (Dict[str, Tensor]): The same of all true boxes, with
            ``dir_class`` and ``dir_res`` of the true class alone.
        pairs (MatchedPairs): The assignment.
        with_rot (bool): Whether the generalised IoU is that of the rotated
            boxes.
        with_giou (bool): Whether to compute that loss at all.

    Returns:
        Dict[str, Tensor]: (P,) each: ``center`` and ``size``, L1 over the
        three axes; ``dir_class``, cross-entropy; ``dir_res``, smooth L1 of
        the true class; ``giou``, 1 - generalised IoU.
    """
    chosen = {name: targets[name][pairs.boxes] for name in targets}
    dir_class = chosen['dir_class']
    dir_res = pairs.pick(predictions['dir_res'])
    losses = dict(
        center=(pairs.pick(predictions['center']) -
                chosen['center']).abs().sum(dim=-1),
        size=(pairs.pick(predictions['size']) -
              chosen['size']).abs().sum(dim=-1),
        dir_class=F.cross_entropy(
            pairs.pick(predictions['dir_class']), dir_class, reduction='none'),
        dir_res=F.smooth_l1_loss(
            dir_res.gather(1, dir_class[:, None])[:, 0],
            chosen['dir_res'],
            reduction='none'))
    if with_giou:
        columns = 7 if with_rot else 6
        losses['giou'] = 1 - paired_giou_3d(
            pairs.pick(predictions['boxes'])[:, :columns].float(),
            chosen['boxes'][:, :columns])
    return losses


def sum_by_layer(values: Tensor, layers: Tensor, num_layers: int) -> Tensor:
    """Sums of the pairs of each layer.

    Args:
        values (Tensor): (P,).
        layers (Tensor): (P,) int64.
        num_layers (int): L.

    Returns:
        Tensor: (L,).
    """
    return values.new_zeros(num_layers).index_add(0, layers, values)
