"""A report of many sections as one HTML page that needs no network.

A section is a title, a few sentences for a newcomer, and the pieces of HTML
that the functions of this module make of arrays. Another kind of result
becomes another :class:`Section` of the list.

Axes: N points, H W pixels.
"""
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple, Union

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from sam3d_plugin.store import atomic_write
from .html import points_trace, scene_layout
from .overlays import fit
from .page_parts import figure_html, jpeg_uri, json_for_html
from .points import check_points
from .render import ViewOptions
from .report_template import PAGE, SCRIPT, STYLE

# Told apart with any colour vision, and from each other in grey.
LINE_COLORS = ('#0050b0', '#d9400b', '#5d8a1f', '#7a3fa0', '#8a6d00')
_MAX_SIDE = 640
_POINT_SIZE = 4
# Of the camera from the points, in diagonals of the box around them: for a
# frame, and for a room, which comes nearer to the camera.
_DISTANCE = 0.75
ROOM_DISTANCE = 1.3


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Args:
        title (str): Its heading, also in the list of contents.
        text (str): Sentences for a newcomer; an empty line begins a
            paragraph.
        body (str): HTML made by the functions of this module.
        label (str): Short title for the list of contents; '' takes the
            title.
    """
    title: str
    text: str
    body: str
    label: str = ''


def write_report(path: Union[str, Path], title: str, subtitle: str,
                 sections: Sequence[Section]) -> int:
    """Write the page.

    Args:
        path (Union[str, Path]): HTML file to write; its folder is made.
        title (str): Heading.
        subtitle (str): Sentences under it.
        sections (Sequence[Section]): What it holds, in order.

    Returns:
        int: Size of the file in bytes.
    """
    contents = ''.join(
        f'<a href="#section{i}">{escape(s.label or s.title)}</a>'
        for i, s in enumerate(sections))
    body = ''.join(f'<section id="section{i}"><h2>{escape(s.title)}</h2>'
                   f'{paragraphs(s.text)}{s.body}</section>'
                   for i, s in enumerate(sections))
    page = PAGE.substitute(
        title=escape(title),
        subtitle=paragraphs(subtitle),
        style=STYLE,
        script=SCRIPT,
        plotly=get_plotlyjs(),
        contents=contents,
        sections=body).encode()
    with atomic_write(path) as file:
        file.write(page)
    return len(page)


def paragraphs(text: str) -> str:
    """Plain text as paragraphs of HTML."""
    return ''.join(f'<p>{escape(part.strip())}</p>'
                   for part in text.split('\n\n') if part.strip())


def heading(text: str) -> str:
    """A heading inside a section."""
    return f'<h3>{escape(text)}</h3>'


def picture_row(pictures: Mapping[str, np.ndarray],
                max_side: int = _MAX_SIDE) -> str:
    """Pictures side by side, below each other on a narrow screen.

    Args:
        pictures (Mapping[str, np.ndarray]): (H, W, 3) uint8 by caption.
        max_side (int): Longer sides are scaled down to this, pixels.
            Defaults to 640.

    Returns:
        str: HTML.
    """
    figures = ''.join(
        f'<figure><img src="{jpeg_uri(fit(image, max_side, False))}" '
        f'alt="{escape(caption, quote=True)}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
        for caption, image in pictures.items())
    # Two share the width of the page. A click makes one as wide as the page.
    kind = 'pictures two' if len(pictures) == 2 else 'pictures'
    return f'<div class="{kind}">{figures}</div>'


def color_legend(colors: Mapping[str, Sequence[int]]) -> str:
    """What colours mean.

    Args:
        colors (Mapping[str, Sequence[int]]): Three numbers from 0 to 255 by
            name.

    Returns:
        str: HTML.
    """
    entries = ''.join(f'<li><i style="background:#{bytes(color).hex()}"></i>'
                      f'{escape(name)}</li>' for name, color in colors.items())
    return f'<ul class="legend">{entries}</ul>'


def scene(name: str, figure: go.Figure, height: int = 520) -> str:
    """A figure of a scene that rotates; the wheel scrolls the page.

    Args:
        name (str): Its id on the page, letters and digits.
        figure (go.Figure): Of :func:`~.html.build_figure`; its title and
            camera are changed.
        height (int): Pixels. Defaults to 520.

    Returns:
        str: HTML.
    """
    points = figure.data[0]
    figure.update_layout(
        title=None,
        margin=dict(l=0, r=0, t=0, b=0),
        scene_camera=_near_camera(
            np.column_stack([points.x, points.y, points.z]),
            figure.layout.scene.camera.eye, ROOM_DISTANCE))
    content = figure_html(figure, name, height, scrollZoom=False)
    return f'<div class="scene">{content}</div>'


def point_viewer(name: str,
                 xyz: np.ndarray,
                 choices: Mapping[str, np.ndarray],
                 view: ViewOptions,
                 height: int = 460,
                 distance: float = _DISTANCE) -> str:
    """Points that rotate, with a button for each way to colour them.

    Args:
        name (str): Its id on the page, letters and digits.
        xyz (np.ndarray): (N, 3) metres, z up.
        choices (Mapping[str, np.ndarray]): (N, 3) uint8 by the text of the
            button; the first is shown first.
        view (ViewOptions): From where they are seen first.
        height (int): Pixels. Defaults to 460.
        distance (float): Of the camera, in diagonals of the box around the
            points. Defaults to 0.75.

    Returns:
        str: HTML.

    Raises:
        ValueError: When there is no point, no choice, or their numbers
            differ.
    """
    xyz = check_points(xyz)
    shapes = {np.shape(colors) for colors in choices.values()}
    if shapes != {xyz.shape}:
        raise ValueError(f'{len(xyz)} points came with colours of shapes '
                         f'{sorted(shapes)}; give three numbers per point')
    packed = {
        label: np.ascontiguousarray(colors, dtype=np.uint8).tobytes().hex()
        for label, colors in choices.items()
    }
    trace = points_trace(xyz, next(iter(choices.values())))
    trace.marker.size = _POINT_SIZE
    figure = go.Figure([trace])
    figure.update_layout(scene_layout('', view))
    figure.update_layout(
        margin=dict(l=0, r=0, t=0, b=0),
        scene_domain=dict(y=[0, 1]),
        scene_camera=_near_camera(xyz, figure.layout.scene.camera.eye,
                                  distance))
    data = json_for_html(dict(figure=name, colors=packed))
    return (f'<div class="viewer"><div class="pick"></div>'
            f'<script type="application/json" class="colors">{data}</script>'
            f'{figure_html(figure, name, height, scrollZoom=False)}</div>')


def _near_camera(xyz: np.ndarray, eye: Any, distance: float) -> Dict[str, Any]:
    """A camera that looks from a direction at the middle of the points.

    Plotly's unit is the geometric mean of the sides of the box around the
    points, its origin the middle of that box.
    """
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    sides = np.maximum(high - low, 0.05)
    unit = sides.prod()**(1 / 3)
    center = (xyz.mean(axis=0) - (low + high) / 2) / unit
    direction = np.array([eye.x, eye.y, eye.z])
    direction *= distance * np.linalg.norm(
        sides / unit) / np.linalg.norm(direction)
    return dict(
        center=dict(zip('xyz', center.tolist())),
        eye=dict(zip('xyz', (center + direction).tolist())))


def line_chart(name: str,
               lines: Mapping[str, Tuple[Sequence[float], Sequence[float]]],
               x_title: str,
               y_title: str,
               height: int = 300) -> str:
    """Lines over a common x axis; the mouse reads their values.

    Args:
        name (str): Its id on the page, letters and digits.
        lines (Mapping[str, Tuple[Sequence[float], Sequence[float]]]): x and y
            by the line's name.
        x_title (str): What x is.
        y_title (str): What y is.
        height (int): Pixels. Defaults to 300.

    Returns:
        str: HTML.
    """
    figure = go.Figure([
        go.Scatter(
            x=list(x),
            y=list(y),
            name=label,
            mode='lines+markers',
            marker=dict(size=4),
            line=dict(color=color, width=2))
        for (label, (x, y)), color in zip(lines.items(), LINE_COLORS * 9)
    ])
    figure.update_layout(
        margin=dict(l=60, r=10, t=30, b=45),
        plot_bgcolor='white',
        showlegend=len(lines) > 1,
        legend=dict(orientation='h', x=0, y=1.02, yanchor='bottom'),
        hovermode='x unified',
        xaxis=dict(title=x_title, gridcolor='#eef1f4', zeroline=False),
        yaxis=dict(
            title=y_title,
            gridcolor='#dde3e9',
            rangemode='tozero',
            exponentformat='power'))
    return figure_html(
        figure, name, height, scrollZoom=False, displayModeBar=False)


def cards(pieces: Dict[str, str]) -> str:
    """Pieces of HTML under headings, side by side where there is room."""
    content = ''.join(f'<div class="card"><h3>{escape(title)}</h3>{piece}'
                      '</div>' for title, piece in pieces.items())
    return f'<div class="row">{content}</div>'


def data_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names what the others measure.

    Args:
        header (Sequence[str]): Names of the columns.
        rows (Sequence[Sequence[str]]): Cells, as they shall be read.

    Returns:
        str: HTML; it scrolls sideways where it does not fit.
    """
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in header)
    body = ''.join('<tr>' + ''.join(f'<td>{escape(cell)}</td>'
                                    for cell in row) + '</tr>' for row in rows)
    return (f'<div class="scroll"><table class="data"><thead><tr>{head}</tr>'
            f'</thead><tbody>{body}</tbody></table></div>')


def folded(summary: str, body: str) -> str:
    """A piece of HTML that a click unfolds."""
    return f'<details><summary>{escape(summary)}</summary>{body}</details>'


def listing(lines: Sequence[str]) -> str:
    """Lines of a terminal."""
    return f'<pre>{escape(chr(10).join(lines))}</pre>'
