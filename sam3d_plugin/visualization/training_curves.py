"""Losses over training steps, a panel for each configuration."""
from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..store.errors import UserError
from .figures import figure_image

_DPI = 110
_PANEL = (484, 330)  # pixels
_COLUMNS = 3
# Colors that stay apart for the color-blind (Okabe and Ito).
_COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9')


@dataclass(frozen=True)
class Line:
    """The loss of one training."""
    steps: Sequence[int]  # Where it was logged, ascending
    loss: Sequence[float]  # Mean since the step logged before


def draw_training_curves(
        panels: Mapping[str, Mapping[str, Sequence[Line]]]) -> np.ndarray:
    """Losses on logarithmic axes, (H, W, 3) uint8.

    ``panels`` has lines by the title of a panel and the name of a group; lines
    of a group, such as the seeds of an arm, have one color.

    Raises ValueError when there is nothing to draw.
    """
    if not any(lines for groups in panels.values()
               for lines in groups.values()):
        raise UserError('there is no curve to draw')
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, (title, groups) in zip(axes, panels.items()):
            _draw_panel(panel, title, groups)
        for panel in axes[len(panels):]:
            panel.set_axis_off()

    return figure_image((_PANEL[0] * columns, _PANEL[1] * rows), _DPI, draw,
                        True)


def _draw_panel(axes: Axes, title: str,
                groups: Mapping[str, Sequence[Line]]) -> None:
    """Draw the lines of a panel, with a legend where it says something."""
    for i, (name, lines) in enumerate(groups.items()):
        for j, line in enumerate(lines):
            axes.plot(
                line.steps,
                line.loss,
                color=_COLORS[i % len(_COLORS)],
                linewidth=1.2,
                label='' if j else name)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel('step', fontsize=8)
    axes.set_ylabel('loss', fontsize=8)
    axes.set_yscale('log')
    axes.tick_params(labelsize=7, which='both')
    axes.grid(True, which='both', linewidth=0.3)
    if len(groups) > 1:
        axes.legend(fontsize=7)
