"""A report of many sections as one HTML page that needs no network.

A section is a template of ``templates/sections`` with what it shows. Another
kind of result becomes another template and another :class:`Section`.

Shapes: N points.
"""
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from sam3d_plugin.store.files import PathLike
from ..store.errors import UserError
from .html import points_trace, scene_layout
from .pages import figure_html, render, write_page
from .points import check_points
from .scene import ViewOptions

# Told apart with any color vision, and from each other in gray.
LINE_COLORS = ('#0050b0', '#d9400b', '#5d8a1f', '#7a3fa0', '#8a6d00')
# Seconds after which a browser reloads the page of an unfinished run.
RELOAD_S = 30
_NO_MARGIN = dict(l=0, r=0, t=0, b=0)
# Of the camera from the points, in diagonals of the box around them: for a
# frame, and for a room, which comes nearer to the camera.
FRAME_DISTANCE, ROOM_DISTANCE = 0.75, 1.3


@dataclass(frozen=True)
class Section:
    """A part of the report."""
    # In the list of contents; in small letters the name of the template
    label: str
    content: Dict[str, Any]  # What the template shows
    claim: str = ''  # Its result in a sentence, for the top of the page

    @property
    def body(self) -> Markup:
        """Markup: The section, from its heading on."""
        return render(f'sections/{self.label.lower()}.html', **self.content)


def write_report(path: PathLike,
                 title: str,
                 sections: Sequence[Section],
                 unfinished: str = '') -> int:
    """Write the page; its size in bytes.

    ``unfinished`` says what still runs; a browser then reloads the page.
    """
    return write_page(
        path,
        'report.html',
        title=title,
        sections=sections,
        unfinished=unfinished,
        reload_s=RELOAD_S)


def scene_html(name: str, figure: go.Figure) -> Markup:
    """A figure of a scene that rotates; the wheel scrolls the page.

    ``figure`` is that of :func:`~.html.build_figure`; its title and camera are
    changed.
    """
    points = figure.data[0]
    figure.update_layout(
        title=None,
        margin=_NO_MARGIN,
        scene_camera=_near_camera(
            np.column_stack([points.x, points.y, points.z]),
            figure.layout.scene.camera.eye, ROOM_DISTANCE))
    return figure_html(figure, name, '520px', scrollZoom=False)


def point_viewer(name: str,
                 xyz: np.ndarray,
                 choices: Mapping[str, np.ndarray],
                 view: ViewOptions,
                 distance: float,
                 region_ids: Optional[np.ndarray] = None,
                 height: int = 460,
                 size: float = 4,
                 wheel_zooms: bool = False) -> Dict[str, Any]:
    """Points that rotate, with a button for each way to color them.

    Args:
        name (str): Its id on the page, letters and digits.
        xyz (np.ndarray): (N, 3) meters, z up.
        choices (Mapping[str, np.ndarray]): (N, 3) uint8 by the text of the
            button; the first is shown first.
        view (ViewOptions): From where they are seen first.
        distance (float): Of the camera, in diagonals of the box around the
            points.
        region_ids (Optional[np.ndarray]): (N,) shown under the mouse.
        height (int): Pixels. Defaults to 460.
        size (float): Of a point, pixels. Defaults to 4.
        wheel_zooms (bool): Instead of scrolling the page.

    Returns:
        Dict[str, Any]: For the macro ``viewer`` of ``parts.html``.

    Raises:
        ValueError: When there is no point, no choice, or their numbers
            differ.
    """
    xyz = check_points(xyz)
    shapes = {np.shape(colors) for colors in choices.values()}
    if shapes != {xyz.shape}:
        raise UserError(f'{len(xyz)} points came with colors of shapes '
                        f'{sorted(shapes)}; give three numbers per point')
    points = points_trace(xyz, next(iter(choices.values())), size)
    if region_ids is not None:
        points.update(
            hoverinfo=None,
            customdata=region_ids,
            hovertemplate='region %{customdata}<extra></extra>')
    figure = go.Figure([points], scene_layout('', view))
    figure.update_layout(
        margin=_NO_MARGIN,
        scene_camera=_near_camera(xyz, figure.layout.scene.camera.eye,
                                  distance))
    return dict(
        name=name,
        colors={
            label: np.ascontiguousarray(colors, np.uint8).tobytes().hex()
            for label, colors in choices.items()
        },
        figure=figure_html(
            figure, name, f'{height}px', scrollZoom=wheel_zooms))


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


def loss_chart(
        name: str, lines: Mapping[str, Tuple[Sequence[float],
                                             Sequence[float]]]) -> Markup:
    """Losses over the steps of a training; the mouse reads their values.

    ``lines`` has steps and losses by the line's name.
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
        xaxis=dict(title='step', gridcolor='#eef1f4', zeroline=False),
        yaxis=dict(
            title='loss',
            gridcolor='#dde3e9',
            rangemode='tozero',
            exponentformat='power'))
    return figure_html(
        figure, name, '300px', scrollZoom=False, displayModeBar=False)
