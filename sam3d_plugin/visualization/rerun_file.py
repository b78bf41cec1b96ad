"""A scene as a recording for the Rerun viewer, where rerun-sdk is installed.

``rerun FILE.rrd`` shows it: ``scan/points``, and boxes by class under
``scan/predicted`` and ``scan/true``. Points in meters, z up.
"""
from importlib.util import find_spec
from typing import Any, Tuple

import numpy as np

from sam3d_plugin.store.files import PathLike, write_bytes
from .boxes import NO_BOXES, LabelledBoxes
from .points import colors_from_height, colors_from_ids
from .scene import Scene
from .segments import LabelledScene


def has_rerun() -> bool:
    """Whether rerun-sdk (the extra ``rerun``) is installed."""
    return find_spec('rerun') is not None


def write_scene_rrd(path: PathLike, scene: Scene) -> None:
    """Write points, true and predicted boxes of a scene.

    Args:
        path (PathLike): File to write.
        scene (Scene): All its points and boxes are in the file.
    """
    import rerun
    colors = scene.colors
    if colors is None:
        colors = colors_from_height(scene.points)
    recording, stream = _start()
    recording.log(
        'scan/points',
        rerun.Points3D(scene.points, colors=colors),
        static=True)
    for kind, boxes in (('predicted', scene.predicted), ('true', scene.true
                                                         or NO_BOXES)):
        for name in dict.fromkeys(boxes.names):
            is_shown = np.array(boxes.names) == name
            recording.log(
                f'scan/{kind}/{name.replace(" ", "_")}',
                _boxes(boxes.select(is_shown)),
                static=True)
    write_bytes(path, stream.read())


def write_labels_rrd(path: PathLike, scene: LabelledScene) -> None:
    """Write the points of a scene with their classes.

    Args:
        path (PathLike): File to write.
        scene (LabelledScene): All its points are in the file.
    """
    import rerun
    classes = [(i, name, tuple(color))
               for i, (name,
                       color) in enumerate(zip(scene.classes, scene.palette))]
    recording, stream = _start()
    recording.log('scan', rerun.AnnotationContext(classes), static=True)
    recording.log(
        'scan/points',
        rerun.Points3D(scene.points, class_ids=scene.labels),
        static=True)
    write_bytes(path, stream.read())


def _start() -> Tuple[Any, Any]:
    """A recording, and where its bytes go from the first entry on."""
    import rerun
    recording = rerun.RecordingStream('sam3d_plugin')
    stream = recording.binary_stream()
    recording.log('scan', rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    return recording, stream


def _boxes(boxes: LabelledBoxes) -> Any:
    """Boxes of one class; yaw turns them about z."""
    import rerun
    numbers, half = boxes.boxes, boxes.boxes[:, 6] / 2
    zeros = np.zeros_like(half)
    turns = np.stack([zeros, zeros, np.sin(half), np.cos(half)], axis=1)
    # A name has the same color in every file.
    color = colors_from_ids(np.array([sum(boxes.names[0].encode())]))[0]
    return rerun.Boxes3D(
        centers=numbers[:, :3],
        half_sizes=numbers[:, 3:6] / 2,
        quaternions=turns,
        labels=list(boxes.captions()),
        colors=np.tile(color, (len(boxes), 1)))
