"""A scene whose points have classes, as a picture and as a page.

Shapes: N points. Points in meters, z up.
"""
from dataclasses import dataclass
from typing import Dict, Sequence

import numpy as np
import plotly.graph_objects as go

from sam3d_plugin.store.files import PathLike
from ..store.errors import UserError
from .box_groups import hex_color
from .html import points_trace, scene_layout, write_figure
from .points import check_points, choose_points
from .render import render_scene
from .scene import DEFAULT_VIEW, Scene, ViewOptions

Palette = Sequence[Sequence[int]]


def label_colors(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """(N, 3) uint8 of (N,) indices into the palette."""
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


@dataclass(frozen=True)
class LabelledScene:
    """A scene whose points have classes.

    Raises ValueError when there is no point, a coordinate is not finite, or
    points and labels differ in number.
    """
    name: str  # Name of the scan
    points: np.ndarray  # (N, 3) xyz, meters, z up
    labels: np.ndarray  # (N,) class of each point
    classes: Sequence[str]  # Name of each class
    palette: Palette  # Color of each class

    def __post_init__(self) -> None:
        points, labels = check_points(self.points), np.asarray(self.labels)
        if labels.shape != points.shape[:1]:
            raise UserError(f'{len(points)} points came with labels of shape '
                            f'{labels.shape}; give one class per point')
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'labels', labels)


def render_labels(path: PathLike,
                  scene: LabelledScene,
                  options: ViewOptions = DEFAULT_VIEW) -> None:
    """Write a PNG of a scene in the colors of its classes."""
    colors = dict(zip(scene.classes, scene.palette))
    render_scene(
        path,
        Scene(scene.name, scene.points,
              label_colors(scene.labels, scene.palette)), options, {
                  name: colors[name]
                  for name in count_labels(scene.labels, scene.classes)
              })


def build_label_figure(scene: LabelledScene,
                       options: ViewOptions = DEFAULT_VIEW) -> go.Figure:
    """The figure of :func:`write_labels_html`.

    A trace for each class that occurs, the most frequent first, switched by
    its entry in the legend.
    """
    shown = choose_points(scene.points, options.max_points, options.max_height,
                          options.seed)
    points, labels = scene.points[shown], scene.labels[shown]
    traces = []
    for name, count in count_labels(scene.labels, scene.classes).items():
        label = list(scene.classes).index(name)
        trace = points_trace(points[labels == label], np.zeros((0, 3)))
        # The first color alone would stand in the legend of an array.
        trace.marker.color = hex_color(scene.palette[label])
        trace.name = f'{name} ({count / len(scene.labels):.1%})'
        trace.showlegend = True
        traces.append(trace)
    return go.Figure(traces, scene_layout(scene.name, options))


def write_labels_html(path: PathLike,
                      scene: LabelledScene,
                      options: ViewOptions = DEFAULT_VIEW) -> None:
    """Write classes of points as one HTML file that needs no network.

    Dragging rotates, the wheel zooms, entries of the legend switch classes on
    and off.
    """
    write_figure(path, build_label_figure(scene, options), scene.name)
