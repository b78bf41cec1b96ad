"""Placing captions in a picture so that none covers another.

Units: display pixels of a matplotlib figure, x right, y up.
"""
from typing import List, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

_FONT_POINTS = 6


def _candidates(size: np.ndarray) -> np.ndarray:
    """Return offsets of a caption from its anchor, (K, 2), nearest first."""
    steps = np.mgrid[-6:7, -8:9].reshape(2, -1).T[:, ::-1]
    # Half a width sideways and a full height up or down at a time.
    offsets = steps * size * (0.5, 1.0)
    return offsets[np.argsort(np.square(offsets).sum(axis=1), kind='stable')]


def place_captions(anchors: np.ndarray, sizes: np.ndarray,
                   area: Tuple[float, float, float, float]) -> np.ndarray:
    """Choose a free place near its anchor for each caption.

    Captions are placed in the given order; an earlier one keeps its place.

    Args:
        anchors (np.ndarray): (M, 2) points that the captions belong to.
        sizes (np.ndarray): (M, 2) their width and height.
        area (Tuple[float, float, float, float]): Left, bottom, right and
            top of the picture; captions stay inside.

    Returns:
        np.ndarray: (M, 2) centres. A caption without any free place takes
        the one that covers least of the earlier ones.
    """
    centers = np.zeros((len(anchors), 2))
    low, high = np.array(area[:2]), np.array(area[2:])
    for i, (anchor, size) in enumerate(zip(anchors, sizes)):
        options = anchor + _candidates(size)
        options = options.clip(low + size / 2, high - size / 2)
        reach = (size + sizes[:i]) / 2
        overlap = reach[None] - 1e-6 - np.abs(options[:, None] -
                                              centers[None, :i])
        covered = overlap.clip(min=0).prod(axis=2).sum(axis=1)
        centers[i] = options[covered.argmin()]
    return centers


def draw_captions(axes: Axes, anchors: np.ndarray, texts: Sequence[str],
                  colors: Sequence[str]) -> List[Annotation]:
    """Write captions beside boxes, each on a white plate.

    Args:
        axes (Axes): Panel of the picture, its limits already set.
        anchors (np.ndarray): (M, 2) points in data coordinates.
        texts (Sequence[str]): M captions, the most important first.
        colors (Sequence[str]): M colours.

    Returns:
        List[Annotation]: The captions drawn.
    """
    plate = dict(boxstyle='round,pad=0.15', fc='white', alpha=0.85, lw=0.4)
    captions = [
        axes.annotate(
            text,
            anchor,
            ha='center',
            va='center',
            color=color,
            fontsize=_FONT_POINTS,
            zorder=10,
            bbox=dict(plate, ec=color),
            arrowprops=dict(
                arrowstyle='-', color=color, lw=0.5, shrinkA=0, shrinkB=0))
        for anchor, text, color in zip(anchors, texts, colors)
    ]
    if not captions:
        return captions
    extents = [text.get_window_extent() for text in captions]
    sizes = np.array([(box.width, box.height) for box in extents])
    pixels = axes.transData.transform(anchors)
    plate_border = 0.4 * _FONT_POINTS * axes.figure.dpi / 72
    centers = place_captions(pixels, sizes + plate_border, axes.bbox.extents)
    for caption, center in zip(captions, centers):
        x, y = axes.transData.inverted().transform(center)
        caption.set_position((x, y))
    return captions
