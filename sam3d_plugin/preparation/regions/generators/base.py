"""Interface of region generators, and rules of region maps.

A region map is (H, W) uint16 at the resolution of the color image: 0 = in
no region, ids 1..R contiguous.

Shapes: R regions (here also masks), H W pixels.
"""
import abc
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np

from ....store.errors import FrameError, UserError
from ....store.posed_images import RGBDFrame

MAX_REGIONS = np.iinfo(np.uint16).max

# Which of the masks that cover a pixel gets it.
OVERLAP_RULES = ('smaller', 'larger', 'first', 'last', 'score')


class RegionGenerator(abc.ABC):
    """Finds the regions of frames.

    Instances are pickled into worker processes before they are used: a model
    is loaded at the first call of :meth:`generate`, not in the constructor.

    Attributes:
        name: Name by which :func:`build_generator` knows the generator.
        batch_size: Frames per call of :meth:`generate` that it works best
            with.
        in_process: Whether it must stay in the main process, as models on a
            GPU must.
        needs_depth: Whether it reads depth, pose and cameras. If not, frames
            are given to it with an empty depth image and a pose of NaN, and
            their depth and pose files need not exist.
    """
    name: str
    batch_size: int = 1
    in_process: bool = False
    needs_depth: bool = True

    @abc.abstractmethod
    def settings(self) -> Dict[str, Any]:
        """Settings that determine the maps, as JSON values.

        Models are named with the hash of their checkpoint; no absolute paths.
        """

    def inputs(self, scan: str, frame: str) -> Dict[str, str]:
        """Fingerprints of files that a map is read from, besides the frame."""
        return {}

    @abc.abstractmethod
    def generate(
            self, frames: Sequence[RGBDFrame]
    ) -> List[Union[np.ndarray, FrameError]]:
        """Find the regions of some frames, which may differ in size.

        Returns per frame its region map (H, W) uint16 at the resolution of its
        color image, or why it has none. Errors are returned, so that one bad
        frame does not take its batch with it.
        """


def merge_masks(masks: Sequence[np.ndarray],
                name: str,
                overlap: str = 'smaller',
                scores: Optional[Sequence[float]] = None,
                min_area: int = 1,
                max_area: Optional[int] = None) -> np.ndarray:
    """Merge masks that may overlap into one region map.

    Masks of fewer than ``min_area`` or more than ``max_area`` pixels are
    dropped first. Of those that overlap, one gets the pixel, see ``overlap``.
    Masks of which fewer than ``min_area`` pixels then are visible are dropped
    too, and their pixels go to the next mask below, so that no region is
    smaller than ``min_area`` or larger than ``max_area``.

    Args:
        masks (Sequence[np.ndarray]): R masks (H, W), bool.
        name (str): What to call the frame in errors.
        overlap (str): Who gets a pixel of several masks: the ``'smaller'``
            or ``'larger'`` mask by its own area, the ``'first'`` or
            ``'last'`` in order, or the one of higher ``'score'``. Ties go to
            the lower index.
        scores (Optional[Sequence[float]]): (R,), for ``'score'`` only.
        min_area (int): Smallest region, pixels.
        max_area (Optional[int]): Largest mask, pixels; None sets no limit.

    Returns:
        np.ndarray: (H, W) uint16, ids 1..R in the order of the masks.

    Raises:
        FrameError: When no region is left, or more than 65,535.
    """
    check_areas(min_area, max_area)
    masks = [np.asarray(mask, dtype=bool) for mask in masks]
    areas = np.array([np.count_nonzero(mask) for mask in masks], np.int64)
    is_kept = (areas >= max(min_area, 1))
    if max_area is not None:
        is_kept &= areas <= max_area
    order = [i for i in _painting_order(areas, overlap, scores) if is_kept[i]]
    if not order:
        raise _no_region(name, len(masks), min_area, max_area)
    ids = _paint(masks, order)
    visible = np.bincount(ids.ravel(), minlength=len(masks) + 1)[1:]
    is_kept &= visible >= min_area
    if not is_kept[order].all():
        # What is left only gains pixels, so that once is enough.
        ids = _paint(masks, [i for i in order if is_kept[i]])
    return number_regions(ids, name)


def _painting_order(areas: np.ndarray, overlap: str,
                    scores: Optional[Sequence[float]]) -> List[int]:
    """Indices of masks; a later one covers the earlier ones."""
    if overlap not in OVERLAP_RULES:
        raise UserError(f'overlap rule {overlap!r} is unknown; choose one '
                        f'of {", ".join(OVERLAP_RULES)}')
    if (scores is None) == (overlap == 'score'):
        raise UserError("scores belong to the overlap rule 'score', and to "
                        f'no other; the rule is {overlap!r}')
    index = np.arange(len(areas))
    if scores is not None and len(scores) != len(areas):
        raise UserError(f'{len(scores)} scores for {len(areas)} masks; give '
                        'one for each')
    winners_first = dict(
        smaller=areas,
        larger=-areas,
        first=index,
        last=-index,
        score=index if scores is None else -np.asarray(scores))[overlap]
    return np.lexsort((index, winners_first))[::-1].tolist()


def _paint(masks: Sequence[np.ndarray], order: Sequence[int]) -> np.ndarray:
    """(H, W) int32: index + 1 of the last mask painted on a pixel, or 0."""
    shape = masks[0].shape
    ids = np.zeros(shape, np.int32)
    for index in order:
        if masks[index].shape != shape:
            raise UserError(f'masks differ in size: {masks[index].shape} '
                            f'and {shape}; give all of one image')
        ids[masks[index]] = index + 1
    return ids


def number_regions(ids: np.ndarray,
                   name: str,
                   min_area: int = 1,
                   max_area: Optional[int] = None) -> np.ndarray:
    """Drop regions by area in pixels and number the others 1..R.

    Returns (H, W) uint16, in the order of the former ids; 0 where a region was
    dropped. FrameError when no region is left, or more than 65,535.
    """
    check_areas(min_area, max_area)
    if ids.size and (ids.min() < 0 or ids.max() > ids.size):
        # Numbers so far apart that no table fits them.
        values = ids[ids != 0]
        ids = (ids != 0).astype(np.int64)
        ids[ids != 0] += np.unique(values, return_inverse=True)[1]
    counts = np.bincount(ids.ravel())
    is_kept = counts >= max(min_area, 1)
    if max_area is not None:
        is_kept &= counts <= max_area
    is_kept[:1] = False
    regions = int(is_kept.sum())
    if regions == 0:
        raise _no_region(name, int((counts[1:] > 0).sum()), min_area, max_area)
    if regions > MAX_REGIONS:
        raise FrameError(f'{name} has {regions:,} regions, over the 65,535 '
                         'of a uint16 map; raise the smallest area')
    numbers = np.where(is_kept, np.cumsum(is_kept), 0).astype(np.uint16)
    return numbers[ids]


def check_areas(min_area: int, max_area: Optional[int]) -> None:
    """ValueError unless 0 <= min_area <= max_area."""
    if min_area < 0 or (max_area is not None and max_area < max(min_area, 1)):
        raise UserError(f'min_area={min_area} and max_area={max_area} leave '
                        'no region; give 0 <= min_area <= max_area')


def _no_region(name: str, found: int, min_area: int,
               max_area: Optional[int]) -> FrameError:
    limits = f'{min_area:,} pixels or more'
    if max_area is not None:
        limits = f'{min_area:,} to {max_area:,} pixels'
    return FrameError(f'{name} has no region: {found} found, none of '
                      f'{limits}')
