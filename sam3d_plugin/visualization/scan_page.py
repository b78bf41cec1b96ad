"""One offline HTML page that shows what was prepared of a scan.

Axes: H W pixels, R regions of a frame, N points.
"""
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from sam3d_plugin.store.files import BackendArgs, write_bytes
from .html import points_trace, scene_layout
from .overlays import FramePanels, depth_range, draw_depth, encode_png, fit
from .page_parts import (data_uri, figure_html, jpeg_uri, json_for_html,
                         names_and_values)
from .points import (check_points, choose_points, colors_from_height,
                     colors_from_ids)
from .render import DEFAULT_VIEW
from .scan_page_template import PAGE, SCRIPT, STYLE

# Beyond so many ids the page's colours repeat.
_MAX_PALETTE = 4096
_MAX_BARS = 200

Tables = Mapping[str, Sequence[Tuple[str, str]]]


@dataclass(frozen=True)
class PagePoints:
    """The points of a scan's page.

    Args:
        xyz (np.ndarray): (N, 3) metres, z up.
        rgb (Optional[np.ndarray]): (N, 3) uint8.
        region_ids (Optional[np.ndarray]): (N,) ids, 0 = in no region.
        note (str): Where they come from, for the reader.
    """
    xyz: np.ndarray
    rgb: Optional[np.ndarray] = None
    region_ids: Optional[np.ndarray] = None
    note: str = ''


@dataclass(frozen=True)
class Histogram:
    """A bar chart.

    Args:
        title (str): What is counted.
        labels (Sequence[str]): Under the bars.
        counts (Sequence[int]): Heights of the bars.
    """
    title: str
    labels: Sequence[str]
    counts: Sequence[int]


@dataclass(frozen=True)
class PageContent:
    """Everything that the page of a scan shows.

    Args:
        title (str): Name of the scan.
        subtitle (str): One sentence on the data set and its settings.
        frames (Sequence[FramePanels]): Frames to look at.
        points (Optional[PagePoints]): Points of the scan.
        tables (dict): Rows of name and value, by title.
        settings (dict): The same on how things were made, folded away.
        histograms (Sequence[Histogram]): Charts.
    """
    title: str
    subtitle: str = ''
    frames: Sequence[FramePanels] = ()
    points: Optional[PagePoints] = None
    tables: Tables = field(default_factory=dict)
    settings: Tables = field(default_factory=dict)
    histograms: Sequence[Histogram] = ()


def evenly(names: Sequence[str], count: int) -> List[str]:
    """At most so many names, evenly spaced, the first and last among them.

    Args:
        names (Sequence[str]): All names, in order.
        count (int): How many at most.

    Returns:
        List[str]: In order.
    """
    if len(names) <= count:
        return list(names)
    places = np.linspace(0, len(names) - 1, count).round().astype(int)
    return [names[i] for i in places]


def area_histogram(areas: np.ndarray, title: str) -> Histogram:
    """Count regions by area in steps of a factor of two.

    Args:
        areas (np.ndarray): (R,) pixels.
        title (str): Title of the chart.

    Returns:
        Histogram: From the smallest to the largest area.
    """
    if not len(areas):
        return Histogram(title, [], [])
    powers = np.log2(np.maximum(areas, 1)).astype(int)
    low, high = int(powers.min()), int(powers.max())
    return Histogram(title, [f'{2**p:,}' for p in range(low, high + 1)],
                     np.bincount(powers - low).tolist())


def write_scan_page(path: Union[str, Path],
                    content: PageContent,
                    max_side: int = 640,
                    max_points: int = 60000,
                    backend_args: BackendArgs = None) -> int:
    """Write the page as one file that needs no network.

    Args:
        path (Union[str, Path]): HTML file to write; its folder is made.
        content (PageContent): What it shows.
        max_side (int): Longest side of its images, pixels.
        max_points (int): Points drawn at most, chosen at random.
        backend_args (BackendArgs): Arguments of the file backend.

    Returns:
        int: Size of the file in bytes.

    Raises:
        ValueError: When points or id maps do not fit what they belong to.
    """
    limits = depth_range(
        [f.depth for f in content.frames if f.depth is not None])
    colors, points_html = _points_parts(content.points, max_points)
    data = dict(
        frames=[_frame_data(f, max_side, limits) for f in content.frames],
        palette=_palette(content.frames),
        pointColors=colors)
    page = PAGE.substitute(
        title=escape(content.title),
        subtitle=escape(content.subtitle),
        style=STYLE,
        script=SCRIPT,
        plotly=get_plotlyjs(),
        no_frames='' if content.frames else 'hidden',
        no_points='' if content.points else 'hidden',
        depth_note=f'Depth from {limits[0]:.2f} m (bright) to '
        f'{limits[1]:.2f} m (dark); grey: none.',
        points=points_html,
        points_note=escape(content.points.note if content.points else ''),
        statistics=_tables(content.tables),
        charts=_charts(content.histograms),
        settings=_tables(content.settings),
        no_settings='' if content.settings else 'hidden',
        data=json_for_html(data)).encode()
    write_bytes(path, page, backend_args)
    return len(page)


def _frame_data(frame: FramePanels, max_side: int,
                limits: Tuple[float, float]) -> Dict[str, Any]:
    """A frame as the page's script reads it; ids are red + 256 green."""
    data: Dict[str, Any] = dict(
        name=frame.name,
        note=escape(frame.note),
        color=jpeg_uri(fit(frame.color, max_side, False)))
    if frame.ids is not None:
        data.update(_ids_data(frame, max_side))
    if frame.depth is not None:
        depth = draw_depth(fit(frame.depth, max_side, True), *limits)
        data['depth'] = jpeg_uri(depth)
    return data


def _ids_data(frame: FramePanels, max_side: int) -> Dict[str, Any]:
    assert frame.ids is not None
    if frame.ids.shape != frame.color.shape[:2]:
        raise ValueError(f'{frame.name}: an id map of shape '
                         f'{frame.ids.shape} does not fit an image of shape '
                         f'{frame.color.shape}')
    counts = np.bincount(frame.ids.reshape(-1).astype(np.int64), minlength=1)
    small = fit(frame.ids, max_side, True).astype(np.int64)
    coded = np.stack([small % 256, small // 256, small * 0], axis=-1)
    data = dict(
        ids=data_uri('png', encode_png(coded.astype(np.uint8))),
        regions=len(counts) - 1,
        size=int(frame.ids.size),
        areas=counts[1:].tolist())
    if frame.group_ids is not None:
        if len(frame.group_ids) != len(counts) - 1:
            raise ValueError(f'{frame.name}: {len(frame.group_ids)} group '
                             f'ids for {len(counts) - 1} regions')
        data['groups'] = np.asarray(frame.group_ids).tolist()
    return data


def _palette(frames: Sequence[FramePanels]) -> List[List[int]]:
    """Colours by region id, and by group id + 1."""
    largest = 0
    for frame in frames:
        for ids in (frame.ids, frame.group_ids):
            if ids is not None:
                largest = max(largest, int(np.max(ids, initial=0)) + 1)
    count = min(largest + 1, _MAX_PALETTE)
    return colors_from_ids(np.arange(count)).tolist()


def _points_parts(points: Optional[PagePoints],
                  max_points: int) -> Tuple[Dict[str, str], str]:
    """Colours of the points, as rrggbb by name of the button, and a figure."""
    if points is None:
        return {}, ''
    xyz = check_points(points.xyz)
    index = choose_points(xyz, max_points)
    choices = {}
    if points.rgb is not None:
        choices['photo'] = points.rgb[index]
    if points.region_ids is not None:
        choices['region'] = colors_from_ids(points.region_ids[index])
    choices['height'] = colors_from_height(xyz[index])
    trace = points_trace(xyz[index], next(iter(choices.values())))
    trace.marker.size = 2.5
    if points.region_ids is not None:
        trace.hoverinfo = None
        trace.customdata = points.region_ids[index]
        trace.hovertemplate = 'region %{customdata}<extra></extra>'
    figure = go.Figure([trace])
    figure.update_layout(scene_layout('', DEFAULT_VIEW))
    figure.update_layout(
        margin=dict(l=0, r=0, t=0, b=0), scene_domain=dict(y=[0, 1]))
    colors = {
        name: np.ascontiguousarray(values, dtype=np.uint8).tobytes().hex()
        for name, values in choices.items()
    }
    return colors, figure_html(figure, 'points', 620)


def _tables(tables: Tables) -> str:
    return ''.join(f'<div class="card"><h3>{escape(title)}</h3>'
                   f'{names_and_values(rows)}</div>'
                   for title, rows in tables.items())


def _charts(charts: Sequence[Histogram]) -> str:
    return ''.join(f'<div class="card wide"><h3>{escape(chart.title)}</h3>'
                   f'{_chart_html(chart, i)}</div>'
                   for i, chart in enumerate(charts))


def _chart_html(chart: Histogram, number: int) -> str:
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
    return figure_html(figure, f'chart{number}', 260)
