"""Probe of frozen token features by one linear layer.

Shapes: F frames, N points, P points that train, T tokens, C channels, K
classes.
"""
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..store.errors import UserError
from .token_features import TokenFeatures

READ_OUTS = ('own', 'three_nn')


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of the probe."""
    # Weight of half the squared weights (not biases) beside the mean cross
    # entropy of a point
    l2: float = 1e-4
    max_iterations: int = 100  # Of L-BFGS
    # Points of each frame that train the ``three_nn`` layer; the ``own`` layer
    # trains on all
    points_per_frame: int = 512
    seed: int = 0  # Which points these are


class LinearLayer(NamedTuple):
    """A layer on standardized features."""
    mean: Tensor  # (C,) of the features that trained it
    std: Tensor  # (C,) of these; 1 where a channel is constant
    weight: Tensor  # (C, K)
    bias: Tensor  # (K,)

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (T, K) of features (T, C)."""
        return (features - self.mean) / self.std @ self.weight + self.bias


def probe(train: TokenFeatures, test: TokenFeatures, classes: Sequence[str],
          settings: ProbeSettings) -> Dict[str, Dict[str, Any]]:
    """Train and test both read-outs; :func:`scores` by read-out.

    With ``miou_rare``, of the :func:`rarest_third` by labeled points of the
    frames that train. Raises ValueError when no point of one is labeled.
    """
    check_labels(train, test)
    labels = train.labels[train.labels >= 0]
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    results = {}
    for read_out in READ_OUTS:
        layer = fit(train, read_out, len(classes), settings)
        found = score_points(layer(test.features), test, read_out, classes)
        rare = rarest_third(
            {name: counts[classes.index(name)]
             for name in found['classes']})
        found['miou_rare'] = sum(found['classes'][name]['iou']
                                 for name in rare) / len(rare)
        results[read_out] = found
    return results


def rarest_third(counts: Mapping[str, float]) -> List[str]:
    """Names of the third of the classes with the lowest counts.

    Rounded down, but at least one; of equal counts the earlier.
    """
    ordered = sorted(counts, key=lambda name: counts[name])
    return ordered[:max(1, len(ordered) // 3)]


def fit(train: TokenFeatures, read_out: str, num_classes: int,
        settings: ProbeSettings) -> LinearLayer:
    """Train the layer of a read-out: the minimum of a convex loss.

    The points of a token have the same ``own`` feature, so their loss is that
    of the token with its histogram of classes, exactly. Interpolating logits
    with weights that sum to 1 is the same as interpolating features.
    """
    if read_out == 'own':
        counts = class_counts(train, num_classes)
        return fit_layer(train.features, counts, settings)
    chosen = choose_points(train.labels, settings)
    labels = train.labels.reshape(-1)[chosen]
    return fit_layer(train.features,
                     F.one_hot(labels, num_classes).float(), settings,
                     train.nearest.reshape(-1, 3)[chosen],
                     train.weights.reshape(-1, 3)[chosen])


def class_counts(train: TokenFeatures, num_classes: int) -> Tensor:
    """(T, K) number of each token's own points in each class."""
    is_labelled = train.labels >= 0
    cells = train.own[is_labelled] * num_classes + train.labels[is_labelled]
    num_cells = len(train.features) * num_classes
    counts = torch.bincount(cells, minlength=num_cells)
    return counts.reshape(-1, num_classes).float()


def choose_points(labels: Tensor, settings: ProbeSettings) -> Tensor:
    """Draw the labeled points that train an interpolating layer.

    Labels are (F, N), -1 = unlabeled; returns (P,) sorted indices into the F *
    N points.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.rand(labels.shape, generator=generator).to(labels.device)
    order[labels < 0] = 2
    count = min(settings.points_per_frame, labels.shape[1])
    chosen = order.topk(count, dim=1, largest=False).indices
    is_chosen = torch.zeros_like(labels, dtype=torch.bool)
    is_chosen.scatter_(1, chosen, True)
    return torch.nonzero((is_chosen & (labels >= 0)).reshape(-1))[:, 0]


def fit_layer(features: Tensor,
              counts: Tensor,
              settings: ProbeSettings,
              nearest: Optional[Tensor] = None,
              weights: Optional[Tensor] = None) -> LinearLayer:
    """Minimize cross entropy by L-BFGS over all tokens (T, C) at once.

    ``counts`` says how often a token (T, K), or a point (P, K), counts in each
    class. Points read the tokens ``nearest`` (P, 3) with ``weights`` (P, 3).
    """
    std, mean = torch.std_mean(features, dim=0, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    inputs = (features - mean) / std
    shape = features.shape[1], counts.shape[1]
    weight = inputs.new_zeros(shape).requires_grad_()
    bias = inputs.new_zeros(shape[1]).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias],
                                  max_iter=settings.max_iterations,
                                  tolerance_grad=1e-6,
                                  line_search_fn='strong_wolfe')
    total = counts.sum()

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = mix_tokens(inputs @ weight + bias, nearest, weights)
        entropy = -(counts * logits.log_softmax(1)).sum() / total
        loss = entropy + settings.l2 / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return LinearLayer(mean, std, weight.detach(), bias.detach())


def mix_tokens(values: Tensor, nearest: Optional[Tensor],
               weights: Optional[Tensor]) -> Tensor:
    """Token scores (T, K), interpolated at points: (P, K).

    Without the tokens ``nearest`` (P, 3) and their ``weights`` (P, 3), as
    given.
    """
    if nearest is None:
        return values
    return F.embedding_bag(
        nearest, values, per_sample_weights=weights, mode='sum')


def classify_points(values: Tensor, test: TokenFeatures,
                    read_out: str) -> Tensor:
    """(F, N) the class with the highest score among a point's tokens.

    ``values`` (T, K) says how much each token speaks for a class.
    """
    if read_out == 'own':
        return values.argmax(1)[test.own]
    return torch.stack([
        mix_tokens(values, nearest, weights).argmax(1)
        for nearest, weights in zip(test.nearest, test.weights)
    ])


def score_points(values: Tensor, test: TokenFeatures, read_out: str,
                 classes: Sequence[str]) -> Dict[str, Any]:
    """:func:`scores` of the classes that token values (T, K) give points."""
    predictions = classify_points(values, test, read_out)
    return scores(confusion(test.labels, predictions, len(classes)), classes)


def check_labels(train: TokenFeatures, test: TokenFeatures) -> None:
    """Refuse frames of which no point is labeled.

    Raises ValueError when no point of one of them is labeled.
    """
    for name, part in (('train', train), ('test', test)):
        if not (part.labels >= 0).any():
            raise UserError(f'no point of the {name} frames is labeled: name '
                            'other scans')


def confusion(labels: Tensor, predictions: Tensor, num_classes: int) -> Tensor:
    """(K, K) labeled points (-1 = unlabeled), a row per true class."""
    is_labelled = labels >= 0
    cells = labels[is_labelled] * num_classes + predictions[is_labelled]
    return torch.bincount(
        cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def scores(matrix: Tensor, classes: Sequence[str]) -> Dict[str, Any]:
    """Intersection over union and accuracy, over classes that occur.

    Args:
        matrix (Tensor): (K, K), see :func:`confusion`.
        classes (Sequence[str]): Names of the classes.

    Returns:
        Dict[str, Any]: ``miou`` and ``macc``, from 0 to 1, and ``classes``
        with ``iou``, ``acc`` and ``points`` of each that occurs.
    """
    counts = matrix.double().cpu()
    hits, truth, found = counts.diag(), counts.sum(1), counts.sum(0)
    per_class = {
        name:
        dict(
            iou=float(hits[i] / (truth[i] + found[i] - hits[i])),
            acc=float(hits[i] / truth[i]),
            points=int(truth[i]))
        for i, name in enumerate(classes) if truth[i] > 0
    }
    return dict(
        miou=sum(c['iou'] for c in per_class.values()) / len(per_class),
        macc=sum(c['acc'] for c in per_class.values()) / len(per_class),
        classes=per_class)
