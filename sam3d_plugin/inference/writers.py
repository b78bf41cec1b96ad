"""Result files: JSON, PLY, PNG, an HTML page and a Rerun recording.

Shapes: M boxes, N points.
"""
import json
from pathlib import Path
from typing import Dict, Tuple, Union

import numpy as np

from ..store import atomic_write
from ..visualization.boxes import BOX_EDGES, LabelledBoxes, box_corners
from ..visualization.html import write_scene_html
from ..visualization.ply import write_ply
from ..visualization.points import colors_from_height, colors_from_ids
from ..visualization.render import render_scene
from ..visualization.rerun_file import (has_rerun, write_labels_rrd,
                                        write_scene_rrd)
from ..visualization.scene import DEFAULT_VIEW, Scene, ViewOptions
from ..visualization.segments import (LabelledScene, label_colors,
                                      render_labels, write_labels_html)
from .detections import Detections
from .segmentation import Segmentation

# Distance of the points that draw an edge of a box, meters.
_EDGE_STEP = 0.01


def write_detections(detections: Detections,
                     out: Union[str, Path],
                     view: ViewOptions = DEFAULT_VIEW,
                     max_boxes: int = 200) -> Dict[str, Path]:
    """Write all files of a scan; their paths by ending.

    ``<scan>.json`` has all boxes, ``.ply``, ``.png``, ``.html`` and, where
    rerun-sdk is installed, ``.rrd`` the ``max_boxes`` best. The PLY holds the
    points and, as rows of points, the edges of the boxes, in one color per
    class. JSON and PLY are in the units and axes of the scan's file, the
    others in meters with z up.
    """
    paths = _paths(out, detections.scan)
    with atomic_write(paths['json'], 'w') as file:
        json.dump(detections.to_dict(), file, indent=1)
    drawn = detections.boxes.select(slice(max_boxes))
    colors = detections.colors
    if colors is None:
        colors = colors_from_height(detections.points)
    edges, edge_colors = draw_edges(drawn)
    write_ply(
        paths['ply'],
        detections.frame.points(np.concatenate([detections.points, edges])),
        np.concatenate([colors, edge_colors]),
        num_edges=len(edges),
        colors_show='' if detections.colors is not None else 'height',
        frame=detections.frame.comment)
    scene = Scene(detections.scan, detections.points, colors, predicted=drawn)
    render_scene(paths['png'], scene, view)
    write_scene_html(paths['html'], scene, detections.score_thr, view)
    if 'rrd' in paths:
        write_scene_rrd(paths['rrd'], scene)
    return paths


def _paths(out: Union[str, Path], scan: str) -> Dict[str, Path]:
    return {
        ending: Path(out) / f'{scan}.{ending}'
        for ending in ('json', 'ply', 'png', 'html', *['rrd'] * has_rerun())
    }


def write_segmentation(segmentation: Segmentation,
                       out: Union[str, Path],
                       view: ViewOptions = DEFAULT_VIEW) -> Dict[str, Path]:
    """Write all files of a scan; their paths by ending.

    ``<scan>.json``, ``.ply``, ``.png``, ``.html`` and, where rerun-sdk is
    installed, ``.rrd``. The PLY holds the points
    in one color per class, and its index as the property ``class_index``.
    """
    paths = _paths(out, segmentation.scan)
    with atomic_write(paths['json'], 'w') as file:
        json.dump(segmentation.to_dict(), file)
    points, labels = segmentation.points, segmentation.labels
    write_ply(
        paths['ply'],
        segmentation.frame.points(points),
        label_colors(labels, segmentation.palette),
        labels=labels,
        classes=segmentation.classes,
        colors_show='classes',
        frame=segmentation.frame.comment)
    scene = LabelledScene(segmentation.scan, points, labels,
                          segmentation.classes, segmentation.palette)
    render_labels(paths['png'], scene, view)
    write_labels_html(paths['html'], scene, view)
    if 'rrd' in paths:
        write_labels_rrd(paths['rrd'], scene)
    return paths


def draw_edges(boxes: LabelledBoxes) -> Tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) along the edges of boxes, and a color (P, 3) per class."""
    points, owners = [np.zeros((0, 3))], [np.zeros(0, int)]
    kinds = {name: i + 1 for i, name in enumerate(sorted(set(boxes.names)))}
    for corners, name in zip(box_corners(boxes.boxes), boxes.names):
        for start, end in corners[BOX_EDGES]:
            steps = int(np.linalg.norm(end - start) / _EDGE_STEP) + 2
            share = np.linspace(0, 1, steps)[:, None]
            points.append(start + share * (end - start))
            owners.append(np.full(steps, kinds[name]))
    return np.concatenate(points), colors_from_ids(np.concatenate(owners))
