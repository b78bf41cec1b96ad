"""The figure of the method is what its tool draws."""
import io

import numpy as np
from PIL import Image

from tests.tools.conftest import load_tool


def test_the_picture_is_what_the_tool_draws():
    tool = load_tool('docs/draw_method')
    with io.BytesIO() as file:
        tool.draw().savefig(file, format='png', dpi=130)
        drawn = np.asarray(Image.open(file).convert('L'), float)
    kept = np.asarray(Image.open(tool.PICTURE).convert('L'), float)
    # Versions of matplotlib place letters by fractions of a pixel.
    assert drawn.shape == kept.shape
    assert (np.abs(drawn - kept) > 64).mean() < 0.01
    assert (np.abs(drawn[::-1] - kept) > 64).mean() > 0.02
