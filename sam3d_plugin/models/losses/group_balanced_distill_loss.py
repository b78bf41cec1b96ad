"""Losses per item, plain and balanced over groups of regions."""
from typing import Any, Dict, Optional, Sequence, Union

import numpy as np
import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.ops.transfer import require
from sam3d_plugin.store.region_groups import balanced_weights
from ...store.errors import UserError

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
            group_ids (Optional[Tensor]): Unused.

        Returns:
            Tensor: (...) one loss per item.

        Raises:
            ValueError: When the loss was reduced over items.
        """
        losses = self.loss(predictions.float(), targets)
        if losses.ndim == predictions.ndim:
            losses = losses.mean(-1)
        if losses.shape != predictions.shape[:-1]:
            raise UserError('the loss of a DistillLoss must keep its items: '
                            "set reduction='none' in its config")
        return losses


@MODELS.register_module()
class GroupBalancedDistillLoss(DistillLoss):
    """Any loss per item, times the weight of the item's group.

    Rare groups weigh more (paper, section 3.3; formula in
    :func:`~sam3d_plugin.store.region_groups.balanced_weights`). Counts come
    from the data set when a training starts, or from a checkpoint; they and
    the weights are buffers, so a checkpoint tells what it was trained with.

    Args:
        normalize (str): ``'paper'``, the weights sum to 1 over groups, so
            that the loss shrinks by about their number, or ``'mean_one'``,
            their mean over all regions is 1. Defaults to ``'paper'``.
        counts (Optional[Sequence[int]]): Regions in each group, without a
            data set. Defaults to None.
        loss (dict): See :class:`DistillLoss`.
    """

    counts: Optional[Tensor]
    weights: Optional[Tensor]

    def __init__(self,
                 normalize: str = 'paper',
                 counts: Optional[Sequence[int]] = None,
                 loss: dict = SMOOTH_L1) -> None:
        super().__init__(loss)
        self.normalize = normalize
        self.register_buffer('counts', None)
        self.register_buffer('weights', None)
        if counts is not None:
            self._set_counts(np.asarray(counts, np.int64))

    def use_metainfo(self, metainfo: dict) -> None:
        """Take the counts of the training data.

        Args:
            metainfo (dict): Of the data set, with ``group_counts``.

        Raises:
            ValueError: When it has none, or others than the loss.
        """
        if 'group_counts' in metainfo:
            self._set_counts(np.asarray(metainfo['group_counts'], np.int64))
        elif self.counts is None:
            raise UserError(
                'GroupBalancedDistillLoss balances groups, and the pipeline '
                'reads none: add LoadRegionTargets with key group_ids, or use '
                'DistillLoss')

    def _set_counts(self, counts: np.ndarray) -> None:
        """Set counts (K,) and the weights that follow from them."""
        if self.counts is not None:
            if self.counts.tolist() == counts.tolist():
                return
            raise UserError(
                f'the loss balances groups of {_listed(self.counts)} regions, '
                f'the new ones have {_listed(counts)}; train with the groups '
                'of the checkpoint, or start without it')
        weights = balanced_weights(counts, self.normalize)
        self.counts = torch.from_numpy(counts)
        self.weights = torch.from_numpy(weights).float()

    def _load_from_state_dict(self, state_dict: Dict[str, Tensor], prefix: str,
                              *args: Any) -> None:
        """Load; counts of a checkpoint are taken, or must be equal."""
        counts = state_dict.get(f'{prefix}counts')
        if counts is not None:
            self._set_counts(counts.cpu().numpy())
        super()._load_from_state_dict(state_dict, prefix, *args)

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
        if group_ids is None or self.weights is None:
            raise UserError(
                'GroupBalancedDistillLoss needs the group of every region and '
                'their counts: add LoadRegionTargets with key group_ids to '
                'the pipeline, or use DistillLoss')
        if self.weights.device != losses.device:  # counts came later
            self.to(losses.device)
        num_groups = len(self.weights)
        require(
            ((group_ids >= 0) & (group_ids < num_groups)).all(),
            lambda: ValueError(
                f'a region is in a group >= {num_groups}, for which the loss '
                'has no weight: load the groups that the counts are of'))
        return losses * self.weights[group_ids]


def _listed(counts: Union[Tensor, np.ndarray]) -> str:
    """The first counts of some groups."""
    first = ', '.join(str(count) for count in counts.tolist()[:4])
    return first + (', ...' if len(counts) > 4 else '')
