"""Losses per item, plain and balanced over groups of regions."""
from typing import Optional, Sequence

import numpy as np
import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.ops.transfer import require
from sam3d_plugin.store.files import BackendArgs
from sam3d_plugin.store.region_groups import RegionGroups, balanced_weights

SMOOTH_L1 = dict(type='mmdet.SmoothL1Loss', beta=1.0, reduction='none')


@MODELS.register_module()
class DistillLoss(nn.Module):
    """One loss per item: an elementwise loss, averaged over channels.

    Args:
        loss (dict): Config of a loss that reduces nothing, over (..., C)
            predictions. Defaults to smooth-L1 with beta 1.
    """

    def __init__(self, loss: dict = SMOOTH_L1) -> None:
        super().__init__()
        self.loss = MODELS.build(loss)

    def forward(self,
                predictions: Tensor,
                targets: Tensor,
                group_ids: Optional[Tensor] = None) -> Tensor:
        """Compare predictions with targets, in float32.

        Args:
            predictions (Tensor): (..., C).
            targets (Tensor): (..., C), or what the loss compares with.
            group_ids (Optional[Tensor]): Not looked at.

        Returns:
            Tensor: (...) one loss per item.

        Raises:
            ValueError: When the loss was reduced over items.
        """
        losses = self.loss(predictions.float(), targets)
        if losses.ndim == predictions.ndim:
            losses = losses.mean(-1)
        if losses.shape != predictions.shape[:-1]:
            raise ValueError('the loss of a DistillLoss must keep its items: '
                             "set reduction='none' in its config")
        return losses


@MODELS.register_module()
class GroupBalancedDistillLoss(DistillLoss):
    """Any loss per item, times the weight of the item's group.

    Rare groups weigh more (paper, section 3.3; formula in
    :func:`~sam3d_plugin.store.region_groups.balanced_weights`). Counts and
    weights are buffers, so a checkpoint tells what it was trained with.

    Args:
        groups (Optional[str]): The folder ``region_groups/<set>`` that
            build_groups.py made.
        counts (Optional[Sequence[int]]): Regions in each group, instead of
            ``groups``.
        normalize (str): ``'paper'``, the weights sum to 1 over groups, so
            that the loss shrinks by about their number, or ``'mean_one'``,
            their mean over all regions is 1. Defaults to ``'paper'``.
        loss (dict): See :class:`DistillLoss`.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    counts: Tensor
    weights: Tensor

    def __init__(self,
                 groups: Optional[str] = None,
                 counts: Optional[Sequence[int]] = None,
                 normalize: str = 'paper',
                 loss: dict = SMOOTH_L1,
                 backend_args: BackendArgs = None) -> None:
        super().__init__(loss)
        if (groups is None) == (counts is None):
            raise ValueError('GroupBalancedDistillLoss takes either groups, '
                             'a folder that build_groups.py made, or counts')
        if groups is not None:
            numbers = RegionGroups(groups, backend_args).groups().counts
        else:
            numbers = np.asarray(counts, np.int64)
        weights = balanced_weights(numbers, normalize)
        self.register_buffer('counts', torch.from_numpy(numbers.copy()))
        self.register_buffer('weights', torch.from_numpy(weights).float())

    def forward(self,
                predictions: Tensor,
                targets: Tensor,
                group_ids: Optional[Tensor] = None) -> Tensor:
        """Compare predictions with targets and weigh by group.

        Args:
            predictions (Tensor): (..., C).
            targets (Tensor): (..., C), or what the loss compares with.
            group_ids (Optional[Tensor]): (...) int64 group of each item.

        Returns:
            Tensor: (...) one loss per item.

        Raises:
            ValueError: Without groups, or with a group that has no weight.
        """
        losses = super().forward(predictions, targets)
        if group_ids is None:
            raise ValueError(
                'GroupBalancedDistillLoss needs the group of every region: '
                'run tools/preparation/build_groups.py and name its folder '
                'in the dataset, or use DistillLoss')
        num_groups = len(self.weights)
        require(
            ((group_ids >= 0) & (group_ids < num_groups)).all(),
            lambda: ValueError(
                f'a region is in a group >= {num_groups}, for which the loss '
                'has no weight: point the dataset and the loss at the same '
                'region_groups folder'))
        return losses * self.weights[group_ids]
