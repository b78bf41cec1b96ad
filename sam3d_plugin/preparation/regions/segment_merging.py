"""Merging the segments of a frame or a scan into object-like regions.

Segments that touch are merged, cheapest pair first, as long as what joins
them is cheap enough. What a pair costs is read off sums over the segments'
members, which add up when two are merged.

Shapes: S segments, P pairs of segments that touch.
"""
from dataclasses import dataclass
from typing import Callable, NamedTuple, Tuple

import numpy as np

from ...ops import _graph_kernels as kernels
from ...ops.graph_segmentation import segment_graph


@dataclass(frozen=True)
class Segments:
    """Sums over the members (pixels or points) of S segments."""
    counts: np.ndarray  # (S,) members
    colors: np.ndarray  # (S, 3) sum of Lab
    surfaces: np.ndarray  # (S,) members that have a normal
    # (S, 6) sum of :func:`square_tensors` of their unit normals, which do not
    # depend on the normals' signs
    tensors: np.ndarray
    centers: np.ndarray  # (S, 3) sum of their positions, meters

    def merged(self, labels: np.ndarray, num_labels: int) -> 'Segments':
        """The sums of unions, of which ``labels`` (S,) has the numbers."""

        def add(values: np.ndarray) -> np.ndarray:
            return sum_by_label(values, labels, num_labels)

        return Segments(
            add(self.counts), add(self.colors), add(self.surfaces),
            add(self.tensors), add(self.centers))


class Pairs(NamedTuple):
    """Pairs of segments that touch."""
    first: np.ndarray  # (P,) the segment of lower number
    second: np.ndarray  # (P,) the other one
    lengths: np.ndarray  # (P,) edges between their members
    weights: np.ndarray  # (P,) sum of these edges' weights


@dataclass(frozen=True)
class PairCost:
    """Cost of merging two segments.

    The sum of the contrast along their border, the difference of their mean
    colors, the angle of their mean normals and the offset of their planes,
    times a power of their size that lets small ones go first.
    """
    border: float  # Weight of the mean weight of the edges between them
    color: float  # Weight of the distance of the mean colors in Lab
    turn: float  # Weight of the squared sine of the angle between normals
    # Weight of the sine of the angle at which one center is above the other
    # segment's plane
    offset: float
    size_power: float  # Power of the harmonic mean of the sizes
    unit: float  # Members that have size 1

    def __call__(self, segments: Segments, pairs: Pairs) -> np.ndarray:
        """(P,) costs of pairs, in units of Lab."""
        a, b = pairs.first, pairs.second
        counts = segments.counts
        colors = segments.colors / counts[:, None]
        cost = self.border * pairs.weights / pairs.lengths
        cost += self.color * _length(colors[a] - colors[b])
        cost += self._surface_cost(segments, a, b)
        size = 2 / (1 / counts[a] + 1 / counts[b]) / self.unit
        return cost * size**self.size_power

    def _surface_cost(self, segments: Segments, a: np.ndarray,
                      b: np.ndarray) -> np.ndarray:
        """0 where most of a segment has no normals."""
        surfaces = np.maximum(segments.surfaces, 1)[:, None]
        tensors, centers = segments.tensors / surfaces, segments.centers
        length = np.maximum(_length(tensors), 1e-9)
        turn = 1 - (tensors[a] * tensors[b]).sum(1) / (length[a] * length[b])
        apart = (centers / surfaces)[a] - (centers / surfaces)[b]
        apart /= np.maximum(_length(apart), 1e-6)[:, None]
        directions = square_tensors(apart)
        square = np.maximum((tensors[a] * directions).sum(1),
                            (tensors[b] * directions).sum(1))
        is_surface = 2 * segments.surfaces > segments.counts
        return np.where(is_surface[a] & is_surface[b],
                        self.turn * turn + self.offset * np.sqrt(square), 0)


def square_tensors(vectors: np.ndarray) -> np.ndarray:
    """The outer product of each vector with itself, as six numbers.

    Their scalar product is the square of the vectors' scalar product.

    Args:
        vectors (np.ndarray): (P, 3).

    Returns:
        np.ndarray: (P, 6): the diagonal, then the others times root 2.
    """
    others = vectors * vectors[:, [1, 2, 0]] * vectors.dtype.type(np.sqrt(2))
    return np.concatenate([vectors * vectors, others], axis=1)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors * vectors).sum(1))


def sum_by_label(values: np.ndarray, labels: np.ndarray,
                 num_labels: int) -> np.ndarray:
    """Float64 sums of the rows (P,) or (P, C) of each label."""
    if values.ndim == 1:
        return np.bincount(labels, values, num_labels)
    return kernels.sum_rows(values, labels, num_labels)


def find_pairs(labels: np.ndarray, sources: np.ndarray, targets: np.ndarray,
               weights: np.ndarray) -> Pairs:
    """Pairs of segments that edges join, sorted by their segments.

    ``labels`` (N,) are the segments of the nodes; sources, targets and weights
    (E,) describe the edges.
    """
    borders = kernels.border_edges(labels, sources, targets)
    return _combine(
        Pairs(labels[sources[borders]], labels[targets[borders]],
              np.ones(len(borders)), weights[borders].astype(np.float64)))


def _combine(pairs: Pairs) -> Pairs:
    """Add up pairs that occur several times."""
    low = np.minimum(pairs.first, pairs.second).astype(np.int64)
    high = np.maximum(pairs.first, pairs.second)
    base = int(high.max(initial=0)) + 1
    keys, index = np.unique(low * base + high, return_inverse=True)
    return Pairs(keys // base, keys % base,
                 np.bincount(index, pairs.lengths, len(keys)),
                 np.bincount(index, pairs.weights, len(keys)))


def merge_segments(segments: Segments,
                   pairs: Pairs,
                   cost: Callable[[Segments, Pairs], np.ndarray],
                   threshold: float,
                   min_count: int = 0) -> np.ndarray:
    """Merge segments, cheapest pairs first.

    In every round all pairs merge of which each is the cheapest of both
    segments, equal ones by their order; then costs are computed anew. A pair
    may merge if it costs less than the threshold, or if one of the two has
    fewer than ``min_count`` members.

    Args:
        segments (Segments): S segments.
        pairs (Pairs): Those that touch.
        cost (Callable[[Segments, Pairs], np.ndarray]): Costs (P,) of pairs.
        threshold (float): What merging may cost.
        min_count (int): Smallest segment that has neighbors.

    Returns:
        np.ndarray: (S,) int64 labels 0.. in the order of first segments.
    """
    labels = np.arange(len(segments.counts))
    while len(pairs.first):
        costs = cost(segments, pairs)
        counts = segments.counts
        smaller = np.minimum(counts[pairs.first], counts[pairs.second])
        allowed = np.flatnonzero((costs < threshold) | (smaller < min_count))
        if len(allowed) == 0:
            break
        order = allowed[np.argsort(costs[allowed], kind='stable')]
        step = _join_mutual(pairs.first[order], pairs.second[order],
                            len(counts))
        num_left = int(step.max()) + 1
        labels = step[labels]
        segments = segments.merged(step, num_left)
        first, second = step[pairs.first], step[pairs.second]
        is_left = first != second
        pairs = _combine(
            Pairs(first[is_left], second[is_left], pairs.lengths[is_left],
                  pairs.weights[is_left]))
    return labels


def _join_mutual(first: np.ndarray, second: np.ndarray,
                 num_segments: int) -> np.ndarray:
    """(S,) new labels after joining the pairs (P,), best first, that are the
    best of both of their segments; contiguous, in the order of segments."""
    rank = np.arange(len(first))
    best = np.full(num_segments, len(first))
    np.minimum.at(best, first, rank)
    np.minimum.at(best, second, rank)
    is_mutual = (best[first] == rank) & (best[second] == rank)
    target = np.arange(num_segments)
    target[second[is_mutual]] = first[is_mutual]
    return np.unique(target, return_inverse=True)[1].reshape(-1)


def sum_members(labels: np.ndarray, lab: np.ndarray, xyz: np.ndarray,
                normals: np.ndarray) -> Segments:
    """Sums over the members of each of (N,) labels.

    ``lab``, ``xyz`` (meters) and ``normals`` (0 = none) are (N, 3).
    """
    count = int(labels.max()) + 1
    has_normal = np.flatnonzero(normals.any(axis=1))
    owners = labels[has_normal]
    return Segments(
        counts=np.bincount(labels, minlength=count).astype(np.float64),
        colors=sum_by_label(lab, labels, count),
        surfaces=np.bincount(owners, minlength=count).astype(np.float64),
        tensors=sum_by_label(
            square_tensors(normals[has_normal]), owners, count),
        centers=sum_by_label(xyz[has_normal], owners, count))


def segment_nodes(lab: np.ndarray,
                  xyz: np.ndarray,
                  normals: np.ndarray,
                  edges: Tuple[np.ndarray, np.ndarray, np.ndarray],
                  scale: float,
                  cost: PairCost,
                  threshold: float,
                  min_count: int,
                  steps: int = 1) -> np.ndarray:
    """(N,) int64 labels >= 0 of pixels or points after both stages.

    Edges are sources, targets and weights, which count ``steps`` to a unit
    of ``scale``; see :func:`sum_members` for the nodes.
    """
    sources, targets, weights = edges
    # Small enough not to swallow what the second stage can still place.
    labels = segment_graph(sources, targets, weights, len(lab), scale * steps,
                           max(min_count // 3, 1))
    pairs = find_pairs(labels, sources, targets, weights / np.float32(steps))
    merged = merge_segments(
        sum_members(labels, lab, xyz, normals), pairs, cost, threshold,
        min_count)
    return merged[labels]
