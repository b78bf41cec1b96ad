"""Merging of frame regions into scan regions (docs/method.md, "Whole scans").

Every frame's ids refer to the same points, those of the scan, so two views see
the same place where both have an id: a point gets one only within the depth
tolerance of a measured surface, which takes the part of SAM3D's 5 cm between
two clouds. Neighboring frames are merged in pairs, the results again in
pairs, and so on. The regions of two partial results become one when they
overlap enough, see :class:`MergeOptions`. Where they then still disagree, the
region that more frames have seen there keeps the point.

There are as many partial results at a time as the number of frames has binary
digits, so memory hardly grows with the length of a recording. No result
depends on how a frame's ids are numbered: they are renumbered by their lowest
point.

Shapes: N points, R regions, F frames.
"""
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np
from scipy.spatial import cKDTree

from ...store.errors import UserError

COUNTED = ('common', 'whole')


@dataclass(frozen=True)
class MergeOptions:
    """When regions of two views are one, and what becomes of small ones.

    Args:
        overlap (float): Least share of the smaller region's points that the
            two have in common, above 0 and up to 1.
        counted (str): What the share is of: of the points that have an id
            in both views (``'common'``), or of all points of the smaller
            region (``'whole'``, as SAM3D).
        keep_apart (bool): Whether two regions that a single frame shows as
            two stay two. Pairs are taken in the order of their common
            points, so that of two pieces the larger one is found first.
        min_points (int): Merged regions of fewer points are dissolved.
        absorb_radius (float): Points of dissolved regions join the nearest
            other region within this distance, meters, if there is one; 0
            lets none join.
    """
    overlap: float = 0.5
    counted: str = 'common'
    keep_apart: bool = True
    min_points: int = 20
    absorb_radius: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise UserError(f'invalid overlap {self.overlap:g}: must be '
                            'above 0 and at most 1')
        if self.counted not in COUNTED:
            raise UserError(f'counted {self.counted!r} is unknown; choose '
                            f'from {", ".join(COUNTED)}')
        if self.min_points < 1 or self.absorb_radius < 0:
            raise UserError('min_points must be at least 1 and '
                            'absorb_radius not negative')


@dataclass(frozen=True)
class _View:
    """Partial result of some consecutive frames."""
    ids: np.ndarray  # (N,) int32, 0 = in no region, 1..R by lowest point
    votes: np.ndarray  # (N,) int32, by how many frames the id leads
    is_shown: np.ndarray  # (R + 1, F) bool, which frames show a region
    level: int  # How often it was merged

    @classmethod
    def of_frame(cls, region_ids: np.ndarray) -> '_View':
        """View of a single frame."""
        ids = renumber(region_ids)
        is_shown = np.ones((int(ids.max(initial=0)) + 1, 1), bool)
        is_shown[0] = False
        return cls(ids, (ids > 0).astype(np.int32), is_shown, 0)


def renumber(ids: np.ndarray) -> np.ndarray:
    """Number (N,) regions 1..R, int32, in the order of their lowest points."""
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
    """Number of points that each pair of regions shares.

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


def find_overlaps(first: np.ndarray, second: np.ndarray,
                  options: MergeOptions) -> Tuple[np.ndarray, np.ndarray]:
    """Regions of two views that overlap enough to be one.

    Args:
        first (np.ndarray): (N,) int32 ids 1..R, 0 = in no region.
        second (np.ndarray): (N,) int32 ids of another view.
        options (MergeOptions): How much is enough.

    Returns:
        Tuple[np.ndarray, np.ndarray]: Ids in ``first`` and in ``second``,
        pairs of most common points first, of equal ones by the ids.
    """
    a, b, common = count_common(first, second)
    if not len(a):
        return a, b
    if options.counted == 'common':
        sizes = [np.bincount(side, weights=common) for side in (a, b)]
    else:
        sizes = [np.bincount(ids) for ids in (first, second)]
    smaller = np.minimum(sizes[0][a], sizes[1][b])
    enough = np.flatnonzero(common >= options.overlap * smaller)
    order = enough[np.argsort(-common[enough], kind='stable')]
    return a[order], b[order]


def _join(a: np.ndarray, b: np.ndarray, is_shown: np.ndarray,
          keep_apart: bool) -> np.ndarray:
    """(R,) lowest row that each is joined with, after joining pairs (P,) of
    rows of ``is_shown`` (R, F) in order; these rows are joined in place."""
    parents = np.arange(len(is_shown))

    def root(row: int) -> int:
        while parents[row] != row:
            row = parents[row]
        return row

    for one, other in zip(a, b):
        low, high = sorted((root(one), root(other)))
        if low == high:
            continue
        if keep_apart and (is_shown[low] & is_shown[high]).any():
            continue
        parents[high] = low
        is_shown[low] |= is_shown[high]
    return np.array([root(row) for row in parents])


def _merge_views(first: _View, second: _View, options: MergeOptions) -> _View:
    """One view of two."""
    a, b = find_overlaps(first.ids, second.ids, options)
    rows, frames = first.is_shown.shape
    is_shown = np.zeros(
        (rows + len(second.is_shown), frames + second.is_shown.shape[1]), bool)
    is_shown[:rows, :frames] = first.is_shown
    is_shown[rows:, frames:] = second.is_shown
    joined = _join(a, b + rows, is_shown, options.keep_apart)
    joined[rows] = 0
    ids, others = joined[first.ids], joined[rows:][second.ids]
    is_kept = first.votes >= second.votes
    votes = np.where(ids == others, first.votes + second.votes,
                     np.abs(first.votes - second.votes))
    ids = np.where(is_kept, ids, others)
    # A tie leaves the earlier region the point, with a vote to lose.
    votes[ids > 0] = np.maximum(votes[ids > 0], 1)
    new = renumber(ids)
    old = np.zeros(int(new.max(initial=0)) + 1, np.int64)
    old[new] = ids
    return _View(new, votes, is_shown[old], max(first.level, second.level) + 1)


class RegionMerger:
    """Merges frames one after the other, in the order of the recording.

    Args:
        options (Optional[MergeOptions]): When regions are one.
    """

    def __init__(self, options: Optional[MergeOptions] = None) -> None:
        self.options = options or MergeOptions()
        self._views: List[_View] = []

    def add(self, region_ids: np.ndarray) -> None:
        """Add the (N,) ids of the scan's points in the next frame, 0 = in no
        region or not seen."""
        self._views.append(_View.of_frame(region_ids))
        while (len(self._views) > 1
               and self._views[-2].level == self._views[-1].level):
            self._merge_last()

    def _merge_last(self) -> None:
        second, first = self._views.pop(), self._views.pop()
        self._views.append(_merge_views(first, second, self.options))

    def result(self, xyz: np.ndarray) -> np.ndarray:
        """The regions of the scan from all frames that were added.

        Args:
            xyz (np.ndarray): (N, 3) points of the scan, meters.

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
    """Dissolve small regions into their neighbors.

    Args:
        ids (np.ndarray): (N,) int32, 0 = in no region.
        xyz (np.ndarray): (N, 3) points, meters.
        min_points (int): Regions of fewer points are dissolved.
        absorb_radius (float): How far the nearest point of another region
            may be to take a point of them, meters.

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
