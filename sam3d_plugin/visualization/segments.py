"""A scene whose points have classes, as a picture and as a page.

Axes: N points. Points in metres, z up.
"""
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

import numpy as np
import plotly.graph_objects as go

from .html import points_trace, scene_layout, write_figure
from .points import check_points, choose_points
from .render import DEFAULT_VIEW, ViewOptions, render_scene

Palette = Sequence[Sequence[int]]


def label_colors(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """Colour points by their class.

    Args:
        labels (np.ndarray): (N,) indices into the palette.
        palette (Palette): A colour per class, three numbers from 0 to 255.

    Returns:
        np.ndarray: (N, 3) uint8.
    """
    return np.asarray(palette, np.uint8).reshape(-1, 3)[np.asarray(labels)]


def count_labels(labels: np.ndarray, names: Sequence[str]) -> Dict[str, int]:
    """Count the points of each class.

    Args:
        labels (np.ndarray): (N,) indices into the names.
        names (Sequence[str]): Name of each class.

    Returns:
        Dict[str, int]: Of the classes that occur, the most frequent first.
    """
    counts = np.bincount(labels, minlength=len(names))
    order = np.argsort(-counts, kind='stable')
    return {names[i]: int(counts[i]) for i in order if counts[i]}


def render_labels(path: Union[str, Path],
                  points: np.ndarray,
                  labels: np.ndarray,
                  names: Sequence[str],
                  palette: Palette,
                  title: str = '',
                  options: ViewOptions = DEFAULT_VIEW) -> None:
    """Write a PNG of a scene in the colours of its classes.

    Args:
        path (Union[str, Path]): PNG file to write; its folder is made.
        points (np.ndarray): (N, 3) xyz, metres, z up.
        labels (np.ndarray): (N,) class of each point.
        names (Sequence[str]): Name of each class.
        palette (Palette): Colour of each class.
        title (str): Written above the panels.
        options (ViewOptions): What the picture shows and from where.

    Raises:
        ValueError: When there is no point, a coordinate is not finite, or
            points and labels differ in number.
    """
    points, labels = _check(points, labels)
    legend = {
        name: palette[list(names).index(name)]
        for name in count_labels(labels, names)
    }
    render_scene(
        path,
        points,
        label_colors(labels, palette),
        title=title,
        options=options,
        legend=legend)


def build_label_figure(points: np.ndarray,
                       labels: np.ndarray,
                       names: Sequence[str],
                       palette: Palette,
                       title: str = '',
                       options: ViewOptions = DEFAULT_VIEW) -> go.Figure:
    """Build the figure of :func:`write_labels_html`.

    Args:
        points (np.ndarray): (N, 3) xyz, metres, z up.
        labels (np.ndarray): (N,) class of each point.
        names (Sequence[str]): Name of each class.
        palette (Palette): Colour of each class.
        title (str): Written above the scene.
        options (ViewOptions): What is shown and from where.

    Returns:
        go.Figure: A trace for each class that occurs, the most frequent
        first, switched by its entry in the legend.

    Raises:
        ValueError: When there is no point, a coordinate is not finite, or
            points and labels differ in number.
    """
    points, labels = _check(points, labels)
    counts = count_labels(labels, names)
    shown = choose_points(points, options.max_points, options.max_height,
                          options.seed)
    points, labels = points[shown], labels[shown]
    traces: List[go.Scatter3d] = []
    for name, count in counts.items():
        label = list(names).index(name)
        of_class = labels == label
        trace = points_trace(points[of_class],
                             label_colors(labels[of_class], palette))
        # The first colour alone would stand in the legend of an array.
        trace.marker.color = '#%02x%02x%02x' % tuple(palette[label])
        trace.name = f'{name} ({count / sum(counts.values()):.1%})'
        trace.showlegend = True
        traces.append(trace)
    figure = go.Figure(traces)
    figure.update_layout(scene_layout(title, options))
    return figure


def write_labels_html(path: Union[str, Path],
                      points: np.ndarray,
                      labels: np.ndarray,
                      names: Sequence[str],
                      palette: Palette,
                      title: str = '',
                      options: ViewOptions = DEFAULT_VIEW) -> None:
    """Write classes of points as one HTML file that needs no network.

    Dragging rotates, the wheel zooms, entries of the legend switch classes
    on and off.

    Args:
        path (Union[str, Path]): HTML file to write; its folder is made.
        points (np.ndarray): (N, 3) xyz, metres, z up.
        labels (np.ndarray): (N,) class of each point.
        names (Sequence[str]): Name of each class.
        palette (Palette): Colour of each class.
        title (str): Written above the scene.
        options (ViewOptions): What is shown and from where.

    Raises:
        ValueError: When there is no point, a coordinate is not finite, or
            points and labels differ in number.
    """
    figure = build_label_figure(points, labels, names, palette, title, options)
    write_figure(path, figure, title)


def _check(points: np.ndarray,
           labels: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    points, labels = check_points(points), np.asarray(labels)
    if labels.shape != points.shape[:1]:
        raise ValueError(f'{len(points)} points came with labels of shape '
                         f'{labels.shape}; give one class per point')
    return points, labels
