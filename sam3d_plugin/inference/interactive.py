"""Detections as the parts of a page on which a user changes the threshold."""
import math
from tempfile import TemporaryDirectory
from typing import Iterator, List, Optional, Tuple

import numpy as np
import plotly.graph_objects as go

from ..preparation.sources.scans.scan import Scan
from ..visualization.html import build_figure
from ..visualization.scene import Scene, ViewOptions
from .detections import Detections
from .writers import write_detections

#: Columns of :func:`detection_rows`.
COLUMNS = ('class', 'score', 'center', 'size', 'yaw')
# No ceiling hides the room.
_VIEW = ViewOptions(max_height=2.2)
_HEIGHT = 520
# Centimeters in the table.
_DECIMALS = 2


def describe_reading(scan: Scan, detections: Detections) -> str:
    """How a scan was read, and what was done to it; a line each."""
    size = ' x '.join(f'{side:.1f}' for side in np.ptp(scan.xyz, axis=0))
    return '\n'.join([
        f'{scan.name}: {len(scan.xyz):,} points, {size} m, read in units of '
        f'{scan.scale:g} m with {scan.up} up', f'tokens: {detections.tokens}',
        *detections.notes
    ])


def detection_figure(detections: Detections,
                     max_boxes: int = 200) -> go.Figure:
    """Points and the ``max_boxes`` best boxes, meters, z up; rotates.

    Without title and slider, which the page has. Where a figure replaces
    another of the same scan, the camera stays.
    """
    scene = Scene(
        detections.scan,
        detections.points,
        detections.colors,
        predicted=detections.boxes.select(slice(max_boxes)))
    figure = build_figure(scene, options=_VIEW)
    figure.layout.sliders = ()
    return figure.update_layout(
        title=None,
        height=_HEIGHT,
        margin=dict(t=0),
        scene_domain_y=[0, 1],
        uirevision=detections.scan)


def detection_rows(detections: Detections) -> List[List[str]]:
    """A row of ``COLUMNS`` per box, in the units and axes of the file."""
    decimals = max(_DECIMALS + math.ceil(math.log10(detections.frame.scale)),
                   0)
    return [[
        box['class'], f'{box["score"]:.2f}',
        *(', '.join(f'{value:.{decimals}f}' for value in box[key])
          for key in ('center', 'size')), f'{box["yaw"]:.2f}'
    ] for box in detections.to_dict()['boxes']]


def show_boxes(
        detections: Optional[Detections],
        score_thr: float) -> Tuple[Optional[go.Figure], List[List[str]]]:
    """Figure and table of the boxes of a score; empty without a scan."""
    if detections is None:
        return None, []
    shown = detections.above(score_thr)
    return detection_figure(shown), detection_rows(shown)


def write_boxes(detections: Optional[Detections],
                score_thr: float) -> Iterator[List[str]]:
    """Paths of the files of the boxes of a score, deleted afterwards."""
    with TemporaryDirectory() as folder:
        paths = {} if detections is None else write_detections(
            detections.above(score_thr), folder, _VIEW)
        yield [str(path) for path in paths.values()]
