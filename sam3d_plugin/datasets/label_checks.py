"""Checks that labels and boxes of a data set are what a model reads."""
import difflib
import math
from typing import Any, Dict, List, Optional

from mmdet3d.datasets import Seg3DDataset

from ..store.errors import UserError
from .transforms.base import all_steps

# What a subclass overrides whose masks follow metainfo.classes.
_MAPPING = 'get_seg_label_mapping'


def check_classes(dataset: Dict[str, Any], metainfo: Dict[str, Any], key: str,
                  where: str) -> None:
    """Refuse classes of the config that its data do not have."""
    known = list(metainfo.get(key) or ())
    for name in (dataset.get('metainfo') or {}).get('classes') or ():
        if known and name not in known:
            close = difflib.get_close_matches(name, known) or known
            raise UserError(f'class {name} of metainfo.classes is not one '
                            f'of {where}; it has {", ".join(close)}')


def check_mask_classes(dataset: Dict[str, Any], known: type) -> None:
    """Refuse chosen classes that the labels of the points do not follow.

    mmdet3d maps masks by the list of the data set's class, ``known``, and
    boxes by the chosen one.
    """
    mapping = getattr(known, _MAPPING, None)
    if mapping not in (None, getattr(Seg3DDataset, _MAPPING)):
        return  # it maps masks by the chosen one, too
    kind = dataset['type']
    own = tuple(getattr(known, 'METAINFO', {}).get('classes') or ())
    chosen = tuple((dataset.get('metainfo') or {}).get('classes') or own)
    steps = {
        s.get('type'): s
        for s in all_steps(dataset.get('pipeline') or ())
    }
    packed = steps.get('Pack3DDetInputs', {}).get('keys', ())
    is_read = 'Seg' in kind or 'pts_semantic_mask' in packed
    if chosen != own and is_read and 'PointSegClassMapping' in steps:
        raise UserError(
            f'metainfo.classes chooses {len(chosen)} classes or another '
            f'order, but PointSegClassMapping labels the points by the '
            f'{len(own)} of {kind}: take them all, in its order')


def check_labels(metainfo: Dict[str, Any], own: Dict[str, Any],
                 path: str) -> None:
    """Refuse labels that count the classes in another order than is read.

    mmdet3d reads a label as an index of the data set's own list.
    """
    names = list(own.get('classes') or ())
    categories = metainfo.get('categories')
    labels = categories.items() if isinstance(categories, dict) else ()
    for name, label in labels if names else ():
        read = names[label] if label < len(names) else 'unknown'
        if label >= 0 and read != name:
            raise UserError(
                f'{path}: label {label} is {name}, but the data set class '
                f'reads it as {read}: write labels in the order of its '
                f'METAINFO ({", ".join(names[:3])}, ...)')


def check_boxes(data_list: List[Dict[str, Any]],
                max_boxes: Optional[int],
                path: str,
                no_yaw: bool = False) -> None:
    """Refuse boxes without a size, turned, too many, or none at all."""
    total = 0
    for info in data_list:
        boxes = [
            instance['bbox_3d'] for instance in info.get('instances', ())
            if instance.get('bbox_label_3d', -1) >= 0
        ]
        scan = info.get('lidar_points', {}).get('lidar_path', 'a scene')
        total += len(boxes)
        if max_boxes is not None and len(boxes) > max_boxes:
            raise UserError(
                f'{path}: {scan} has {len(boxes)} boxes, and the detector '
                f'takes at most {max_boxes} a scene; leave out the scene or '
                'boxes')
        for box in boxes:
            if not all(map(math.isfinite, box)) or min(box[3:6]) <= 0:
                raise UserError(
                    f'{path}: {scan} has the box {list(map(float, box))}, '
                    'which is not finite or has no size; fix or remove it')
            if no_yaw and any(box[6:]):
                raise UserError(
                    f'{path}: {scan} has a box with yaw {box[6]}, and data '
                    'set or head know axis-aligned boxes only; give the box '
                    'that encloses it')
    if data_list and total == 0:
        raise UserError(f'{path} holds no box, so there is nothing to train '
                        'or evaluate on; choose a split with labeled scans')
