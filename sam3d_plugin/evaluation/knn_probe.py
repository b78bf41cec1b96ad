"""Probe of features by the nearest labeled tokens.

Nothing is trained: a token has the classes of the tokens of other frames whose
frozen features are most like its own.

Shapes: F frames, N points, T tokens, C channels, K classes.
"""
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..store.errors import UserError
from . import linear_probe
from .token_features import TokenFeatures

# Similarities that are in memory at once.
_MAX_PAIRS = 1 << 26


@dataclass(frozen=True)
class NeighborSettings:
    """Settings of the probe; the defaults are DINO's."""
    neighbors: int = 20  # Labeled tokens that vote; all where there are fewer
    # A vote counts exp(cosine similarity / temperature); None counts every
    # vote once
    temperature: Optional[float] = 0.07

    def __post_init__(self) -> None:
        if self.neighbors < 1:
            raise UserError(f'neighbors must be >= 1, got {self.neighbors}')
        if self.temperature is not None and self.temperature <= 0:
            raise UserError('the temperature must be positive, or None, got '
                            f'{self.temperature}')


def probe(train: TokenFeatures, test: TokenFeatures, classes: Sequence[str],
          settings: NeighborSettings) -> Dict[str, Dict[str, Any]]:
    """Classify the test frames' points by the train frames' tokens.

    A point has the votes of its own token (``own``), or those of the three
    nearest ones, interpolated (``three_nn``). Scores have the form of the
    linear probe, by read-out.

    Raises ValueError when no point of one of them is labeled.
    """
    linear_probe.check_labels(train, test)
    features, shares = labelled_tokens(train, len(classes))
    votes = token_votes(features, shares, test.features, settings)
    return {
        read_out: linear_probe.score_points(votes, test, read_out, classes)
        for read_out in linear_probe.READ_OUTS
    }


def labelled_tokens(train: TokenFeatures,
                    num_classes: int) -> Tuple[Tensor, Tensor]:
    """Features (T, C) of tokens with labeled points, their classes (T, K).

    The classes are shares of these points, each row summing to 1.
    """
    counts = linear_probe.class_counts(train, num_classes)
    sums = counts.sum(1)
    is_labelled = sums > 0
    shares = counts[is_labelled] / sums[is_labelled, None]
    return train.features[is_labelled], shares


def token_votes(features: Tensor, shares: Tensor, queries: Tensor,
                settings: NeighborSettings) -> Tensor:
    """Let the nearest tokens (T, C) vote for queries (Q, C) of others.

    ``shares`` (T, K) are their classes; returns (Q, K), each row summing to 1.
    """
    bank = F.normalize(features, dim=1)
    count = min(settings.neighbors, len(bank))
    step = max(1, _MAX_PAIRS // len(bank))
    votes = []
    for chunk in F.normalize(queries, dim=1).split(step):
        similarity, nearest = (chunk @ bank.T).topk(count, dim=1)
        if settings.temperature is None:
            weights = torch.full_like(similarity, 1 / count)
        else:
            weights = (similarity / settings.temperature).softmax(dim=1)
        votes.append(linear_probe.mix_tokens(shares, nearest, weights))
    return torch.cat(votes)
