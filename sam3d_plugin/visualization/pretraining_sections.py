"""The sections of a report on a pre-training: arrays in, HTML out.

Axes: N points, G tokens, C channels, H W pixels of the colour image, H' W' of
the depth image.
"""
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from . import pretraining_texts as texts
from .features import explained_share, pca_colors
from .overlays import depth_range, draw_depth, draw_regions
from .page_parts import names_and_values
from .points import colors_from_ids
from .render import ViewOptions
from .report_page import (Section, cards, data_table, folded, heading,
                          line_chart, listing, picture_row, point_viewer)

_NOTHING = np.array([225, 225, 225], dtype=np.uint8)
_MAX_CLASSES = 20


@dataclass(frozen=True)
class FrameTokens:
    """Tokens of a frame, as one encoder sees it.

    Args:
        point_tokens (np.ndarray): (N,) token of each point.
        features (np.ndarray): (G, C) of the encoder.
    """
    point_tokens: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class FrameView:
    """One RGB-D frame of the report.

    Args:
        name (str): Scan and frame, for the reader.
        color (np.ndarray): (H, W, 3) uint8.
        depth (np.ndarray): (H', W') metres, 0 = none.
        region_ids (np.ndarray): (H, W) 0 = in no region.
        xyz (np.ndarray): (N, 3) points that the encoders see, metres, z up.
        photo (np.ndarray): (N, 3) uint8, their colours in the image.
        pixel_points (np.ndarray): (H', W') the point that a pixel of the
            depth image shows, -1 = none.
        azimuth (float): Where the camera stands, degrees counter-clockwise
            from the x axis.
        tokens (Dict[str, FrameTokens]): By the name of the encoder.
    """
    name: str
    color: np.ndarray
    depth: np.ndarray
    region_ids: np.ndarray
    xyz: np.ndarray
    photo: np.ndarray
    pixel_points: np.ndarray
    azimuth: float = ViewOptions.azimuth
    tokens: Dict[str, FrameTokens] = field(default_factory=dict)


@dataclass(frozen=True)
class Curves:
    """What a training logged.

    Args:
        steps (Sequence[int]): Numbers of the logged steps.
        losses (Mapping[str, Sequence[float]]): Values there, by name; the
            sum of all is called ``loss``.
        step_s (float): Median time of a step, seconds.
        data_s (float): How long of it the step waited for data.
    """
    steps: Sequence[int]
    losses: Mapping[str, Sequence[float]]
    step_s: float
    data_s: float


def regions_section(frames: Sequence[FrameView],
                    facts: Mapping[str, str]) -> Section:
    """Colour images beside their regions.

    Args:
        frames (Sequence[FrameView]): Frames to show.
        facts (Mapping[str, str]): What the data set consists of.

    Returns:
        Section: Pictures and a table.
    """
    body = names_and_values(list(facts.items()))
    for frame in frames:
        count = len(np.unique(frame.region_ids[frame.region_ids > 0]))
        near, far = depth_range([frame.depth])
        covered = (frame.region_ids > 0).mean()
        body += heading(frame.name) + picture_row({
            'colour image':
            frame.color,
            f'{count} regions on {covered:.0%} of the pixels':
            draw_regions(frame.color, frame.region_ids),
            f'depth: {near:.1f} m (bright) to {far:.1f} m (dark)':
            draw_depth(frame.depth, near, far)
        })
    return Section('Regions of the images', texts.REGIONS, body, 'Regions')


def tokens_section(frames: Sequence[FrameView]) -> Section:
    """Points that rotate, coloured by token and by features.

    Args:
        frames (Sequence[FrameView]): Frames to show, with tokens.

    Returns:
        Section: A viewer for each frame.
    """
    colors = feature_colors(frames)
    body = ''
    for i, frame in enumerate(frames):
        first = next(iter(frame.tokens.values()))
        choices = {
            'tokens': colors_from_ids(first.point_tokens + 1),
            'photo': frame.photo
        }
        for name, tokens in frame.tokens.items():
            choices[f'features: {name}'] = colors[name][i][tokens.point_tokens]
        count = len(np.unique(first.point_tokens))
        body += heading(f'{frame.name}: {len(frame.xyz):,} points in '
                        f'{count} tokens')
        body += point_viewer(f'points{i}', frame.xyz, choices,
                             ViewOptions(azimuth=frame.azimuth, elevation=25))
    return Section('Tokens on the points', texts.TOKENS, body, 'Tokens')


def curves_section(curves: Mapping[str, Curves]) -> Section:
    """Losses of every stage, each on axes of its own.

    Args:
        curves (Mapping[str, Curves]): By the name of the stage.

    Returns:
        Section: A chart and some numbers for each.
    """
    pieces = {}
    for i, (name, run) in enumerate(curves.items()):
        chart = line_chart(f'losses{i}', {
            label: (run.steps, values)
            for label, values in run.losses.items()
        }, 'step', 'loss')
        total = run.losses['loss']
        pieces[name] = chart + names_and_values([
            ('logged at step', f'{run.steps[0]} … {run.steps[-1]}'),
            ('loss there', f'{total[0]:.3g} … {total[-1]:.3g}'),
            ('median time of a step', f'{run.step_s:.2f} s, of which '
             f'{run.data_s:.2f} s waiting for data'),
        ])
    return Section('Loss curves', texts.LOSSES, cards(pieces), 'Losses')


def features_section(frames: Sequence[FrameView]) -> Section:
    """Each image painted with the token features of every encoder.

    Args:
        frames (Sequence[FrameView]): Frames to show, with tokens.

    Returns:
        Section: A row of pictures for each frame.
    """
    colors = feature_colors(frames)
    body = ''
    for i, frame in enumerate(frames):
        pictures = {'colour image': frame.color}
        for name, tokens in frame.tokens.items():
            pictures[name] = paint_tokens(frame, tokens, colors[name][i])
        body += heading(frame.name) + picture_row(pictures)
    rows = [[
        name,
        str(features.shape[1]),
        str(len(features)), f'{explained_share(features, 3):.0%}'
    ] for name, features in all_features(frames).items()]
    body += data_table([
        'encoder', 'numbers per token', 'tokens shown',
        'of their variance in the three colours'
    ], rows)
    return Section('Features before and after pre-training', texts.FEATURES,
                   body, 'Features')


def all_features(frames: Sequence[FrameView]) -> Dict[str, np.ndarray]:
    """Token features of all frames together, by encoder.

    Args:
        frames (Sequence[FrameView]): All with the same encoders.

    Returns:
        Dict[str, np.ndarray]: (sum G, C) each.
    """
    return {
        name: np.concatenate([f.tokens[name].features for f in frames])
        for name in frames[0].tokens
    }


def feature_colors(frames: Sequence[FrameView]) -> Dict[str, List[np.ndarray]]:
    """Colours of tokens that compare between frames, by encoder.

    Args:
        frames (Sequence[FrameView]): All with the same encoders.

    Returns:
        Dict[str, List[np.ndarray]]: (G, 3) uint8 for each frame. One set of
        principal components for all frames of an encoder.
    """
    colors = {}
    for name, features in all_features(frames).items():
        ends = np.cumsum([len(f.tokens[name].features) for f in frames])
        colors[name] = np.split(pca_colors(features), ends[:-1])
    return colors


def paint_tokens(frame: FrameView, tokens: FrameTokens,
                 colors: np.ndarray) -> np.ndarray:
    """Give every pixel of the depth image the colour of its token.

    Args:
        frame (FrameView): The frame.
        tokens (FrameTokens): Of one encoder.
        colors (np.ndarray): (G, 3) uint8 of these tokens.

    Returns:
        np.ndarray: (H', W', 3) uint8, grey where no point is shown.
    """
    image = colors[tokens.point_tokens][frame.pixel_points]
    image[frame.pixel_points < 0] = _NOTHING
    return image


def probe_section(probes: Mapping[str, Dict[str, Any]]) -> Section:
    """What a linear layer reads from the features of every encoder.

    Args:
        probes (Mapping[str, Dict[str, Any]]): What
            ``tools/experiments/linear_probe.py`` wrote, by encoder.

    Returns:
        Section: Totals, and the classes folded away.
    """
    rows = [[
        name, *(f'{100 * probe[read][key]:.1f}' for read in ('own', 'three_nn')
                for key in ('miou', 'macc'))
    ] for name, probe in probes.items()]
    body = data_table(
        ['encoder', 'mIoU', 'mAcc', 'mIoU, 3 nearest', 'mAcc, 3 nearest'],
        rows)
    body += _class_table(probes)
    frames = next(iter(probes.values()))['frames']
    return Section('Linear probe: are the features useful?',
                   texts.PROBE.format(**frames), body, 'Probe')


def _class_table(probes: Mapping[str, Dict[str, Any]]) -> str:
    """IoU of each class by encoder, the most frequent class first."""
    known = next(iter(probes.values()))['own']['classes']
    names = sorted(known, key=lambda name: -known[name]['points'])
    rows = [[
        name, *(f'{100 * probe["own"]["classes"][name]["iou"]:.1f}'
                for probe in probes.values()), f'{known[name]["points"]:,}'
    ] for name in names[:_MAX_CLASSES]]
    table = data_table(['IoU of a class', *probes, 'points'], rows)
    return folded('Class by class', table)


def cost_section(costs: Dict[str, Any]) -> Section:
    """Time and memory of every step, and the commands.

    Args:
        costs (Dict[str, Any]): ``steps``, each with title, command, seconds,
            cpu_s, peak_mb and is_done; and ``machine``, values by name.

    Returns:
        Section: A table and the commands.
    """
    steps = [step for step in costs['steps'] if step['is_done']]
    rows = [[
        step['title'],
        duration(step['seconds']),
        duration(step['cpu_s']),
        f'{step["peak_mb"]:,.0f} MB',
    ] for step in steps]
    rows.append([
        'all of it',
        duration(sum(step['seconds'] for step in steps)),
        duration(sum(step['cpu_s'] for step in steps)),
        f'{max(step["peak_mb"] for step in steps):,.0f} MB'
    ])
    body = data_table(['step', 'time', 'processor time', 'peak memory'], rows)
    body += names_and_values([(name, str(value))
                              for name, value in costs['machine'].items()])
    body += heading('The same by hand')
    body += listing([step['command'] for step in steps])
    return Section('Time and memory of every step', texts.COSTS, body, 'Cost')


def duration(seconds: float) -> str:
    """Seconds in the words of a clock."""
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest:02d} s'
