"""A scene with true and predicted boxes as a picture in two views.

Axes: N points, M boxes, H W pixels. Points in metres, z up.
"""
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.spatial import cKDTree

from sam3d_plugin.store import atomic_write
from .boxes import BOX_EDGES, LabelledBoxes, box_corners, match_boxes, no_boxes
from .camera import (Camera, Frame, perspective_camera, rasterize, shade_edges,
                     top_camera)
from .labels import draw_captions
from .points import is_near_wall, prepare_points, scene_bounds, soften

# Blue and vermilion: told apart by readers with any colour vision.
TRUE_COLOR = '#0050B0'
PREDICTED_COLOR = '#D9400B'
DASHED = (0, (4, 2))
# Colours by name, three numbers from 0 to 255.
Legend = Dict[str, Sequence[int]]

_DPI = 200
_WIDTH_INCHES = 11.0
_MAX_PANEL = 1400  # pixels
_LEGEND_COLUMNS = 8
_STEPS_PER_EDGE = 32
# Boxes end at the outermost points of their object; an edge this far behind
# a surface still counts as lying on it.
_HIDDEN_MARGIN = 0.08


@dataclass(frozen=True)
class ViewOptions:
    """What a picture shows and from where.

    Args:
        azimuth (float): Where the camera of the perspective view stands,
            degrees counter-clockwise from the x axis.
        elevation (float): Its height over the horizon, degrees.
        max_height (float, optional): Points higher above the floor are left
            out, metres, so that a ceiling does not hide the room.
        max_points (int): Points drawn at most.
        seed (int): Seed of their choice.
        iou_thr (float): Overlap from which a prediction counts as matched.
    """
    azimuth: float = -60.0
    elevation: float = 50.0
    max_height: Optional[float] = None
    max_points: int = 50000
    seed: int = 0
    iou_thr: float = 0.25


DEFAULT_VIEW = ViewOptions()


@dataclass(frozen=True)
class BoxGroup:
    """Boxes drawn alike.

    Args:
        boxes (LabelledBoxes): The boxes.
        color (str): As matplotlib reads it.
        style (Union[str, tuple]): Of the lines, as matplotlib reads it.
        legend (str): What they are.
        is_captioned (bool): Whether class and score stand beside them.
    """
    boxes: LabelledBoxes
    color: str
    style: Union[str, tuple]
    legend: str
    is_captioned: bool


def _box_groups(true: Optional[LabelledBoxes], predicted: LabelledBoxes,
                iou_thr: float) -> List[BoxGroup]:
    """Sort boxes into kinds; those whose captions matter most come first."""
    if true is None:  # a scan that nobody annotated
        group = BoxGroup(predicted, PREDICTED_COLOR, 'solid', 'predicted',
                         True)
        return [group] if len(predicted) else []
    matches = match_boxes(predicted, true, iou_thr)
    is_found = np.isin(np.arange(len(true)), matches)
    groups = [
        BoxGroup(
            predicted.select(matches >= 0), PREDICTED_COLOR, 'solid',
            f'predicted, IoU > {iou_thr:g} with a true box', True),
        BoxGroup(
            true.select(~is_found), TRUE_COLOR, 'solid',
            'true, not found' if is_found.any() else 'true', True),
        BoxGroup(
            predicted.select(matches < 0), PREDICTED_COLOR, DASHED,
            'predicted, no match', True),
        BoxGroup(
            true.select(is_found), TRUE_COLOR, 'solid', 'true, found', False),
    ]
    return [group for group in groups if len(group.boxes)]


def _point_spacing(points: np.ndarray) -> np.ndarray:
    """Return how far each point reaches to close gaps, (N,) metres.

    Meshes have few vertices on flat floors, so one size for all points
    leaves holes there or swells thin objects.
    """
    neighbors = min(6, len(points) - 1)
    if not neighbors:
        return np.full(len(points), 0.1)
    distance, _ = cKDTree(points).query(points, k=neighbors + 1, workers=2)
    return (0.75 * distance[:, -1]).clip(0.008, 0.07)


def fit_frame(camera: Camera, content: np.ndarray, height: int) -> Frame:
    """Return the picture of the given height that holds all content.

    Args:
        camera (Camera): Camera of the panel.
        content (np.ndarray): (N, 3) points that have to be seen, metres.
        height (int): H.

    Returns:
        Frame: Its pixels.
    """
    xy, _ = camera.project(content)
    lower, upper = xy.min(axis=0), xy.max(axis=0)
    border = 0.03 * (upper - lower).max()
    span = upper - lower + 2 * border
    scale = height / span[1]
    width = int(np.ceil(span[0] * scale))
    left, bottom = lower - border
    return Frame(left, bottom, width, height, scale)


def _draw_points(axes: Axes, points: np.ndarray, colors: np.ndarray,
                 camera: Camera, frame: Frame) -> np.ndarray:
    """Draw the points of a panel and return its (H, W) depth, metres."""
    xy, depth = camera.project(points)
    zoom = camera.distance / depth if camera.distance else 1.0
    radius = _point_spacing(points) * frame.scale * zoom
    shown, buffer = rasterize(xy, depth, radius.clip(0.5, 14), frame)
    picture = np.full((*shown.shape, 3), 255, dtype=np.uint8)
    is_filled = shown >= 0
    shade = shade_edges(buffer)[is_filled]
    picture[is_filled] = colors[shown[is_filled]] * shade[:, None]
    axes.imshow(picture, extent=frame.extent, interpolation='none')
    return buffer


def _edge_runs(corners: np.ndarray, camera: Camera, frame: Frame,
               depth: np.ndarray) -> Dict[bool, List[np.ndarray]]:
    """Cut box edges where they pass behind points.

    Args:
        corners (np.ndarray): (M, 8, 3) box corners, metres.
        camera (Camera): Camera of the panel.
        frame (Frame): Pixels of the panel.
        depth (np.ndarray): (H, W) depth of the points, inf = none.

    Returns:
        Dict[bool, List[np.ndarray]]: Hidden (True) and visible (False)
        lines, each (2, 2) picture coordinates of both ends.
    """
    ends = corners[:, BOX_EDGES].reshape(-1, 2, 3)
    steps = np.linspace(0, 1, _STEPS_PER_EDGE + 1)[:, None]
    runs: Dict[bool, List[np.ndarray]] = {True: [], False: []}
    for start, end in ends:
        xy, z = camera.project(start + (end - start) * steps)
        middle, z = (xy[1:] + xy[:-1]) / 2, (z[1:] + z[:-1]) / 2
        column, row = frame.pixels(middle)
        is_inside = frame.contains(column, row)
        surface = np.full(len(z), np.inf)
        surface[is_inside] = depth[row[is_inside], column[is_inside]]
        is_hidden = z > surface + _HIDDEN_MARGIN
        borders = np.flatnonzero(np.diff(is_hidden)) + 1
        for run in np.split(np.arange(len(z)), borders):
            line = xy[[run[0], run[-1] + 1]]
            if np.isfinite(line).all():
                runs[bool(is_hidden[run[0]])].append(line)
    return runs


def _draw_boxes(axes: Axes, group: BoxGroup, camera: Camera, frame: Frame,
                depth: np.ndarray) -> None:
    """Draw wireframes, faint where points hide them."""
    if camera.distance is None:
        depth = np.full_like(depth, np.inf)
    runs = _edge_runs(box_corners(group.boxes.boxes), camera, frame, depth)
    for is_hidden, alpha in ((True, 0.35), (False, 1.0)):
        axes.add_collection(
            LineCollection(
                runs[is_hidden],
                colors=group.color,
                linestyles=[group.style],
                linewidths=0.5 if is_hidden else 1.0,
                alpha=alpha,
                capstyle='butt'))


def _caption_boxes(axes: Axes, groups: List[BoxGroup], camera: Camera,
                   frame: Frame) -> None:
    """Write class and score at the top of boxes inside the panel."""
    anchors, texts, colors = [], [], []
    for group in groups:
        if not group.is_captioned:
            continue
        tops = group.boxes.boxes[:, :3].copy()
        tops[:, 2] += group.boxes.boxes[:, 5] / 2
        xy, _ = camera.project(tops)
        is_inside = frame.contains(*frame.pixels(xy))
        for i in np.flatnonzero(is_inside):
            anchors.append(xy[i])
            texts.append(group.boxes.captions()[i])
            colors.append(group.color)
    draw_captions(axes, np.array(anchors), texts, colors)


def draw_panel(axes: Axes, points: np.ndarray, colors: np.ndarray,
               groups: List[BoxGroup], camera: Camera, frame: Frame) -> None:
    """Draw one view.

    Args:
        axes (Axes): Panel of the picture.
        points (np.ndarray): (N, 3) xyz, metres, z up.
        colors (np.ndarray): (N, 3) uint8.
        groups (List[BoxGroup]): Boxes, those whose captions matter most
            first.
        camera (Camera): From where; in perspective, the walls before the
            room are left out.
        frame (Frame): Pixels of the panel.
    """
    if camera.distance is not None:
        is_kept = ~is_near_wall(points, camera.axes[2])
        points, colors = points[is_kept], colors[is_kept]
    depth = _draw_points(axes, points, colors, camera, frame)
    left, right, bottom, top = frame.extent
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect='equal')
    axes.axis('off')
    if camera.distance is None:
        _draw_scale_bar(axes, frame)
    for group in reversed(groups):
        _draw_boxes(axes, group, camera, frame, depth)
    _caption_boxes(axes, groups, camera, frame)


def _draw_scale_bar(axes: Axes, frame: Frame) -> None:
    """Draw a metre below the lower left corner of an orthographic view."""
    left, right, bottom, top = frame.extent
    y = bottom - 0.01 * (top - bottom)
    axes.plot([left, left + 1], [y, y], color='black', lw=2, clip_on=False)
    axes.text(left + 1.1, y, '1 m', ha='left', va='center', fontsize=8)


def _draw_legend(figure: Figure, groups: List[BoxGroup],
                 legend: Legend) -> None:
    """Say below the panels what lines and colours mean, and count boxes."""
    handles = [
        Line2D([], [],
               color=group.color,
               linestyle=group.style,
               label=f'{group.legend} ({len(group.boxes)})')
        for group in groups
    ]
    handles += [
        Line2D([], [],
               color='#%02x%02x%02x' % tuple(soften(np.array(color))),
               linestyle='',
               marker='o',
               label=name) for name, color in legend.items()
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc='lower center',
            ncol=min(len(handles), _LEGEND_COLUMNS),
            frameon=False,
            fontsize=8)


def _draw_figure(points: np.ndarray, colors: np.ndarray,
                 groups: List[BoxGroup], cameras: Sequence[Camera],
                 content: np.ndarray, title: str, legend: Legend) -> Figure:
    """Lay out the panels side by side, equally high, over the legend."""
    gap, header, footer = 0.15 * _DPI, 0.3 * _DPI, 0.45 * _DPI
    footer += max(0, (len(legend) - 1) // _LEGEND_COLUMNS) * 0.18 * _DPI
    drafts = [fit_frame(camera, content, 1000) for camera in cameras]
    aspect = sum(draft.width / 1000 for draft in drafts)
    panel = int(min((_WIDTH_INCHES * _DPI - 3 * gap) / aspect, _MAX_PANEL))
    frames = [fit_frame(camera, content, panel) for camera in cameras]
    width = sum(frame.width for frame in frames) + 3 * gap
    height = panel + header + footer
    figure = Figure(
        figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor='white')
    FigureCanvasAgg(figure)
    left = gap
    for camera, frame in zip(cameras, frames):
        axes = figure.add_axes((left / width, footer / height,
                                frame.width / width, panel / height))
        draw_panel(axes, points, colors, groups, camera, frame)
        left += frame.width + gap
    figure.suptitle(title, y=1 - 0.08 * _DPI / height, va='top', fontsize=10)
    _draw_legend(figure, groups, legend)
    return figure


def render_scene(path: Union[str, Path],
                 points: np.ndarray,
                 colors: Optional[np.ndarray] = None,
                 true: Optional[LabelledBoxes] = None,
                 predicted: Optional[LabelledBoxes] = None,
                 title: str = '',
                 options: ViewOptions = DEFAULT_VIEW,
                 legend: Optional[Legend] = None) -> None:
    """Write a PNG of a scene: from above and in perspective.

    A prediction is solid when it matches a true box of its class, else
    dashed. Captions stand beside predictions and beside true boxes that no
    prediction matches. Equal input gives an equal file.

    Args:
        path (Union[str, Path]): PNG file to write; its folder is made.
        points (np.ndarray): (N, 3) xyz, metres, z up.
        colors (Optional[np.ndarray]): (N, 3) uint8; without, by height.
        true (Optional[LabelledBoxes]): True boxes.
        predicted (Optional[LabelledBoxes]): Predicted boxes with scores.
        title (str): Written above the panels.
        options (ViewOptions): What the picture shows and from where.
        legend (Optional[Legend]): Names of some of the colours.

    Raises:
        ValueError: When there is no point, a coordinate is not finite, or
            points and colours differ in number.
    """
    points, colors = prepare_points(points, colors, options.max_points,
                                    options.max_height, options.seed)
    colors = soften(colors)
    groups = _box_groups(true, predicted or no_boxes(), options.iou_thr)
    low, high = scene_bounds(points)
    is_inside = ((points >= low) & (points <= high)).all(axis=1)
    corners = box_corners((true or no_boxes()).boxes).reshape(-1, 3)
    content = np.concatenate([points[is_inside], corners, [low, high]])
    low, high = content.min(axis=0), content.max(axis=0)
    cameras = (top_camera(low, high),
               perspective_camera(low, high, options.azimuth,
                                  options.elevation))
    # A user's matplotlibrc must not change the picture.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = _draw_figure(points, colors, groups, cameras, content, title,
                              legend or {})
        with atomic_write(path) as file:
            figure.savefig(
                file, format='png', dpi=_DPI, metadata={'Software': None})
