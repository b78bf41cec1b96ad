"""A scene with boxes as one HTML file that rotates and works offline.

Shapes: N points, M boxes, V vertices of lines. Points in meters, z up.
"""
from html import escape
from pathlib import PurePath
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from sam3d_plugin.store.files import PathLike
from .box_groups import PREDICTED_COLOR, TRUE_COLOR
from .boxes import NO_BOXES, LabelledBoxes, box_corners, match_boxes
from .pages import figure_html, write_page
from .points import soften
from .scene import DEFAULT_VIEW, Scene, ViewOptions

# One stroke over all edges of a box, by the corner index of box_corners.
_STROKE = (0, 1, 3, 2, 0, 4, 5, 1, 5, 7, 3, 7, 6, 2, 6, 4)
_STROKE_END = [None] * 3
_THRESHOLD_STEP = 0.05
# Share of the page below the scene that a slider takes.
_SLIDER_HEIGHT = 0.12


def _box_lines(boxes: LabelledBoxes, hover: Sequence[str],
               is_captioned: bool) -> Dict[str, Sequence]:
    """Vertices of box wireframes and their texts, by plotly's names.

    Each box is a stroke over its edges and one vertex above its top, apart
    from the stroke, that carries class and score if ``is_captioned``.
    ``hover`` has M texts.
    """
    vertices: List[Sequence[Optional[float]]] = []
    texts: List[str] = []
    hovers: List[str] = []
    captions = boxes.captions() if is_captioned else [''] * len(boxes)
    corners = box_corners(boxes.boxes).round(3)
    tops = (corners.max(axis=1) + [0, 0, 0.1]).round(3)
    for i, caption in enumerate(captions):
        top = [*boxes.boxes[i, :2].round(3).tolist(), float(tops[i, 2])]
        stroke = corners[i, list(_STROKE)].tolist()
        vertices += [*stroke, _STROKE_END, top, _STROKE_END]
        texts += [''] * (len(stroke) + 1) + [caption, '']
        hovers += [hover[i]] * (len(stroke) + 3)
    # zip(*[]) has no columns to unpack when there is no box.
    x, y, z = zip(*vertices) if vertices else ((), (), ())
    return dict(x=x, y=y, z=z, text=texts, hovertext=hovers)


def _hover_texts(boxes: LabelledBoxes, kind: str,
                 notes: Sequence[str]) -> List[str]:
    """Return what the mouse shows: kind, class, score, note and size."""
    return [
        f'<b>{escape(caption)}</b><br>{kind}{note}<br>'
        f'{box[3]:.2f} × {box[4]:.2f} × {box[5]:.2f} m'
        for caption, box, note in zip(boxes.captions(), boxes.boxes, notes)
    ]


def points_trace(points: np.ndarray,
                 colors: np.ndarray,
                 size: float = 3) -> go.Scatter3d:
    """Return points as a trace of a figure.

    Args:
        points (np.ndarray): (N, 3) xyz, meters.
        colors (np.ndarray): (N, 3) uint8.
        size (float): Of a point, pixels. Defaults to 3.

    Returns:
        go.Scatter3d: Named ``points``.
    """
    x, y, z = points.astype(np.float32).T
    return go.Scatter3d(
        x=x,
        y=y,
        z=z,
        mode='markers',
        name='points',
        hoverinfo='skip',
        marker=dict(
            size=size, color=['#%02x%02x%02x' % tuple(rgb) for rgb in colors]))


def _boxes_trace(lines: Dict[str, Sequence], name: str,
                 color: str) -> go.Scatter3d:
    return go.Scatter3d(
        **lines,
        mode='lines+text',
        name=name,
        hoverinfo='text',
        line=dict(color=color, width=4),
        textfont=dict(color=color, size=13, weight='bold'))


def _threshold_slider(predicted: LabelledBoxes, hover: Sequence[str],
                      score_thr: float, trace: int) -> Dict[str, Any]:
    """A slider from ``score_thr`` up that hides predictions of low score.

    ``trace`` is the position of the predictions among the traces.
    """
    assert predicted.scores is not None, 'the caller has checked the scores'
    first = int(np.floor(score_thr / _THRESHOLD_STEP + 1e-6)) + 1
    last = int(np.ceil(predicted.scores.max() / _THRESHOLD_STEP))
    thresholds = [score_thr
                  ] + [i * _THRESHOLD_STEP for i in range(first, last)]
    steps = []
    for threshold in thresholds:
        keep = np.flatnonzero(predicted.scores >= threshold)
        lines = _box_lines(
            predicted.select(keep), [hover[i] for i in keep], True)
        change: Dict[str, Sequence] = {
            key: [values]
            for key, values in lines.items()
        }
        change['name'] = [f'predicted ({len(keep)})']
        steps.append(
            dict(
                method='restyle',
                label=f'{threshold:.2f}',
                args=[change, [trace]]))
    return dict(
        steps=steps,
        currentvalue=dict(prefix='score ≥ '),
        pad=dict(b=25),
        len=0.5,
        x=0.25,
        y=0,
        yanchor='bottom')


def scene_layout(title: str, options: ViewOptions) -> Dict[str, Any]:
    """Title, legend and the first view, with z kept upright."""
    a, e = np.radians([options.azimuth, options.elevation])
    eye = 1.95 * np.array(
        [np.cos(e) * np.cos(a),
         np.cos(e) * np.sin(a),
         np.sin(e)])
    axis = dict(visible=False)
    return dict(
        title=dict(text=escape(title), x=0.5, y=0.98),
        margin=dict(l=0, r=0, t=40, b=0),
        legend=dict(x=0.01, y=0.99, itemsizing='constant'),
        scene=dict(
            aspectmode='data',
            dragmode='turntable',
            xaxis=axis,
            yaxis=axis,
            zaxis=axis,
            camera=dict(
                eye=dict(zip('xyz', eye.tolist())),
                center=dict(x=0, y=0, z=-0.1))))


def build_figure(scene: Scene,
                 score_thr: float = 0.0,
                 options: ViewOptions = DEFAULT_VIEW) -> go.Figure:
    """The figure of :func:`write_scene_html`.

    Traces points, true boxes and predicted boxes of ``score_thr`` and more,
    each switched by its entry in the legend.

    Raises ValueError when there is no point, a coordinate is not finite, or
    points and colors differ in number.
    """
    points, colors = scene.shown_points(options)
    true, predicted = scene.true or NO_BOXES, scene.predicted
    if predicted.scores is not None:
        predicted = predicted.select(predicted.scores >= score_thr)
    matches = match_boxes(predicted, true, options.iou_thr)
    is_found = np.isin(np.arange(len(true)), matches)
    true_hover = _hover_texts(
        true, 'true box',
        [', found' if found else ', not found' for found in is_found])
    hover = _hover_texts(predicted, 'predicted', [
        '' if scene.true is None else
        ', no match' if match < 0 else ', matches a true box'
        for match in matches
    ])
    # Two captions at one place cannot be read: true boxes have theirs under
    # the mouse as soon as there are predictions.
    figure = go.Figure([
        points_trace(points, soften(colors)),
        _boxes_trace(
            _box_lines(true, true_hover, not len(predicted)),
            f'true ({len(true)})', TRUE_COLOR),
        _boxes_trace(
            _box_lines(predicted, hover, True),
            f'predicted ({len(predicted)})', PREDICTED_COLOR),
    ])
    figure.update_layout(scene_layout(scene.name, options))
    if len(predicted) and predicted.scores is not None:
        slider = _threshold_slider(predicted, hover, score_thr, trace=2)
        figure.update_layout(
            sliders=[slider], scene_domain_y=[_SLIDER_HEIGHT, 1])
    return figure


def write_scene_html(path: PathLike,
                     scene: Scene,
                     score_thr: float = 0.0,
                     options: ViewOptions = DEFAULT_VIEW) -> None:
    """Write a scene as one HTML file that needs no network (about 6 MB).

    Dragging rotates, the wheel zooms, legend entries switch points, true and
    predicted boxes on and off, a slider raises the score threshold, and class,
    score and size of a box appear under the mouse.

    Raises ValueError when there is no point, a coordinate is not finite, or
    points and colors differ in number.
    """
    write_figure(path, build_figure(scene, score_thr, options), scene.name)


def save_html(points: ArrayLike,
              boxes: Union[LabelledBoxes, ArrayLike] = NO_BOXES,
              path: PathLike = 'scene.html',
              colors: Optional[ArrayLike] = None) -> None:
    """Write points and boxes as a page that rotates offline.

    Args:
        points (ArrayLike): (N, 3) xyz in meters, z up.
        boxes (Union[LabelledBoxes, ArrayLike]): As a ``Predictor`` finds
            them, or (M, 7) gravity center, size and yaw, see
            :mod:`~sam3d_plugin.visualization.boxes`.
        path (PathLike): File to write.
        colors (Optional[ArrayLike]): (N, 3) from 0 to 255. By default points
            are colored by height.

    Raises:
        UserError: When there is no point, a number is not finite, or shapes
            do not fit.

    Examples:
        >>> import numpy as np
        >>> from sam3d_plugin import save_html
        >>> points = np.random.default_rng(0).uniform(0, 3, (1000, 3))
        >>> save_html(points, [[1, 1, .5, .6, .6, 1, 0]], 'box.html')
    """
    if not isinstance(boxes, LabelledBoxes):
        found = np.asarray(boxes, dtype=np.float64)
        boxes = LabelledBoxes(found, ['box'] * len(found))
    name = PurePath(str(path)).stem
    shown = None if colors is None else np.asarray(colors)
    write_scene_html(path,
                     Scene(name, np.asarray(points), shown, predicted=boxes))


def write_figure(path: PathLike, figure: go.Figure, title: str) -> None:
    """Write a figure that fills a page of its own."""
    write_page(
        path, 'scene.html', title=title, figure=figure_html(figure, 'scene'))
