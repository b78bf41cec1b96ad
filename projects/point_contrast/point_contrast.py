"""PointContrast (Xie et al., ECCV 2020) on the tokens of scene frames.

Shapes: B pairs of frames, S sets, P point pairs, C channels.
"""
from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.models.pretrainers import PointPairPretrainer, PointPairs


@MODELS.register_module()
class PointContrast(PointPairPretrainer):
    """Find a point of one frame among those of another (section 3.3).

    All pairs of a batch are in one set: points of other scenes are negatives
    too, as far as they are in the same process.

    Args:
        min_distance (float): Points of a scene that are nearer to each other
            are not negatives, meters. 0 for the published InfoNCE, where all
            other points are; hardest negatives need it, because the hardest
            one would be the same place.
        **kwargs (Any): See :class:`PointPairPretrainer`.
    """

    def __init__(self, *, min_distance: float = 0., **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_distance = min_distance

    def contrast(self, pairs: PointPairs) -> Tensor:
        """Contrast each point with the others of the batch.

        Args:
            pairs (PointPairs): Of B pairs of frames.

        Returns:
            Tensor: () the loss.
        """
        is_candidate = None
        if self.min_distance > 0:
            distances = torch.cdist(pairs.places, pairs.places)
            is_near = torch.block_diag(*(distances < self.min_distance))
            is_candidate = ~is_near.bool()[None]
        queries, keys, is_pair = (
            values.flatten(0, 1)[None]
            for values in (pairs.queries, pairs.keys, pairs.is_pair))
        return self.pair_loss(queries, keys, is_pair, is_candidate)


@MODELS.register_module()
class HardestContrastiveLoss(nn.Module):
    """Pairs near each other, the most similar other points far away.

    The alternative loss of section 3.3, of fully convolutional geometric
    features (Choy et al., ICCV 2019).

    Args:
        positive_margin (float): Squared distance of features at which a pair
            costs nothing. Defaults to 0.1.
        negative_margin (float): Distance at which others cost nothing.
            Defaults to 1.4.
    """

    def __init__(self,
                 positive_margin: float = 0.1,
                 negative_margin: float = 1.4) -> None:
        super().__init__()
        self.positive_margin = positive_margin
        self.negative_margin = negative_margin

    def forward(self,
                queries: Tensor,
                keys: Tensor,
                is_pair: Tensor,
                is_candidate: Optional[Tensor] = None) -> Tensor:
        """Compute the loss, in float32.

        Args:
            queries (Tensor): (S, P, C), length 1.
            keys (Tensor): (S, P, C), length 1.
            is_pair (Tensor): (S, P) bool, see ``InfoNCELoss``.
            is_candidate (Optional[Tensor]): (S, P, P) bool, the keys that a
                query may be compared with; never its own. None for all.

        Returns:
            Tensor: () mean over the pairs; 0 without pairs.
        """
        with torch.autocast(queries.device.type, enabled=False):
            similarities = queries.float() @ keys.float().transpose(1, 2)
        squared = (2 - 2 * similarities).clamp(min=1e-7)
        own = squared.diagonal(dim1=1, dim2=2)
        is_other = ~torch.eye(
            is_pair.shape[1], dtype=torch.bool, device=is_pair.device)
        is_other = is_other & is_pair[:, None] & is_pair[..., None]
        if is_candidate is not None:
            is_other = is_other & is_candidate
        # Without others, the hardest is infinitely far and costs nothing.
        distances = squared.sqrt().masked_fill(~is_other, torch.inf)
        hardest = distances.amin(2), distances.amin(1)
        losses = F.relu(own - self.positive_margin) + sum(
            F.relu(self.negative_margin - distance).square() / 2
            for distance in hardest)
        losses = losses.masked_fill(~is_pair, 0)
        return losses.sum() / is_pair.sum().clamp(min=1)
