"""Draw the figure of the method that README.md and the site show.

    python tools/docs/draw_method.py
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import sys
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.store.atomic import atomic_write

PICTURE = ROOT / 'docs' / 'pictures' / 'method.png'
REGIONS = ['#4c78a8', '#f58518', '#54a24b', '#e45756', '#b279a2']
MASKED, FROZEN, TRAINED = '#d0d0d0', '#dfe8f3', '#fdf1e3'
HEIGHT = 3.7  # Of the figure; its width is 11


def draw() -> Figure:
    """Return the figure."""
    figure = Figure(figsize=(11, HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 11), ylim=(0, HEIGHT))
    axes.axis('off')
    _offline(axes)
    _stage(axes, 4.05, 'stage 1: learn the 2D features of regions', [])
    _stage(axes, 7.6, 'stage 2: predict masked tokens', [1, 3])
    axes.text(
        5.5,
        .08, 'then: the encoder becomes the backbone of VoteNet, GroupFree3D, '
        '3DETR, V-DETR or a segmentor',
        ha='center',
        fontsize=9)
    return figure


def _offline(axes: Axes) -> None:
    """The frame, its regions, and what becomes of them."""
    axes.text(1.9, 3.45, 'offline', ha='center', weight='bold')
    axes.text(.85, 3.12, 'RGB-D frame', ha='center', fontsize=9)
    axes.text(2.85, 3.12, 'SAM regions', ha='center', fontsize=9)
    for left, is_colored in ((.2, False), (2.2, True)):
        _picture(axes, left, 2.05, is_colored)
    _arrow(axes, (1.55, 2.55), (2.15, 2.55))
    _box(axes, (.2, .95), (1.3, .6), 'depth, pose', '#eeeeee')
    _box(axes, (2.2, .95), (1.3, .6), 'DINOv2 feature\nof every region',
         '#eeeeee')
    _arrow(axes, (2.85, 2.0), (2.85, 1.6))
    _arrow(axes, (.85, 2.0), (.85, 1.6))
    axes.text(
        1.85,
        .45,
        'points with region ids; features and groups of regions',
        ha='center',
        fontsize=8,
        style='italic')


def _picture(axes: Axes, left: float, bottom: float, is_colored: bool) -> None:
    """A room in an image of 1.3 by 1: a wall, a floor and furniture."""
    colors = REGIONS if is_colored else [
        '#c9c2b8', '#a58a6a', '#7d8a99', '#6e5844', '#8f9f87'
    ]
    shapes = [((0, .4), (1.3, .6)), ((0, 0), (1.3, .4)), ((.1, .2), (.5, .45)),
              ((.75, .25), (.4, .3)), ((.8, .65), (.3, .25))]
    for (x, y), (width, height), color in ((*s, c)
                                           for s, c in zip(shapes, colors)):
        axes.add_patch(
            FancyBboxPatch((left + x, bottom + y),
                           width,
                           height,
                           boxstyle='square,pad=0',
                           facecolor=color,
                           edgecolor='white',
                           linewidth=.8))


def _stage(axes: Axes, left: float, title: str, masked: List[int]) -> None:
    """Tokens, encoder and decoder of a stage, and what they predict."""
    middle = left + 1.6
    axes.text(middle, 3.45, title, ha='center', weight='bold')
    _tokens(axes, left, 2.3, masked)
    axes.text(
        left + .55,
        3.12,
        'visible tokens, masked in gray' if masked else 'point tokens',
        ha='center',
        fontsize=9)
    encoder = 'student' if masked else 'encoder'
    _box(axes, (left + 1.35, 2.3), (.8, .62), encoder, TRAINED)
    _box(axes, (left + 2.4, 2.3), (.8, .62), 'decoder', TRAINED)
    _arrow(axes, (left + 1.1, 2.6), (left + 1.32, 2.6))
    _arrow(axes, (left + 2.17, 2.6), (left + 2.37, 2.6))
    if masked:
        _tokens(axes, left, .95, [])
        _box(axes, (left + 1.35, .95), (.8, .62), 'stage 1\n(frozen)', FROZEN)
        _arrow(axes, (left + 1.1, 1.25), (left + 1.32, 1.25))
        _box(axes, (left + 2.4, .95), (.8, .62), 'tokens,\nscene', '#eeeeee')
        _arrow(axes, (left + 2.17, 1.25), (left + 2.37, 1.25))
        loss = 'mean squared error at masked tokens, and of the scene'
    else:
        _box(axes, (left + 2.15, .95), (1.05, .62), '2D features', '#eeeeee')
        loss = 'smooth L1, rare groups of regions weigh more'
    axes.add_patch(
        FancyArrowPatch((left + 2.8, 2.27), (left + 2.8, 1.6),
                        arrowstyle='<->',
                        mutation_scale=10,
                        linestyle='--',
                        color='#444444'))
    axes.text(middle, .45, loss, ha='center', fontsize=8, style='italic')


def _tokens(axes: Axes, left: float, bottom: float,
            masked: Sequence[int]) -> None:
    """A cloud of points for each region, gray where it is masked."""
    rng = np.random.default_rng(0)
    places = [(.2, .45), (.55, .15), (.9, .45), (.25, .05), (.6, .6)]
    for i, ((x, y), color) in enumerate(zip(places, REGIONS)):
        across, up = rng.normal((left + x, bottom + y), .07, (14, 2)).T
        axes.scatter(
            across, up, s=7, color=MASKED if i in masked else color, zorder=3)


def _box(axes: Axes, corner: Tuple[float, float], size: Tuple[float, float],
         text: str, color: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            corner,
            *size,
            boxstyle='round,pad=0,rounding_size=.08',
            facecolor=color,
            edgecolor='#666666'))
    axes.text(
        corner[0] + size[0] / 2,
        corner[1] + size[1] / 2,
        text,
        ha='center',
        va='center',
        fontsize=9)


def _arrow(axes: Axes, start: Tuple[float, float], end: Tuple[float,
                                                              float]) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle='->', mutation_scale=11, color='#444444'))


def main() -> None:
    """Draw and write the figure."""
    ToolParser(__doc__).parse_args()
    with atomic_write(PICTURE, 'wb') as file:
        draw().savefig(
            file, format='png', dpi=130, metadata=dict(Software=None))


if __name__ == '__main__':
    main()
