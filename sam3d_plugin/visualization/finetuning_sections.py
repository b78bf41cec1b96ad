"""The sections of a report on fine-tunings: arrays in, HTML out.

Axes: N points, P predicted boxes, T true boxes.
"""
from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from . import finetuning_texts as texts
from .boxes import LabelledBoxes, match_boxes
from .html import build_figure
from .page_parts import names_and_values
from .points import choose_points, soften
from .pretraining_sections import duration
from .render import ViewOptions
from .report_page import (ROOM_DISTANCE, Section, color_legend, data_table,
                          folded, heading, picture_row, point_viewer, scene)
from .room_views import best_azimuth, class_groups, draw_room
from .segments import label_colors

# A training of fewer steps is called short.
_SHORT = 5000
_MAX_HEIGHT = 2.2
# Points that rotate; the pictures show more.
_ROTATING = 8000
_MAX_SIDE = 1080
_UNLABELLED = (225, 225, 225)
_RIGHT, _WRONG = (176, 186, 195), (217, 64, 11)
_THRESHOLDS = {'AP25': '0.25', 'AP50': '0.50'}


@dataclass(frozen=True)
class DetectedRoom:
    """A room with true and predicted boxes.

    Args:
        name (str): Of the scan.
        points (np.ndarray): (N, 3) xyz, metres, z up.
        colors (np.ndarray): (N, 3) uint8.
        true (LabelledBoxes): T boxes.
        predicted (LabelledBoxes): P boxes with scores, the best first.
    """
    name: str
    points: np.ndarray
    colors: np.ndarray
    true: LabelledBoxes
    predicted: LabelledBoxes


@dataclass(frozen=True)
class SegmentedRoom:
    """A room with true and predicted classes of its points.

    Args:
        name (str): Of the scan.
        points (np.ndarray): (N, 3) xyz, metres, z up.
        true (np.ndarray): (N,) indices into the classes; one beyond them is
            no label.
        predicted (np.ndarray): (N,) indices into the classes.

    Raises:
        ValueError: When the arrays differ in length.
    """
    name: str
    points: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.points), len(self.true), len(self.predicted)}
        if len(lengths) > 1:
            raise ValueError(
                f'{self.name} has {len(self.points)} points, '
                f'{len(self.true)} labels and {len(self.predicted)} '
                'predictions; the test pipeline must keep all points')


@dataclass(frozen=True)
class FineTuning:
    """What is known of a fine-tuning.

    Args:
        model (str): Its type.
        encoder (str): File that the encoder started from; '' is none.
        steps (int): Of the training.
        step_s (float): Median time of a step, seconds.
        losses (Tuple[float, float]): First and last that was logged.
        val_rooms (int): Rooms that the scores are measured on.
        palette (Mapping[str, Sequence[int]]): Colours of the classes, three
            numbers from 0 to 255, in the order of the labels.
        scores (Mapping[str, float]): What tools/test.py measured, from 0 to
            1; empty when it did not.
    """
    model: str
    encoder: str
    steps: int
    step_s: float
    losses: Tuple[float, float]
    val_rooms: int
    palette: Mapping[str, Sequence[int]]
    scores: Mapping[str, float] = field(default_factory=dict)


def detection_section(rooms: Sequence[DetectedRoom],
                      run: FineTuning) -> Section:
    """True and predicted boxes side by side.

    Args:
        rooms (Sequence[DetectedRoom]): Rooms to show.
        run (FineTuning): The training of the detector.

    Returns:
        Section: Scores, pictures and scenes that rotate.
    """
    body = _facts(run, {
        name: f'mAP_{threshold}'
        for name, threshold in _THRESHOLDS.items()
    })
    body += _class_scores(run, {
        name: f'{{}}_AP_{threshold}'
        for name, threshold in _THRESHOLDS.items()
    })
    for i, room in enumerate(rooms):
        body += _detected(f'boxes{i}', room, run)
    return Section('Detection: true and predicted boxes',
                   _text(texts.DETECTION, run), body, texts.DETECTION_LABEL)


def _detected(figure: str, room: DetectedRoom, run: FineTuning) -> str:
    """A room as two pictures, and as a scene that rotates."""
    view = _view_of(room.points)
    shown = room.predicted.select(slice(len(room.true)))
    is_matched = match_boxes(shown, room.true, view.iou_thr) >= 0
    colors = soften(room.colors)
    pictures = {
        f'true: {len(room.true)} boxes':
        draw_room(room.points, colors, class_groups(room.true, run.palette),
                  view),
        f'predicted: the {len(shown)} best of {len(room.predicted)}':
        draw_room(room.points, colors,
                  class_groups(shown, run.palette, is_matched), view)
    }
    rotating = build_figure(
        room.points,
        room.colors,
        room.true,
        shown,
        options=replace(view, max_points=_ROTATING))
    # Names stand in the pictures; here they would cover each other.
    rotating.update_traces(mode='lines', selector=dict(mode='lines+text'))
    return (heading(f'{room.name}: {is_matched.sum()} of {len(room.true)} '
                    'true boxes are matched') +
            picture_row(pictures, _MAX_SIDE) + scene(figure, rotating))


def _view_of(points: np.ndarray) -> ViewOptions:
    return ViewOptions(azimuth=best_azimuth(points), max_height=_MAX_HEIGHT)


def segmentation_section(rooms: Sequence[SegmentedRoom],
                         run: FineTuning) -> Section:
    """True and predicted classes of points side by side.

    Args:
        rooms (Sequence[SegmentedRoom]): Rooms to show.
        run (FineTuning): The training of the segmentor.

    Returns:
        Section: Scores, pictures, a legend and points that rotate.
    """
    body = _facts(run, {'mIoU': 'miou', 'points that are right': 'acc'})
    body += _class_scores(run, {'IoU': '{}'})
    body += color_legend(_occurring(rooms, run))
    for i, room in enumerate(rooms):
        body += _segmented(f'labels{i}', room, run)
    return Section('Segmentation: true and predicted classes',
                   _text(texts.SEGMENTATION, run), body,
                   texts.SEGMENTATION_LABEL)


def _occurring(rooms: Sequence[SegmentedRoom],
               run: FineTuning) -> Dict[str, Sequence[int]]:
    """Colours of the classes that the pictures show, the largest first."""
    names = list(run.palette)
    counts = np.zeros(len(names), dtype=int)
    for room in rooms:
        for labels in (room.true, room.predicted):
            found = np.bincount(labels, minlength=len(names))
            counts += found[:len(names)]
    order = np.argsort(-counts, kind='stable')
    colors = {names[i]: run.palette[names[i]] for i in order if counts[i]}
    return {**colors, 'no label': _UNLABELLED}


def _segmented(figure: str, room: SegmentedRoom, run: FineTuning) -> str:
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
        name: draw_room(room.points, colors, options=view)
        for name, colors in choices.items()
    }
    points = room.points - room.points.mean(axis=0)
    chosen = choose_points(points, _ROTATING, _MAX_HEIGHT)
    viewer = point_viewer(
        figure,
        points[chosen], {
            n: colors[chosen]
            for n, colors in choices.items()
        },
        view,
        distance=ROOM_DISTANCE)
    return (heading(f'{room.name}: {share:.0%} of {is_labelled.sum():,} '
                    'labelled points are right') +
            picture_row(pictures, _MAX_SIDE) + viewer)


def _text(text: str, run: FineTuning) -> str:
    """The text of a section; that the training was short comes first."""
    short = texts.SHORT.format(steps=run.steps) if run.steps < _SHORT else ''
    return f'{short}\n\n{text}'


def _facts(run: FineTuning, scores: Mapping[str, str]) -> str:
    """A table of the training and its scores; these by name and key."""
    rows = [(name, f'{100 * run.scores[key]:.1f} on {run.val_rooms} '
             'validation rooms') for name, key in scores.items()
            if key in run.scores]
    if not rows:
        rows = [(' and '.join(scores), 'not measured; tools/test.py with '
                 '--json and scores.json of the work directory does')]
    first, last = run.losses
    rows += [
        ('training', f'{run.steps:,} steps of {run.step_s:.2f} s, '
         f'{duration(run.steps * run.step_s)} in all'),
        ('its loss', f'{first:.3g} … {last:.3g}'),
        ('model', run.model),
        ('encoder starts from', run.encoder or 'nothing: untrained'),
    ]
    return names_and_values(rows)


def _class_scores(run: FineTuning, keys: Mapping[str, str]) -> str:
    """Scores of each class that has any, folded; ``{}`` is its name."""
    rows: List[List[str]] = []
    for name in run.palette:
        found = [key.format(name) for key in keys.values()]
        if set(found) <= set(run.scores):
            rows.append([name, *(f'{100 * run.scores[k]:.1f}' for k in found)])
    if not rows:
        return ''
    return folded('Class by class', data_table(['class', *keys], rows))
