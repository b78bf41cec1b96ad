"""The sections of a report on a pre-training: arrays in, HTML out.

Shapes: N points, G tokens, C channels, H W pixels of the color image, H' W' of
the depth image.
"""
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from .features import explained_share, pca_colors
from .overlays import draw_regions
from .points import colors_from_ids
from .report_page import FRAME_DISTANCE, Section, loss_chart, point_viewer
from .scene import ViewOptions

NOTHING = np.array([225, 225, 225], dtype=np.uint8)
_MAX_CLASSES = 20
# Kinds of tokens, by name the key of their purity.
_GROUPS = {
    'regions of the image': 'regions',
    'as many kNN groups of their mean size': 'fps_knn_mean_size',
    'each point to the nearest of as many centers': 'fps_nearest_center'
}


@dataclass(frozen=True)
class FrameTokens:
    """Tokens of a frame, as one encoder sees it."""
    point_tokens: np.ndarray  # (N,) token of each point
    features: np.ndarray  # (G, C) of the encoder


@dataclass(frozen=True)
class FrameView:
    """One RGB-D frame of the report."""
    name: str  # Scan and frame, for the reader
    color: np.ndarray  # (H, W, 3) uint8
    region_ids: np.ndarray  # (H, W) 0 = in no region
    # (H', W', 3) uint8, the color of every pixel of depth, gray without
    depth_color: np.ndarray
    # (H', W') as many groups of nearest neighbors instead, 0 = in none
    neighbor_groups: np.ndarray
    xyz: np.ndarray  # (N, 3) points that the encoders see, meters, z up
    photo: np.ndarray  # (N, 3) uint8, their colors in the image
    # (H', W') the point that a pixel of the depth image shows, -1 = none
    pixel_points: np.ndarray
    # Where the camera stands, degrees counter-clockwise from the x axis
    azimuth: float = ViewOptions.azimuth
    # By the name of the encoder
    tokens: Dict[str, FrameTokens] = field(default_factory=dict)
    objects: Optional[np.ndarray] = None  # (H', W') true ones, when known


@dataclass(frozen=True)
class Curves:
    """What a training logged."""
    steps: Sequence[int]  # Numbers of the logged steps
    # Values there, by name; the sum of all is called ``loss``
    losses: Mapping[str, Sequence[float]]
    step_s: float  # Median time of a step, seconds
    data_s: float  # How long of it the step waited for data


def regions_section(
        frames: Sequence[FrameView],
        facts: Mapping[str, str],
        purity: Optional[Mapping[str, Mapping[str, float]]] = None) -> Section:
    """Color images beside their regions, true objects, and kNN groups.

    Args:
        frames (Sequence[FrameView]): What is shown.
        facts (Mapping[str, str]): Of the data set.
        purity (Optional[Mapping[str, Mapping[str, float]]]): Of regions and
            other groups, as ``purity_cases.measure_regions`` has it.

    Returns:
        Section: With a claim, when purity is known.
    """
    shown = []
    for frame in frames:
        ids = frame.region_ids
        pictures = {'color image': frame.color}
        if frame.objects is not None:
            pictures['true objects'] = draw_regions(frame.depth_color,
                                                    frame.objects)
        covered = (ids > 0).mean()
        pictures[f'{len(np.unique(ids[ids > 0]))} regions on {covered:.0%} of '
                 'the pixels: the tokens'] = draw_regions(frame.color, ids)
        pictures['as many groups of nearest neighbors'] = draw_regions(
            frame.depth_color, frame.neighbor_groups)
        shown.append((frame.name, pictures))
    rows, claim = [], ''
    if purity:
        rows = [(name, f'{purity[key]["purity"]:.1%}',
                 f'{purity[key]["covered"]:.0%}')
                for name, key in _GROUPS.items()]
        claim = (f'{rows[0][1]} of the points are on the main object of their '
                 f'token. With as many groups of nearest neighbors (kNN), the '
                 f'usual choice, it is {rows[1][1]}.')
    return Section('Regions',
                   dict(rows=facts.items(), frames=shown, purity=rows), claim)


def tokens_section(frames: Sequence[FrameView]) -> Section:
    """Points that rotate, colored by token and by features."""
    colors = feature_colors(frames)
    shown = []
    for i, frame in enumerate(frames):
        first = next(iter(frame.tokens.values())).point_tokens
        choices = {'tokens': colors_from_ids(first + 1), 'photo': frame.photo}
        for name, tokens in frame.tokens.items():
            choices[f'features: {name}'] = colors[name][i][tokens.point_tokens]
        view = ViewOptions(azimuth=frame.azimuth, elevation=25)
        shown.append((f'{frame.name}: {len(frame.xyz):,} points in '
                      f'{len(np.unique(first))} tokens',
                      point_viewer(f'points{i}', frame.xyz, choices, view,
                                   FRAME_DISTANCE)))
    return Section('Tokens', dict(frames=shown))


def curves_section(curves: Mapping[str, Curves]) -> Section:
    """Losses of every stage, by its name, each on axes of its own."""
    runs = []
    for i, (name, run) in enumerate(curves.items()):
        chart = loss_chart(f'losses{i}', {
            label: (run.steps, values)
            for label, values in run.losses.items()
        })
        total = run.losses['loss']
        runs.append((name, chart, [
            ('logged at step', f'{run.steps[0]} … {run.steps[-1]}'),
            ('loss there', f'{total[0]:.3g} … {total[-1]:.3g}'),
            ('median time of a step', f'{run.step_s:.2f} s, of which '
             f'{run.data_s:.2f} s waiting for data'),
        ]))
    return Section('Losses', dict(runs=runs))


def features_section(frames: Sequence[FrameView]) -> Section:
    """Each image painted with the token features of every encoder."""
    colors = feature_colors(frames)
    shown = []
    for i, frame in enumerate(frames):
        pictures = {'color image': frame.color}
        for name, tokens in frame.tokens.items():
            pictures[name] = paint_tokens(frame, tokens, colors[name][i])
        shown.append((frame.name, pictures))
    rows = [(name, features.shape[1], len(features),
             f'{explained_share(features, 3):.0%}')
            for name, features in all_features(frames).items()]
    return Section('Features', dict(frames=shown, rows=rows))


def all_features(frames: Sequence[FrameView]) -> Dict[str, np.ndarray]:
    """(sum G, C) token features of all frames together, by encoder."""
    return {
        name: np.concatenate([f.tokens[name].features for f in frames])
        for name in frames[0].tokens
    }


def feature_colors(frames: Sequence[FrameView]) -> Dict[str, List[np.ndarray]]:
    """(G, 3) uint8 colors of each frame's tokens, by encoder.

    One set of principal components for all frames of an encoder.
    """
    colors = {}
    for name, features in all_features(frames).items():
        ends = np.cumsum([len(f.tokens[name].features) for f in frames])
        colors[name] = np.split(pca_colors(features), ends[:-1])
    return colors


def paint_tokens(frame: FrameView, tokens: FrameTokens,
                 colors: np.ndarray) -> np.ndarray:
    """(H', W', 3) uint8: each pixel of depth in its token's color.

    ``colors`` (G, 3) uint8 are those of the tokens; gray is where no point is
    shown.
    """
    image = colors[tokens.point_tokens][frame.pixel_points]
    image[frame.pixel_points < 0] = NOTHING
    return image


def probe_section(probes: Mapping[str, Dict[str, Any]]) -> Section:
    """What a linear layer reads from the features of every encoder.

    ``probes`` is what ``tools/experiments/linear_probe.py`` wrote, by encoder.
    The claim and the classes are of points that read the three nearest
    tokens. Classes are folded away, the most frequent first.
    """
    rows = [[
        name, *(f'{100 * probe[read][key]:.1f}' for read in ('own', 'three_nn')
                for key in ('miou', 'macc'))
    ] for name, probe in probes.items()]
    first = next(iter(probes.values()))
    known = first['three_nn']['classes']
    classes = [[
        name, *(f'{100 * probe["three_nn"]["classes"][name]["iou"]:.1f}'
                for probe in probes.values()), f'{known[name]["points"]:,}'
    ] for name in sorted(known, key=lambda name: -known[name]['points'])]
    claim = ''
    if len(rows) > 1:
        claim = ('From its features one simple layer reads what each point '
                 'belongs to (chair, wall, …). Its score, the mIoU of the '
                 'three nearest tokens explained below, of which 100 is '
                 f'perfect: {rows[0][3]} {rows[0][0]}, {rows[-1][3]} after '
                 f'{rows[-1][0]}.')
    return Section(
        'Probe',
        dict(
            frames=first['frames'],
            rows=rows,
            encoders=list(probes),
            classes=classes[:_MAX_CLASSES]), claim)


def cost_section(costs: Dict[str, Any]) -> Section:
    """Time and memory of every step, and the commands.

    ``costs`` has ``steps``, each with title, command, seconds, cpu_s, peak_mb
    and is_done; and ``machine``, values by name.
    """
    steps = [step for step in costs['steps'] if step['is_done']]
    total = dict(
        title='all of it',
        seconds=sum(step['seconds'] for step in steps),
        cpu_s=sum(step['cpu_s'] for step in steps),
        peak_mb=max(step['peak_mb'] for step in steps))
    rows = [(step['title'], duration(step['seconds']), duration(step['cpu_s']),
             f'{step["peak_mb"]:,.0f} MB') for step in [*steps, total]]
    return Section(
        'Cost',
        dict(
            rows=rows,
            machine=costs['machine'],
            commands=[step['command'] for step in steps]))


def duration(seconds: float) -> str:
    """Seconds in the words of a clock."""
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest:02d} s'
