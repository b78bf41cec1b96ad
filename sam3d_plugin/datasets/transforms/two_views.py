"""Two views of a sample and their point correspondences.

Shapes: V = 2 views, N points of a view, P pairs.
"""
from copy import deepcopy
from typing import Callable, Optional, Sequence, Tuple, Union

import numpy as np
from mmdet3d.registry import TRANSFORMS
from mmengine.dataset import Compose
from scipy.spatial import cKDTree

from ...store.errors import UserError
from ..seeding import sample_generator
from .base import Step


@TRANSFORMS.register_module()
class TwoViews(Step):
    """Run a pipeline twice, each time with random numbers of its own.

    The pipeline may load the points, so that views are two draws of a frame,
    or change those that were loaded. It must end with N points, the same
    number in every view. With ``views`` it runs once for each of them, which
    may be more than two.

    Required Keys:

    - those of ``transforms``
    - views (List[dict], optional): what differs at the start of each view,
      e.g. ``frame`` or ``points``

    Added or Modified Keys:

    - points (List[:obj:`BasePoints`]): of each view, which
      ``PackPretrainInputs`` stacks to (V, N, C)
    - regions (List[:obj:`InstanceData`], optional): of each view, if its
      transforms load them

    Args:
        transforms (Sequence[Union[dict, Callable]]): Steps of a view.
    """

    def __init__(self, transforms: Sequence[Union[dict, Callable]]) -> None:
        self.transforms = Compose(transforms)

    def transform(self, results: dict) -> Optional[dict]:
        """Make the views; None if one of them has no points.

        Raises ValueError when views have different numbers of points.
        """
        views = [
            self.transforms(dict(deepcopy(results), **start))
            for start in results.get('views', ({}, {}))
        ]
        if any(view is None for view in views):
            return None
        points = [view['points'] for view in views]
        lengths = sorted({len(view) for view in points})
        if len(lengths) > 1:
            raise UserError(
                f'views have {lengths[0]} and {lengths[-1]} points: '
                'end the transforms of TwoViews with PointSample')
        results = dict(results, points=points)
        if 'regions' in views[0]:
            results['regions'] = [view['regions'] for view in views]
        return results


def match_points(first: np.ndarray, second: cKDTree,
                 radius: float) -> np.ndarray:
    """Pair each point (N, 3) with the nearest one of a tree of N' points.

    Returns (M, 2) int64 indices into both of pairs that are at most ``radius``
    meters apart, sorted by the first, which occurs at most once.
    """
    distances, nearest = second.query(first, distance_upper_bound=radius)
    found = np.flatnonzero(np.isfinite(distances))
    return np.stack([found, nearest[found]], axis=1)


def draw_pairs(first: np.ndarray, second: np.ndarray, radius: float,
               num_pairs: int, cell: float,
               generator: np.random.Generator) -> np.ndarray:
    """Draw pairs of two sets of points, without searching for all of them.

    Args:
        first (np.ndarray): (N, 3) points, meters.
        second (np.ndarray): (N', 3) points, same frame.
        radius (float): See :func:`match_points`.
        num_pairs (int): Most pairs.
        cell (float): Edge of the cells of which each has one pair at most,
            meters; 0 for any number.
        generator (np.random.Generator): Decides.

    Returns:
        np.ndarray: (M, 2) int64 as of :func:`match_points`, in random order;
        fewer than ``num_pairs`` only if there are no more.
    """
    # Half the time of a balanced tree, which pays off for more queries only.
    tree = cKDTree(second, balanced_tree=False, compact_nodes=False)
    order = generator.permutation(len(first))
    pairs = np.zeros((0, 2), np.int64)
    step = 4 * num_pairs
    for tried in np.split(order, range(step, len(order), step)):
        found = match_points(first[tried], tree, radius)
        found[:, 0] = tried[found[:, 0]]
        pairs = np.concatenate([pairs, found])
        if cell > 0:
            cells = np.floor(first[pairs[:, 0]] / cell)
            _, kept = np.unique(cells, axis=0, return_index=True)
            pairs = pairs[np.sort(kept)]
        if len(pairs) >= num_pairs:
            break
    return pairs[:num_pairs]


@TRANSFORMS.register_module()
class FindCorrespondences(Step):
    """Choose points of two views that were the same place.

    Places are compared in the column ``origin``, which no augmentation
    changes. A sample with too few pairs is named, and replaced and counted by
    the dataset.

    Required Keys:

    - points (List[:obj:`BasePoints`]): of ``TwoViews``, with ``origin``

    Added Keys:

    - pairs (np.ndarray): (P, 2) int64 points of the first and second view
    - is_pair (np.ndarray): (P,) bool, False where pairs ran out; those are
      (0, 0)
    - places (np.ndarray): (P, 3) float32 origins of the first view's points

    Args:
        num_pairs (int): P, drawn without repetition of the first point, which
            is paired with the nearest one of the second view.
        radius (float): Largest distance of a pair, meters.
        min_pairs (int): Fewest pairs of a usable sample.
        cell (float): Edge of the cells of which each has one pair at most,
            so that pairs are spread over what both views see, meters. 0 for
            any number of pairs.
    """

    def __init__(self,
                 num_pairs: int,
                 radius: float,
                 min_pairs: int = 1,
                 cell: float = 0.) -> None:
        if not 1 <= min_pairs <= num_pairs:
            raise UserError(f'FindCorrespondences: min_pairs is {min_pairs}; '
                            f'choose 1 to num_pairs, which is {num_pairs}')
        self.num_pairs = num_pairs
        self.radius = radius
        self.min_pairs = min_pairs
        self.cell = cell

    def transform(self, results: dict) -> Optional[dict]:
        """Find the pairs; None with too few of them.

        Raises ValueError when points do not have the column ``origin``.
        """
        first, second = self._origins(results)
        found = draw_pairs(first, second, self.radius, self.num_pairs,
                           self.cell, sample_generator())
        if len(found) < self.min_pairs:
            self.skip(
                f'{results.get("scan")}/{results.get("frame")}: views share '
                f'{len(found)} points, min_pairs is {self.min_pairs}')
            return None
        pairs = np.zeros((self.num_pairs, 2), np.int64)
        pairs[:len(found)] = found
        results['pairs'] = pairs
        results['is_pair'] = np.arange(self.num_pairs) < len(found)
        results['places'] = first[pairs[:, 0]]
        return results

    @staticmethod
    def _origins(results: dict) -> Tuple[np.ndarray, ...]:
        """(N, 3) origins of the points of each view."""
        columns = [p.attribute_dims or {} for p in results['points']]
        if not all('origin' in names for names in columns):
            raise UserError("FindCorrespondences compares origins: put "
                            "'origin' into the columns of LoadRGBDPoints")
        return tuple(points.tensor[:, names['origin']].numpy()
                     for points, names in zip(results['points'], columns))
