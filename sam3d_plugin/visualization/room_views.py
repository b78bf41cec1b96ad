"""One view of a room as an array: points, and boxes in colours of classes.

Axes: N points, M boxes, H W pixels. Points in metres, z up.
"""
from typing import List, Mapping, Optional, Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .boxes import LabelledBoxes
from .camera import perspective_camera
from .points import prepare_points, scene_bounds
from .render import (DASHED, DEFAULT_VIEW, BoxGroup, ViewOptions, draw_panel,
                     fit_frame)

# A view is shown at half its size, so that lines and letters are sharp.
_DPI = 240
_WIDTH = 1080
# Height of a draft, of which the shape alone counts.
_DRAFT = 1000
# Colours brighter than this cannot be read on white.
_MAX_LUMINANCE = 0.45
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def draw_room(points: np.ndarray,
              colors: Optional[np.ndarray],
              groups: Sequence[BoxGroup] = (),
              options: ViewOptions = DEFAULT_VIEW) -> np.ndarray:
    """Draw a room in perspective.

    Equal points give equal cameras, whatever the colours and boxes, so that
    views can be compared side by side.

    Args:
        points (np.ndarray): (N, 3) xyz, metres, z up.
        colors (Optional[np.ndarray]): (N, 3) uint8; without, by height.
        groups (Sequence[BoxGroup]): Boxes, those whose captions matter most
            first.
        options (ViewOptions): What is shown and from where.

    Returns:
        np.ndarray: (H, W, 3) uint8.

    Raises:
        ValueError: When there is no point, a coordinate is not finite, or
            points and colours differ in number.
    """
    points, colors = prepare_points(points, colors, options.max_points,
                                    options.max_height, options.seed)
    low, high = scene_bounds(points)
    content = points[((points >= low) & (points <= high)).all(axis=1)]
    camera = perspective_camera(low, high, options.azimuth, options.elevation)
    content = np.vstack([content, low, high])
    height = _DRAFT * _WIDTH // fit_frame(camera, content, _DRAFT).width
    frame = fit_frame(camera, content, height)
    # A user's matplotlibrc must not change the picture.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(
            figsize=(frame.width / _DPI, frame.height / _DPI),
            dpi=_DPI,
            facecolor='white')
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        draw_panel(axes, points, colors, list(groups), camera, frame)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def best_azimuth(points: np.ndarray) -> float:
    """Look along the longer side of a room, so that its picture is not flat.

    Args:
        points (np.ndarray): (N, 3) xyz, metres, axis-aligned, z up.

    Returns:
        float: For :class:`~.render.ViewOptions`.
    """
    low, high = scene_bounds(points)
    x, y, _ = high - low
    return -30.0 if x > y else -60.0


def class_groups(boxes: LabelledBoxes,
                 palette: Mapping[str, Sequence[int]],
                 is_matched: Optional[np.ndarray] = None) -> List[BoxGroup]:
    """Sort boxes by class, each class in its colour.

    Args:
        boxes (LabelledBoxes): M boxes.
        palette (Mapping[str, Sequence[int]]): Three numbers from 0 to 255
            by class.
        is_matched (Optional[np.ndarray]): (M,) the others are dashed, and
            their captions come last; without, all are.

    Returns:
        List[BoxGroup]: For :func:`draw_room`.
    """
    if is_matched is None:
        is_matched = np.ones(len(boxes), dtype=bool)
    names = np.array(boxes.names, dtype=object)
    groups = []
    for matched, style in ((True, 'solid'), (False, DASHED)):
        for name in sorted(set(boxes.names)):
            keep = (names == name) & (is_matched == matched)
            if keep.any():
                groups.append(
                    BoxGroup(
                        boxes.select(keep), line_color(palette[name]), style,
                        name, True))
    return groups


def line_color(color: Sequence[int]) -> str:
    """Make a colour dark enough to be read on white.

    Args:
        color (Sequence[int]): Three numbers from 0 to 255.

    Returns:
        str: The same hue, as ``#rrggbb``.
    """
    rgb = np.asarray(color) / 255
    luminance = rgb @ _LUMINANCE
    rgb = rgb * min(1.0, _MAX_LUMINANCE / max(luminance, 1e-6))
    return '#%02x%02x%02x' % tuple((255 * rgb).round().astype(int))
