"""Figures of matplotlib as images, without a display.

Shapes: H W pixels.
"""
from typing import Callable, Tuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def figure_image(size: Tuple[float, float],
                 dpi: int,
                 draw: Callable[[Figure], None],
                 constrained: bool = False) -> np.ndarray:
    """The figure (H, W, 3) uint8 that ``draw`` fills in; always the same.

    ``size`` is width and height in pixels, ``dpi`` pixels per inch of lines
    and letters. With ``constrained``, matplotlib lays the axes out.
    """
    # A user's matplotlibrc must not change the picture.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Matplotlib rounds down.
        figure = Figure((size[0] / dpi + 1e-6, size[1] / dpi + 1e-6),
                        dpi,
                        facecolor='white',
                        layout='constrained' if constrained else None)
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
