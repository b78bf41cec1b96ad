"""Contrast of matched features.

Shapes: S sets, P queries and as many keys of a set, K queued keys, C channels.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from .feature_queue import QueuedKeys


@MODELS.register_module()
class InfoNCELoss(nn.Module):
    """Each query must find its own key among all keys of its set.

    A cross entropy over similarities, in float32 (van den Oord et al.,
    2018). Query ``i`` belongs to key ``i``.

    Args:
        temperature (float): Divides the similarities. Defaults to 0.07.
        symmetric (bool): Whether keys look for their queries too; the loss
            is the mean of both directions. Defaults to False.
        normalize (bool): Whether features are scaled to length 1, so that
            similarities are cosines. Defaults to True.
    """

    def __init__(self,
                 temperature: float = 0.07,
                 symmetric: bool = False,
                 normalize: bool = True) -> None:
        super().__init__()
        self.temperature = temperature
        self.symmetric = symmetric
        self.normalize = normalize

    def forward(self,
                queries: Tensor,
                keys: Tensor,
                is_pair: Optional[Tensor] = None,
                is_candidate: Optional[Tensor] = None,
                labels: Optional[Tensor] = None,
                queue: Optional[QueuedKeys] = None) -> Tensor:
        """Compute the loss.

        Args:
            queries (Tensor): (S, P, C). With all pairs of a batch in one
                set, S = 1, scenes are contrasted with each other.
            keys (Tensor): (S, P, C).
            is_pair (Optional[Tensor]): (S, P) bool, False for pairs that
                fill up a set: they are neither queries nor candidates.
            is_candidate (Optional[Tensor]): (S, P, P) bool, the keys that a
                query is compared with besides its own.
            labels (Optional[Tensor]): (S, P, P), the share of each key in a
                query, sums to 1. By default a query belongs to one key.
            queue (Optional[QueuedKeys]): Further keys, which belong to no
                query. Not for a symmetric loss.

        Returns:
            Tensor: () mean over the pairs; 0 without pairs.
        """
        assert not (self.symmetric and queue is not None)
        queries, keys = queries.float(), keys.float()
        if self.normalize:
            queries, keys = F.normalize(
                queries, dim=-1), F.normalize(
                    keys, dim=-1)
        if is_pair is None:
            is_pair = queries.new_ones(queries.shape[:2], dtype=torch.bool)
        own = torch.eye(keys.shape[1], device=keys.device)
        labels = own.expand(len(keys), -1, -1) if labels is None else labels
        is_compared = is_pair[:, None, :].expand_as(labels)
        if is_candidate is not None:
            is_compared = is_compared & (is_candidate | (labels > 0))
        similarities = queries @ keys.transpose(1, 2) / self.temperature
        extra = None
        if queue is not None:
            stored = queue.features.float()
            if self.normalize:
                stored = F.normalize(stored, dim=-1)
            extra = (queries @ stored.T / self.temperature).masked_fill(
                ~queue.is_filled, -torch.inf)
        loss = _cross_entropy(similarities, labels, is_compared, is_pair,
                              extra)
        if self.symmetric:
            loss = (loss + _cross_entropy(
                similarities.transpose(1, 2), labels.transpose(1, 2),
                is_compared.transpose(1, 2) & is_pair[:, None, :],
                is_pair)) / 2
        return loss


def _cross_entropy(similarities: Tensor,
                   labels: Tensor,
                   is_compared: Tensor,
                   is_pair: Tensor,
                   extra: Optional[Tensor] = None) -> Tensor:
    """Mean cross entropy (), over rows that are pairs, of (S, P, P)."""
    # A row without candidates must not become NaN, which 0 would not hide.
    logits = similarities.masked_fill(~is_compared, -torch.inf)
    logits = logits.masked_fill(~is_pair[..., None], 0)
    if extra is not None:
        logits = torch.cat((logits, extra), dim=-1)
    expected = (similarities * labels).sum(-1)
    losses = (logits.logsumexp(-1) - expected).masked_fill(~is_pair, 0)
    return losses.sum() / is_pair.sum().clamp(min=1)
