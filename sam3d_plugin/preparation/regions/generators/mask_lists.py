"""Masks from JSON files of run lengths, as SAM's tools and SA-1B write them.

A file is a list of annotations, or an object with such a list under
``annotations``. An annotation holds ``segmentation``, COCO's run lengths:
``size`` (height, width) and ``counts``, the lengths of runs of 0 and 1 down
the columns, as numbers or as COCO's compressed text; and ``predicted_iou``
where a score is asked for.

Shapes: R masks, H W pixels.
"""
import json
from typing import Any, List, Tuple

import numpy as np
from PIL import Image

from ....store.errors import FrameError
from ....store.foreign_files import foreign_kind

# COCO's text: five bits of a number per character, the sixth says that more
# follow, offset by this character.
_FIRST_CHARACTER = 48
_MAX_CHARACTERS = 12


def decode_mask_list(
        content: bytes,
        name: str,
        needs_scores: bool = False) -> Tuple[List[np.ndarray], List[float]]:
    """Masks of a JSON file: R masks (H, W) bool of one size, and their
    predicted IoU if ``needs_scores``.

    FrameError when the file is damaged, holds something else, no mask, or
    masks of several sizes.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        kind = foreign_kind(content) or f'not a complete JSON file ({error})'
        raise FrameError(f'{name} is {kind}') from error
    if isinstance(found, dict):
        found = found.get('annotations')
    if not isinstance(found, list) or not all(
            isinstance(entry, dict) for entry in found):
        raise FrameError(f'{name} has no list of annotations, at the top or '
                         'under "annotations"')
    if not found:
        raise FrameError(f'{name} has no mask')
    masks = [
        decode_rle(entry.get('segmentation'), f'{name}, mask {i}')
        for i, entry in enumerate(found)
    ]
    sizes = sorted({mask.shape for mask in masks})
    if len(sizes) > 1:
        raise FrameError(f'{name} holds masks of the sizes {sizes[0]} and '
                         f'{sizes[1]}; give all of one image')
    scores = [entry.get('predicted_iou') for entry in found]
    if needs_scores and not all(
            isinstance(score, (int, float)) and np.isfinite(score)
            for score in scores):
        raise FrameError(f'{name} has masks without predicted_iou; choose '
                         "another overlap rule than 'score'")
    return masks, scores if needs_scores else []


def decode_rle(segmentation: Any, name: str) -> np.ndarray:
    """One mask (H, W) bool, given as COCO's run lengths.

    pycocotools is not asked: from text that ends early it makes a mask of
    whatever lay in memory. FrameError when the runs do not fill the image
    exactly.
    """
    if not isinstance(segmentation, dict):
        raise FrameError(f'{name} is not given as run lengths (RLE) but as '
                         f'{type(segmentation).__name__}; convert it')
    height, width = _read_size(segmentation.get('size'), name)
    counts = segmentation.get('counts')
    if isinstance(counts, str):
        runs = _read_text(counts, name)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        # Numbers beyond int64 would raise.
        runs = np.array(
            [min(max(run, -1), height * width + 1) for run in counts],
            np.int64)
    else:
        raise FrameError(f'{name} has no counts; they are a text or a list of '
                         'integers')
    if (runs < 0).any() or (runs > height *
                            width).any() or (runs.sum() != height * width):
        raise FrameError(f'{name}: its runs do not fill {height} x {width} '
                         'pixels exactly')
    is_inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(is_inside, runs).reshape(width, height).T


def _read_size(size: Any, name: str) -> Tuple[int, int]:
    if (not isinstance(size, list) or len(size) != 2
            or not all(type(side) is int and side > 0 for side in size)):
        raise FrameError(f'{name} has no size; it is [height, width]')
    height, width = size
    # The limit of image files holds for these as well.
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise FrameError(f'{name}: {height} x {width} is not a valid frame '
                         'size')
    return height, width


def _read_text(text: str, name: str) -> np.ndarray:
    """(N,) int64 run lengths of COCO's compressed text.

    From the fourth on, a number is the difference to the one before the last.
    FrameError when it is not such text, or ends early.
    """
    codes = np.array([ord(char) for char in text], np.int64) - _FIRST_CHARACTER
    damaged = FrameError(f'{name}: its compressed counts are damaged')
    if len(codes) == 0 or codes.min() < 0 or codes.max() >= 64:
        raise damaged
    ends = np.flatnonzero((codes & 32) == 0)
    if len(ends) == 0 or ends[-1] != len(codes) - 1:
        raise damaged
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _MAX_CHARACTERS:
        raise damaged
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & 31) << (5 * places), starts)
    is_negative = (codes[ends] & 16) != 0
    numbers[is_negative] -= np.int64(1) << (5 * lengths[is_negative])
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
