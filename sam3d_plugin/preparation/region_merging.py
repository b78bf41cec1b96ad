"""Regions of many frames become regions of the scan (DESIGN 5).

Every frame's ids lie on the same points, those of the scan, so two views see
the same place where both have an id: a point gets one only within the depth
tolerance of a measured surface, which takes the part of SAM3D's 5 cm between
two clouds. Neighbouring frames are merged in pairs, the results again in
pairs, and so on. The regions of two partial results are one if they are
partners, see :class:`MergeOptions`. Where they then still disagree, the
region that more frames have seen there keeps the point.

At any time there are as many partial results as the number of frames has
binary digits, so memory does not grow with a scan's length. No result depends
on how a frame's ids are numbered: ids are renumbered by their lowest point.

Axis legend: N points.
"""
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

COUNTED = ('common', 'whole')
PARTNERS = ('mutual', 'best', 'any')


@dataclass(frozen=True)
class MergeOptions:
    """When regions of two views are one, and what becomes of small ones.

    Args:
        overlap (float): Least share of the smaller region's points that the
            two have in common, above 0 and up to 1.
        counted (str): What the share is of: of the points that have an id
            in both views (``'common'``), or of all points of the smaller
            region (``'whole'``, as SAM3D).
        partners (str): ``'mutual'``: each is the other's largest overlap.
            ``'best'``: it is so for one of them at least. ``'any'``: every
            pair of enough overlap, and what hangs together by pairs.
        min_points (int): Merged regions of fewer points are dissolved.
        absorb_radius (float): Points of dissolved regions join the nearest
            other region within this distance, metres, if there is one; 0
            lets none join.
    """
    overlap: float = 0.5
    counted: str = 'common'
    partners: str = 'mutual'
    min_points: int = 20
    absorb_radius: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise ValueError(f'overlap {self.overlap:g} is no share; give '
                             'one above 0 and up to 1')
        if self.counted not in COUNTED:
            raise ValueError(f'counted {self.counted!r} is unknown; choose '
                             f'from {", ".join(COUNTED)}')
        if self.partners not in PARTNERS:
            raise ValueError(f'partners {self.partners!r} is unknown; choose '
                             f'from {", ".join(PARTNERS)}')
        if self.min_points < 1 or self.absorb_radius < 0:
            raise ValueError('min_points must be at least 1 and '
                             'absorb_radius not negative')


@dataclass(frozen=True)
class _View:
    """What some consecutive frames say together.

    Args:
        ids (np.ndarray): (N,) int32, 0 = in no region, 1..R by lowest point.
        votes (np.ndarray): (N,) int32, by how many frames the id leads.
        level (int): How often it was merged.
    """
    ids: np.ndarray
    votes: np.ndarray
    level: int


def renumber(ids: np.ndarray) -> np.ndarray:
    """Number regions 1..R in the order of their lowest points.

    Args:
        ids (np.ndarray): (N,) integers, 0 = in no region.

    Returns:
        np.ndarray: (N,) int32; the same for every numbering of the regions.
    """
    lowest = np.full(int(ids.max(initial=0)) + 1, len(ids))
    # Of repeated indices the last one written stays.
    lowest[ids[::-1]] = np.arange(len(ids))[::-1]
    lowest[0] = -1
    order = np.argsort(lowest, kind='stable')
    new = np.empty(len(order), np.int32)
    new[order] = np.arange(len(order))
    return new[ids]


def count_common(
        first: np.ndarray,
        second: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many points each pair of regions has in common.

    Args:
        first (np.ndarray): (N,) ids, 0 = in no region.
        second (np.ndarray): (N,) ids of another view.

    Returns:
        Tuple[np.ndarray, np.ndarray, np.ndarray]: For each pair of at least
        one common point its id in ``first``, its id in ``second``, and the
        number of points, sorted by the ids.
    """
    is_common = (first > 0) & (second > 0)
    base = int(second.max(initial=0)) + 1
    keys = first[is_common].astype(np.int64) * base + second[is_common]
    pairs, counts = np.unique(keys, return_counts=True)
    return pairs // base, pairs % base, counts


def find_partners(first: np.ndarray, second: np.ndarray,
                  options: MergeOptions) -> Tuple[np.ndarray, np.ndarray]:
    """Regions of two views that are one.

    Args:
        first (np.ndarray): (N,) int32 ids 1..R, 0 = in no region.
        second (np.ndarray): (N,) int32 ids of another view.
        options (MergeOptions): What makes partners.

    Returns:
        Tuple[np.ndarray, np.ndarray]: Ids in ``first`` and in ``second``.
    """
    a, b, common = count_common(first, second)
    if options.counted == 'common':
        sizes = [np.bincount(side, weights=common) for side in (a, b)]
    else:
        sizes = [np.bincount(ids) for ids in (first, second)]
    if not len(a):
        return a, b
    smaller = np.minimum(sizes[0][a], sizes[1][b])
    is_partner = common >= options.overlap * smaller
    if options.partners != 'any':
        is_best_of_a, is_best_of_b = _is_best(a, common), _is_best(b, common)
        is_partner &= (
            is_best_of_a
            & is_best_of_b if options.partners == 'mutual' else is_best_of_a
            | is_best_of_b)
    return a[is_partner], b[is_partner]


def _is_best(side: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Whether a pair is the largest of its region, the first of equal ones."""
    order = np.lexsort((-common, side))
    starts = np.flatnonzero(np.diff(side[order], prepend=-1))
    is_best = np.zeros(len(side), bool)
    is_best[order[starts]] = True
    return is_best


def _merge_views(first: _View, second: _View, options: MergeOptions) -> _View:
    """One view of two."""
    a, b = find_partners(first.ids, second.ids, options)
    num_first = int(first.ids.max(initial=0)) + 1
    num_all = num_first + int(second.ids.max(initial=0)) + 1
    graph = coo_matrix((np.ones(len(a)), (a, b + num_first)),
                       shape=(num_all, num_all))
    labels = connected_components(graph, directed=False)[1] + 1
    labels[[0, num_first]] = 0
    ids, others = labels[first.ids], labels[num_first:][second.ids]
    agree = ids == others
    is_kept = first.votes >= second.votes
    votes = np.where(agree, first.votes + second.votes,
                     np.abs(first.votes - second.votes))
    ids = np.where(is_kept, ids, others)
    # A tie leaves the earlier region the point, with a vote to lose.
    votes[ids > 0] = np.maximum(votes[ids > 0], 1)
    return _View(renumber(ids), votes, max(first.level, second.level) + 1)


class RegionMerger:
    """Merges frames one after the other, in the order of the recording.

    Args:
        options (MergeOptions): When regions are one.
    """

    def __init__(self, options: Optional[MergeOptions] = None) -> None:
        self.options = options or MergeOptions()
        self._views: List[_View] = []

    def add(self, region_ids: np.ndarray) -> None:
        """Add the next frame.

        Args:
            region_ids (np.ndarray): (N,) ids of the scan's points in this
                frame, 0 = in no region or not seen.
        """
        ids = renumber(region_ids)
        self._views.append(_View(ids, (ids > 0).astype(np.int32), 0))
        while (len(self._views) > 1
               and self._views[-2].level == self._views[-1].level):
            self._merge_last()

    def _merge_last(self) -> None:
        second, first = self._views.pop(), self._views.pop()
        self._views.append(_merge_views(first, second, self.options))

    def result(self, xyz: np.ndarray) -> np.ndarray:
        """The regions of the scan from all frames that were added.

        Args:
            xyz (np.ndarray): (N, 3) points of the scan, metres.

        Returns:
            np.ndarray: (N,) int32 ids 1..R, 0 = in no region.
        """
        if not self._views:
            return np.zeros(len(xyz), np.int32)
        while len(self._views) > 1:
            self._merge_last()
        return dissolve_small(self._views[0].ids, xyz, self.options.min_points,
                              self.options.absorb_radius)


def dissolve_small(ids: np.ndarray, xyz: np.ndarray, min_points: int,
                   absorb_radius: float) -> np.ndarray:
    """Dissolve small regions into their neighbours.

    Args:
        ids (np.ndarray): (N,) int32, 0 = in no region.
        xyz (np.ndarray): (N, 3) points, metres.
        min_points (int): Regions of fewer points are dissolved.
        absorb_radius (float): How far the nearest point of another region
            may be to take a point of them, metres.

    Returns:
        np.ndarray: (N,) int32 ids 1..R; points that no region takes get 0.
    """
    is_large = np.bincount(ids, minlength=1) >= min_points
    is_large[0] = False
    is_kept = is_large[ids]
    result = np.where(is_kept, ids, 0)
    loose = np.flatnonzero((ids > 0) & ~is_kept)
    if absorb_radius > 0 and len(loose) and is_kept.any():
        distance, nearest = cKDTree(xyz[is_kept]).query(
            xyz[loose], distance_upper_bound=absorb_radius)
        is_near = np.isfinite(distance)
        result[loose[is_near]] = ids[is_kept][nearest[is_near]]
    return renumber(result)
