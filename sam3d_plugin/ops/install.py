"""Installation of this package's operations in place of mmcv's.

mmdet3d's detectors call ``mmcv.ops``, which has no CPU kernels for them.
:func:`install` changes three things and nothing else:

1. ``forward`` and ``backward`` of mmcv's autograd Function classes. Names
   that are already bound to ``apply`` of such a class follow.
2. The plain functions in ``mmcv.ops`` and its modules.
3. The same functions in modules that have imported them already.

On a GPU the replacements call what they replaced, but for the focal loss,
which is plain torch everywhere.
"""
import sys
from typing import Any

from . import boxes, focal_loss, giou, grouping, neighbors, sampling
from ._mmcv import FUNCTION_CLASSES, PLAIN_FUNCTIONS, function_class, originals

_CLASSES = {
    cls.__name__: cls
    for cls in (sampling.FurthestPointSampling, neighbors.BallQuery,
                neighbors.KNN, neighbors.ThreeNN, grouping.GatherPoints,
                grouping.GroupingOperation, grouping.ThreeInterpolate)
}
_FUNCTIONS = {
    function.__name__: function
    for function in (giou.box_iou_rotated, boxes.points_in_boxes_all,
                     boxes.points_in_boxes_part, focal_loss.sigmoid_focal_loss)
}


def install() -> None:
    """Make mmcv's point operations run on CPU tensors; idempotent."""
    before = originals()
    for name in FUNCTION_CLASSES:
        mmcv_class: Any = function_class(name)
        ours = _CLASSES[name]
        mmcv_class.forward = staticmethod(ours.forward)
        mmcv_class.backward = staticmethod(ours.backward)
    for name in PLAIN_FUNCTIONS:
        _rebind(before[name], _FUNCTIONS[name])


def _rebind(old: object, new: object) -> None:
    """Replace a function in every module that has it under any name."""
    for module in list(sys.modules.values()):
        # Some entries are lazy and run code when asked for an attribute.
        names = getattr(module, '__dict__', None) or {}
        for name, value in list(names.items()):
            if value is old:
                setattr(module, name, new)
