"""Contrast of matched features.

Shapes: S sets, P queries and as many keys of a set, K queued keys, C channels.
"""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from ...store.errors import UserError
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
        mean (str): ``'pairs'``, the mean over all pairs, or ``'sets'``, that
            over the pairs of a set, then over sets, where one without pairs
            counts as 0. Defaults to ``'pairs'``.
    """

    def __init__(self,
                 temperature: float = 0.07,
                 symmetric: bool = False,
                 normalize: bool = True,
                 mean: str = 'pairs') -> None:
        super().__init__()
        if mean not in ('pairs', 'sets'):
            raise UserError(f'mean {mean!r} is unknown; choose pairs or sets')
        self.temperature = temperature
        self.symmetric = symmetric
        self.normalize = normalize
        self.mean = mean

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
            Tensor: () mean over the pairs, see ``mean``; 0 without pairs.
        """
        assert not (self.symmetric and queue is not None)
        if is_pair is None:
            is_pair = queries.new_ones(queries.shape[:2], dtype=torch.bool)
        with torch.autocast(queries.device.type, enabled=False):
            queries, keys = self._scaled(queries), self._scaled(keys)
            extra = None
            if queue is not None:
                extra = (self._scaled(queue.features).T, queue.is_filled)
            loss = self._cross_entropy(queries, keys, is_pair, is_candidate,
                                       labels, extra)
            if self.symmetric:
                candidates, shares = (None if square is None else
                                      square.transpose(1, 2)
                                      for square in (is_candidate, labels))
                loss = (loss + self._cross_entropy(keys, queries, is_pair,
                                                   candidates, shares)) / 2
        return loss

    def _scaled(self, features: Tensor) -> Tensor:
        """Features in float32, of length 1 if that is asked for."""
        features = features.float()
        return F.normalize(features, dim=-1) if self.normalize else features

    def _cross_entropy(
            self,
            queries: Tensor,
            keys: Tensor,
            is_pair: Tensor,
            is_candidate: Optional[Tensor] = None,
            labels: Optional[Tensor] = None,
            extra: Optional[Tuple[Tensor, Tensor]] = None) -> Tensor:
        """Mean () over the queries of pairs; see :meth:`forward`.

        ``extra`` has keys (C, K) of a queue and (K,) bool, which are filled.
        A pass over (S, P, P) costs more than the product of the matrices, so
        the mask of the keys is added in it.
        """
        queries = queries / self.temperature
        own = keys if labels is None else labels @ keys
        # A set without pairs has all its keys: no row becomes NaN, which a
        # gradient of 0 would not hide.
        is_hidden = ~is_pair & is_pair.any(-1, keepdim=True)
        hidden = torch.zeros_like(queries[..., 0]).masked_fill(
            is_hidden, -torch.inf)
        logits = torch.baddbmm(hidden[:, None], queries, keys.transpose(1, 2))
        if is_candidate is not None:
            is_own = torch.eye(
                keys.shape[1], dtype=torch.bool,
                device=keys.device) if labels is None else labels > 0
            is_compared = is_candidate | is_own | ~is_pair[..., None]
            logits = logits.masked_fill(~is_compared, -torch.inf)
        if extra is not None:
            stored, is_filled = extra
            logits = torch.cat(
                (logits,
                 (queries @ stored).masked_fill(~is_filled, -torch.inf)), -1)
        losses = logits.logsumexp(-1) - (queries * own).sum(-1)
        losses = losses.masked_fill(~is_pair, 0)
        if self.mean == 'sets':
            return (losses.sum(-1) / is_pair.sum(-1).clamp(min=1)).mean()
        return losses.sum() / is_pair.sum().clamp(min=1)
