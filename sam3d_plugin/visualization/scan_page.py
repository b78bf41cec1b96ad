"""One offline HTML page that shows what was prepared of a scan.

Shapes: H W pixels, R regions of a frame, N points.
"""
from dataclasses import dataclass, field
from html import escape
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from sam3d_plugin.store.files import BackendArgs, PathLike
from ..store.errors import UserError
from .overlays import FramePanels, depth_range, draw_depth, fit
from .pages import figure_html, jpeg_uri, png_uri, write_page
from .points import (check_points, choose_points, colors_from_height,
                     colors_from_ids)
from .report_page import point_viewer
from .scene import DEFAULT_VIEW

# Beyond so many ids the page's colors repeat.
_MAX_PALETTE = 4096
_MAX_BARS = 200
# Of the camera from the points, in diagonals of the box around them.
_DISTANCE = 1.0

Item = TypeVar('Item')
Tables = Mapping[str, Sequence[Tuple[str, str]]]


@dataclass(frozen=True)
class PagePoints:
    """The points of a scan's page."""
    xyz: np.ndarray  # (N, 3) meters, z up
    rgb: Optional[np.ndarray] = None  # (N, 3) uint8
    region_ids: Optional[np.ndarray] = None  # (N,) ids, 0 = in no region
    note: str = ''  # Where they come from, for the reader


@dataclass(frozen=True)
class Histogram:
    """A bar chart."""
    title: str  # What is counted
    labels: Sequence[str]  # Under the bars
    counts: Sequence[int]  # Heights of the bars


@dataclass(frozen=True)
class PageContent:
    """Everything that the page of a scan shows."""
    title: str  # Name of the scan
    subtitle: str = ''  # One sentence on the data set and its settings
    frames: Sequence[FramePanels] = ()  # Frames to look at
    points: Optional[PagePoints] = None  # Points of the scan
    # Rows of name and value, by title
    tables: Tables = field(default_factory=dict)
    # The same on how things were made, folded away
    settings: Tables = field(default_factory=dict)
    histograms: Sequence[Histogram] = ()  # Charts


def evenly(items: Sequence[Item], count: int) -> List[Item]:
    """At most so many items, evenly spaced, the first and last among them."""
    if len(items) <= count:
        return list(items)
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[i] for i in places]


def area_histogram(areas: np.ndarray, title: str) -> Histogram:
    """Regions by area (R,) in pixels, in steps of a factor of two."""
    if not len(areas):
        return Histogram(title, [], [])
    powers = np.log2(np.maximum(areas, 1)).astype(int)
    low, high = int(powers.min()), int(powers.max())
    return Histogram(title, [f'{2**p:,}' for p in range(low, high + 1)],
                     np.bincount(powers - low).tolist())


def write_scan_page(path: PathLike,
                    content: PageContent,
                    max_side: int = 640,
                    max_points: int = 60000,
                    backend_args: BackendArgs = None) -> int:
    """Write the page as one file that needs no network; its size in bytes.

    ``max_side`` is the longest side of its images, pixels; at most
    ``max_points`` are drawn, chosen at random.

    Raises ValueError when points or id maps do not fit what they belong to.
    """
    limits = depth_range(
        [f.depth for f in content.frames if f.depth is not None])
    frames = dict(
        frames=[_frame_data(f, max_side, limits) for f in content.frames],
        palette=_palette(content.frames))
    return write_page(
        path,
        'scan.html',
        backend_args,
        title=content.title,
        content=content,
        frames=frames,
        limits=limits,
        points=content.points and _viewer(content.points, max_points),
        charts=[(chart, _chart_html(chart, i))
                for i, chart in enumerate(content.histograms)])


def _frame_data(frame: FramePanels, max_side: int,
                limits: Tuple[float, float]) -> Dict[str, Any]:
    """A frame as the page's script reads it; ids are red + 256 green."""
    data: Dict[str, Any] = dict(
        name=frame.name,
        note=escape(frame.note),
        color=jpeg_uri(frame.color, max_side))
    if frame.ids is not None:
        data.update(_ids_data(frame, max_side))
    if frame.depth is not None:
        depth = draw_depth(fit(frame.depth, max_side, True), *limits)
        data['depth'] = jpeg_uri(depth, max_side)
    return data


def _ids_data(frame: FramePanels, max_side: int) -> Dict[str, Any]:
    assert frame.ids is not None
    if frame.ids.shape != frame.color.shape[:2]:
        raise UserError(f'{frame.name}: an id map of shape '
                        f'{frame.ids.shape} does not fit an image of shape '
                        f'{frame.color.shape}')
    counts = np.bincount(frame.ids.reshape(-1).astype(np.int64), minlength=1)
    small = fit(frame.ids, max_side, True).astype(np.int64)
    coded = np.stack([small % 256, small // 256, small * 0], axis=-1)
    data = dict(
        ids=png_uri(coded.astype(np.uint8)),
        regions=len(counts) - 1,
        size=int(frame.ids.size),
        areas=counts[1:].tolist())
    if frame.group_ids is not None:
        if len(frame.group_ids) != len(counts) - 1:
            raise UserError(f'{frame.name}: {len(frame.group_ids)} group '
                            f'ids for {len(counts) - 1} regions')
        data['groups'] = np.asarray(frame.group_ids).tolist()
    return data


def _palette(frames: Sequence[FramePanels]) -> List[List[int]]:
    """Colors by region id, and by group id + 1."""
    largest = 0
    for frame in frames:
        for ids in (frame.ids, frame.group_ids):
            if ids is not None:
                largest = max(largest, int(np.max(ids, initial=0)) + 1)
    count = min(largest + 1, _MAX_PALETTE)
    return colors_from_ids(np.arange(count)).tolist()


def _viewer(points: PagePoints, max_points: int) -> Dict[str, Any]:
    """Points that rotate, colored by all that is known of them."""
    xyz = check_points(points.xyz)
    index = choose_points(xyz, max_points)
    ids = None if points.region_ids is None else points.region_ids[index]
    choices = {}
    if points.rgb is not None:
        choices['photo'] = points.rgb[index]
    if ids is not None:
        choices['region'] = colors_from_ids(ids)
    choices['height'] = colors_from_height(xyz[index])
    return point_viewer('points', xyz[index], choices, DEFAULT_VIEW, _DISTANCE,
                        ids, 620, 2.5, True)


def _chart_html(chart: Histogram, number: int) -> Markup:
    bars = go.Bar(
        x=list(chart.labels)[:_MAX_BARS],
        y=list(chart.counts)[:_MAX_BARS],
        marker=dict(color='#0050B0'))
    figure = go.Figure([bars])
    figure.update_layout(
        margin=dict(l=45, r=10, t=10, b=40),
        plot_bgcolor='white',
        xaxis=dict(type='category'),
        yaxis=dict(gridcolor='#dde3e9'))
    return figure_html(figure, f'chart{number}', '260px')
