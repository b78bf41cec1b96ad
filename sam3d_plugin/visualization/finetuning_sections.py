"""The sections of a report on fine-tunings: arrays in, HTML out.

Shapes: N points.
"""
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..store.errors import UserError
from .box_groups import class_groups
from .boxes import match_boxes
from .html import build_figure
from .points import choose_points, soften
from .pretraining_sections import duration
from .render import best_azimuth, draw_room, hex_color
from .report_page import ROOM_DISTANCE, Section, point_viewer, scene_html
from .scene import Scene, ViewOptions
from .segments import label_colors

# A training of fewer steps is called short.
_SHORT_STEPS = 5000
_MAX_HEIGHT = 2.2
# Points that rotate; the pictures show more.
_ROTATING = 8000
_UNLABELLED = (225, 225, 225)
_RIGHT, _WRONG = (176, 186, 195), (217, 64, 11)
_THRESHOLDS = {'AP25': '0.25', 'AP50': '0.50'}


@dataclass(frozen=True)
class SegmentedRoom:
    """A room with true and predicted classes of its points.

    Raises ValueError when the arrays differ in length.
    """
    name: str  # Of the scan
    points: np.ndarray  # (N, 3) xyz, meters, z up
    # (N,) indices into the classes; one beyond them means unlabeled
    true: np.ndarray
    predicted: np.ndarray  # (N,) indices into the classes

    def __post_init__(self) -> None:
        lengths = {len(self.points), len(self.true), len(self.predicted)}
        if len(lengths) > 1:
            raise UserError(
                f'{self.name} has {len(self.points)} points, '
                f'{len(self.true)} labels and {len(self.predicted)} '
                'predictions; the test pipeline must keep all points')


@dataclass(frozen=True)
class FineTuning:
    """What is known of a fine-tuning."""
    model: str  # Its type
    encoder: str  # File that the encoder started from; '' is none
    steps: int  # Of the training
    val_rooms: int  # Rooms that the scores are measured on
    # Colors of the classes, three numbers from 0 to 255, in the order of the
    # labels
    palette: Mapping[str, Sequence[int]]
    # What tools/test.py measured, from 0 to 1; empty when it did not
    scores: Mapping[str, float] = field(default_factory=dict)
    step_s: float = 0.  # Median time of a step, seconds
    # First and last that was logged; None of the model of the package
    losses: Optional[Tuple[float, float]] = None


def detection_section(rooms: Sequence[Scene], run: FineTuning) -> Section:
    """True and predicted boxes side by side, and as scenes that rotate."""
    total = {name: f'mAP_{thr}' for name, thr in _THRESHOLDS.items()}
    by_class = {name: f'{{}}_AP_{thr}' for name, thr in _THRESHOLDS.items()}
    label = 'Detection' if run.losses else 'Shipped'
    return Section(
        label,
        dict(
            _training(run, total, by_class),
            rooms=[
                _detected(f'{label.lower()}{i}', room, run)
                for i, room in enumerate(rooms)
            ]), _claim(run, total, 'boxes'))


def _detected(figure: str, room: Scene,
              run: FineTuning) -> Tuple[str, Dict[str, np.ndarray], Any]:
    """A room as two pictures, and as a scene that rotates."""
    assert room.true is not None and room.colors is not None
    view = _view_of(room.points)
    count = len(room.true)
    shown = replace(room, predicted=room.predicted.select(slice(count)))
    is_matched = match_boxes(shown.predicted, room.true, view.iou_thr) >= 0
    pale = replace(room, colors=soften(room.colors))
    pictures = {
        f'true: {count} boxes':
        draw_room(pale, class_groups(room.true, run.palette), view),
        f'predicted: the {len(shown.predicted)} best of '
        f'{len(room.predicted)}':
        draw_room(pale, class_groups(shown.predicted, run.palette, is_matched),
                  view)
    }
    rotating = build_figure(shown, options=replace(view, max_points=_ROTATING))
    # Names stand in the pictures; here they would cover each other.
    rotating.update_traces(mode='lines', selector=dict(mode='lines+text'))
    return (f'{room.name}: {is_matched.sum()} of {count} true boxes are '
            'matched', pictures, scene_html(figure, rotating))


def _view_of(points: np.ndarray) -> ViewOptions:
    return ViewOptions(azimuth=best_azimuth(points), max_height=_MAX_HEIGHT)


def segmentation_section(rooms: Sequence[SegmentedRoom],
                         run: FineTuning) -> Section:
    """True and predicted classes of points side by side."""
    scores = {'mIoU': 'miou', 'points that are right': 'acc'}
    return Section(
        'Segmentation',
        dict(
            _training(run, scores, {'IoU': '{}'}),
            colors=_occurring(rooms, run),
            rooms=[
                _segmented(f'labels{i}', room, run)
                for i, room in enumerate(rooms)
            ]), _claim(run, scores, 'classes'))


def _occurring(rooms: Sequence[SegmentedRoom],
               run: FineTuning) -> Dict[str, str]:
    """Colors of the classes that the pictures show, the largest first."""
    labels = np.concatenate([x for r in rooms for x in (r.true, r.predicted)])
    counts = np.bincount(labels, minlength=len(run.palette))
    names = list(run.palette)
    order = np.argsort(-counts[:len(names)], kind='stable')
    colors = {names[i]: run.palette[names[i]] for i in order if counts[i]}
    colors['no label'] = _UNLABELLED
    return {name: hex_color(color) for name, color in colors.items()}


def _segmented(figure: str, room: SegmentedRoom,
               run: FineTuning) -> Tuple[str, Dict[str, np.ndarray], Any]:
    """A room as three pictures, and as points that rotate."""
    palette = [*run.palette.values(), _UNLABELLED]
    is_labelled = room.true < len(run.palette)
    # 0 = right, 1 = wrong, 2 = no label.
    kinds = np.where(is_labelled, room.true != room.predicted, 2)
    share = (kinds[is_labelled] == 0).mean() if is_labelled.any() else 0.0
    choices = {
        'true': label_colors(room.true.clip(max=len(run.palette)), palette),
        'predicted': label_colors(room.predicted, palette),
        'wrong': label_colors(kinds, [_RIGHT, _WRONG, _UNLABELLED])
    }
    view = _view_of(room.points)
    pictures = {
        name: draw_room(Scene(room.name, room.points, colors), options=view)
        for name, colors in choices.items()
    }
    points = room.points - room.points.mean(axis=0)
    chosen = choose_points(points, _ROTATING, _MAX_HEIGHT)
    viewer = point_viewer(figure, points[chosen], {
        n: colors[chosen]
        for n, colors in choices.items()
    }, view, ROOM_DISTANCE)
    return (f'{room.name}: {share:.0%} of {is_labelled.sum():,} labeled '
            'points are right', pictures, viewer)


def _claim(run: FineTuning, total: Mapping[str, str], what: str) -> str:
    """What a model reaches in a sentence; nothing without scores."""
    shown = [
        f'{name} {100 * run.scores[key]:.1f}' for name, key in total.items()
        if key in run.scores
    ]
    if not shown:
        return ''
    if run.losses is None:
        return (f'A detector that comes with the package and has learned from '
                f'other made-up rooms scores {" and ".join(shown)} in '
                f'{run.val_rooms} unseen rooms; 100 is perfect.')
    how = 'a short training' if run.steps < _SHORT_STEPS else 'a training'
    return (
        f'After {how} of {run.steps:,} steps with labels, the {what} in '
        f'{run.val_rooms} unseen rooms score {" and ".join(shown)}; 100 is '
        'perfect.')


def _training(run: FineTuning, total: Mapping[str, str],
              by_class: Mapping[str, str]) -> Dict[str, Any]:
    """Tables of a training and its scores, for ``fine_tuning.html``.

    ``total`` has the keys of the scores by name, ``by_class`` the same of a
    class, where ``{}`` is its name.
    """
    rows = [(name, f'{100 * run.scores[key]:.1f} on {run.val_rooms} '
             'validation rooms') for name, key in total.items()
            if key in run.scores]
    if not rows:
        rows = [(' and '.join(total), 'not measured; tools/test.py with '
                 '--json and scores.json of the work directory does')]
    rows += [('model', run.model)]
    if run.losses is None:
        rows += [('training', f'{run.steps:,} steps on other made-up rooms; '
                  'the detector comes with the package')]
    else:
        first, last = run.losses
        rows += [
            ('training', f'{run.steps:,} steps of {run.step_s:.2f} s, '
             f'{duration(run.steps * run.step_s)} in all'),
            ('its loss', f'{first:.3g} … {last:.3g}'),
            ('encoder starts from', run.encoder or 'nothing: untrained'),
        ]
    keys = {
        name: [key.format(name) for key in by_class.values()]
        for name in run.palette
    }
    return dict(
        steps=run.steps,
        short_steps=_SHORT_STEPS,
        rows=rows,
        scores=list(by_class),
        classes=[[name, *(f'{100 * run.scores[k]:.1f}' for k in found)]
                 for name, found in keys.items()
                 if set(found) <= set(run.scores)])
