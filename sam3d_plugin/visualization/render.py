"""A scene with boxes as a picture, from above and in perspective.

Shapes: N points, M boxes, H W pixels. Points in meters, z up.
"""
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import BboxBase
from scipy.spatial import cKDTree

from sam3d_plugin.store.files import PathLike, write_bytes
from .box_groups import BoxGroup, hex_color, match_groups
from .boxes import BOX_EDGES, box_corners
from .camera import Camera, perspective_camera, top_camera
from .figures import figure_image
from .overlays import encode_png
from .points import is_near_wall, scene_bounds, soften
from .scene import DEFAULT_VIEW, Scene, ViewOptions

# Colors by name, three numbers from 0 to 255.
Legend = Mapping[str, Sequence[int]]

_DPI = 200
_WIDTH, _MAX_HEIGHT = 2200, 1400  # pixels
_LEGEND_COLUMNS = 8
_STEPS_PER_EDGE = 32
# Boxes end at the outermost points of their object; an edge this far behind
# a surface still counts as lying on it.
_HIDDEN_MARGIN = 0.08
# Of a caption, half a width sideways or a height up or down at a time.
_OFFSETS = sorted(((x, y) for x in range(-8, 9) for y in range(-6, 7)),
                  key=lambda xy: (4 * xy[0]**2 + xy[1]**2, xy))


def render_scene(path: PathLike,
                 scene: Scene,
                 options: ViewOptions = DEFAULT_VIEW,
                 legend: Optional[Legend] = None) -> None:
    """Write a PNG of a scene: from above and in perspective.

    A prediction is solid when it matches a true box of its class, else dashed.
    Captions stand beside predictions and beside true boxes that no prediction
    matches. ``legend`` names some of the colors.

    Raises ValueError when there is no point, a coordinate is not finite, or
    points and colors differ in number.
    """
    points, colors = scene.shown_points(options)
    colors = soften(colors)
    groups = match_groups(scene, options.iou_thr)
    content = _content(points)
    if scene.true is not None:
        corners = box_corners(scene.true.boxes).reshape(-1, 3)
        content = np.concatenate([content, corners])
    low, high = content.min(axis=0), content.max(axis=0)
    cameras = (top_camera(low, high),
               perspective_camera(low, high, options.azimuth,
                                  options.elevation))
    handles = _legend_handles(groups, legend or {})
    rows = -(-len(handles) // _LEGEND_COLUMNS)
    gap, header, footer = 30.0, 60.0, 60.0 + 36 * rows
    spans = [_span(camera, content) for camera in cameras]
    aspects = [span[1, 0] / span[1, 1] for span in spans]
    panel = min((_WIDTH - 3 * gap) / sum(aspects), _MAX_HEIGHT)
    size = panel * sum(aspects) + 3 * gap, panel + header + footer

    def draw(figure: Figure) -> None:
        left = gap
        for camera, span, aspect in zip(cameras, spans, aspects):
            axes = figure.add_axes((left / size[0], footer / size[1],
                                    aspect * panel / size[0], panel / size[1]))
            _draw_view(axes, points, colors, groups, camera, span)
            left += aspect * panel + gap
        figure.suptitle(scene.name, y=1 - 16 / size[1], va='top', fontsize=10)
        figure.legend(
            handles=handles,
            loc='lower center',
            ncol=_LEGEND_COLUMNS,
            frameon=False,
            fontsize=8)

    write_bytes(path, encode_png(figure_image(size, _DPI, draw)))


def draw_room(scene: Scene,
              groups: Sequence[BoxGroup] = (),
              options: ViewOptions = DEFAULT_VIEW,
              width: int = 1080) -> np.ndarray:
    """A room in perspective, (H, W, 3) uint8.

    Equal points give equal cameras, whatever the colors and boxes, so that
    views can be compared side by side. Boxes are those of ``groups``, of which
    the first have the captions that matter most.

    Raises ValueError when there is no point, a coordinate is not finite, or
    points and colors differ in number.
    """
    points, colors = scene.shown_points(options)
    camera = perspective_camera(*scene_bounds(points), options.azimuth,
                                options.elevation)
    span = _span(camera, _content(points))
    size = width, width * span[1, 1] / span[1, 0]
    # A view is shown at half its size, so that lines and letters are sharp.
    return figure_image(
        size, 240, lambda figure: _draw_view(
            figure.add_axes(
                (0, 0, 1, 1)), points, colors, groups, camera, span))


def best_azimuth(points: np.ndarray) -> float:
    """Look along the longer side of a room, so that its picture is not flat.

    Args:
        points (np.ndarray): (N, 3) xyz, meters, axis-aligned, z up.

    Returns:
        float: For :class:`~.scene.ViewOptions`.
    """
    low, high = scene_bounds(points)
    x, y, _ = high - low
    return -30.0 if x > y else -60.0


def _content(points: np.ndarray) -> np.ndarray:
    """What a picture has to show: all points but strays."""
    low, high = scene_bounds(points)
    is_inside = ((points >= low) & (points <= high)).all(axis=1)
    return np.concatenate([points[is_inside], [low, high]])


def _span(camera: Camera, content: np.ndarray) -> np.ndarray:
    """Lower left corner and size of a view, (2, 2), picture coordinates."""
    xy, _ = camera.project(content)
    low, high = xy.min(axis=0), xy.max(axis=0)
    border = 0.03 * (high - low).max()
    return np.stack([low - border, high - low + 2 * border])


def _draw_view(axes: Axes, points: np.ndarray, colors: np.ndarray,
               groups: Sequence[BoxGroup], camera: Camera,
               span: np.ndarray) -> None:
    """Draw points, boxes and captions of one view."""
    (left, bottom), (width, height) = span
    axes.set(xlim=(left, left + width), ylim=(bottom, bottom + height))
    axes.axis('off')
    if camera.distance is not None:
        # The walls before the room would hide it.
        is_kept = ~is_near_wall(points, camera.axes[2])
        points, colors = points[is_kept], colors[is_kept]
    else:
        y = bottom - 0.01 * height
        axes.plot([left, left + 1], [y, y], color='black', lw=2, clip_on=False)
        axes.text(left + 1.1, y, '1 m', va='center', fontsize=8)
    _draw_points(axes, points, colors, camera)
    for group in reversed(groups):
        _draw_boxes(axes, group, camera, points)
    _caption_boxes(axes, groups, camera)


def _draw_points(axes: Axes, points: np.ndarray, colors: np.ndarray,
                 camera: Camera) -> None:
    """Draw points as discs, the nearest last, darker behind an edge.

    A disc reaches to the neighbors of its point: meshes have few vertices
    on flat floors, so one size for all leaves holes there or swells thin
    objects.
    """
    xy, depth = camera.project(points)
    sixth = min(7, len(points))  # the first is the point itself
    spacing = cKDTree(points).query(points, k=[sixth], workers=2)[0][:, 0]
    radius = (0.75 * spacing).clip(0.008, 0.07) if sixth > 1 else 0.1
    if camera.distance:
        radius = radius * camera.distance / depth
    # Like eye-dome lighting (Boucheny 2009), but linear in depth: a point
    # darkens by how much nearer its neighbors in the picture are, which
    # shows shapes without normals.
    around = range(1, min(20, len(points)) + 1)
    beside = cKDTree(xy).query(xy, k=around, workers=2)[1]
    drop = (depth[:, None] - depth[beside]).clip(0, 0.2).mean(axis=1)
    shaded = colors / 255 * np.exp(-4 * drop)[:, None]
    order = np.argsort(-depth, kind='stable')
    size = np.broadcast_to(2 * radius, len(points))[order]
    axes.add_collection(
        EllipseCollection(
            size,
            size,
            0,
            units='xy',
            offsets=xy[order],
            offset_transform=axes.transData,
            facecolors=shaded[order],
            linewidths=0))


def _draw_boxes(axes: Axes, group: BoxGroup, camera: Camera,
                points: np.ndarray) -> None:
    """Draw wireframes, faint where points hide them."""
    start, end = box_corners(group.boxes.boxes)[:, BOX_EDGES].reshape(
        -1, 2, 1, 3).swapaxes(0, 1)
    steps = np.linspace(0, 1, _STEPS_PER_EDGE + 1)[:, None]
    lines, depth = camera.project(start + (end - start) * steps)
    visible = lines.copy()
    if camera.distance is not None:
        xy, surface = camera.project(points)
        # Behind the camera, there is no place in the picture.
        places = np.nan_to_num(lines, nan=-1e6)
        near = cKDTree(xy).query(
            places, k=range(1, 5), workers=2, distance_upper_bound=0.05)[1]
        nearest = np.append(surface, np.inf)[near].min(axis=-1)
        visible[depth > nearest + _HIDDEN_MARGIN] = np.nan
    for shown, alpha, width in ((lines, 0.35, 0.5), (visible, 1.0, 1.0)):
        axes.add_collection(
            LineCollection(
                list(shown),
                colors=group.color,
                linestyles='--' if group.is_dashed else '-',
                linewidths=width,
                alpha=alpha,
                capstyle='butt'))


def _caption_boxes(axes: Axes, groups: Sequence[BoxGroup],
                   camera: Camera) -> None:
    """Write class and score at the top of boxes inside the view.

    A caption moves to the nearest free place; one without is left out.
    """
    taken: List[BboxBase] = []
    for text, top, color in _captions(groups):
        x, y = camera.project(top)[0]
        if not axes.viewLim.contains(x, y):
            continue
        caption = axes.annotate(
            text, (x, y),
            ha='center',
            va='center',
            color=color,
            fontsize=6,
            zorder=10,
            bbox=dict(
                boxstyle='round,pad=0.15',
                fc='white',
                ec=color,
                alpha=0.85,
                lw=0.4),
            arrowprops=dict(
                arrowstyle='-', color=color, lw=0.5, shrinkA=0, shrinkB=0))
        place = _free_place(axes, caption.get_window_extent().padded(3), taken)
        if place is None:
            caption.remove()
        else:
            taken.append(place)
            x, y = axes.transData.inverted().transform(
                np.mean(place.get_points(), axis=0))
            caption.set_position((x, y))


def _free_place(axes: Axes, box: BboxBase,
                taken: List[BboxBase]) -> Optional[BboxBase]:
    """The nearest place inside a view that overlaps none of those taken."""
    for right, up in _OFFSETS:
        place = box.translated(right * box.width / 2, up * box.height)
        if (axes.bbox.count_contains(place.corners()) == 4
                and not place.count_overlaps(taken)):
            return place
    return None


def _captions(
        groups: Sequence[BoxGroup]) -> Iterator[Tuple[str, np.ndarray, str]]:
    """Text, top (3,) in meters and color of each captioned box."""
    for group in groups:
        if group.is_captioned:
            tops = group.boxes.boxes[:, :3].copy()
            tops[:, 2] += group.boxes.boxes[:, 5] / 2
            for text, top in zip(group.boxes.captions(), tops):
                yield text, top, group.color


def _legend_handles(groups: Sequence[BoxGroup],
                    legend: Legend) -> List[Line2D]:
    """What lines and colors mean, with the number of boxes."""
    lines = [
        Line2D([], [],
               color=group.color,
               linestyle='--' if group.is_dashed else '-',
               label=f'{group.legend} ({len(group.boxes)})')
        for group in groups
    ]
    return lines + [
        Line2D([], [],
               color=hex_color(soften(np.array(color))),
               linestyle='',
               marker='o',
               label=name) for name, color in legend.items()
    ]
