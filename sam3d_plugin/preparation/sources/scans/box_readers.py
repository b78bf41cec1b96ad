"""Boxes that come with a scan: an array in it or a JSON file beside it.

Shapes: R boxes.
"""
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ....store.foreign_files import foreign_kind
from .frames import TO_Z_UP
from .scan import ScanError, class_of, files_beside
from .source_files import brief

# Of the name of a file of boxes.
BOXES_ENDING = '.boxes.json'

_BOX_KEYS = ('bbox', 'box', 'bbox_3d')
# Turn of a box, beside its center and size; the first is predict.py's.
_TURN_KEYS = ('yaw', 'heading', 'rotation', 'rotation_z')
_CLASS_KEYS = ('class', 'label', 'category', 'name')
_JSON_FORM = ('{"boxes": [{"class": "chair", "center": [x, y, z], '
              '"size": [dx, dy, dz]}]}')
# Part of the file format: tools/predict.py writes it.
FRAME = 'axis-aligned, metres, z up'

_OWN_FRAME = 'axis-aligned, units of {scale:g} m, {up} up'

Boxes = Tuple[Optional[np.ndarray], Optional[np.ndarray]]


def frame_of_units(scale: float, up: str) -> str:
    """What a box file says of boxes in the units and axes of a scan.

    Args:
        scale (float): Meters per unit.
        up (str): Axis that points up.

    Returns:
        str: ``FRAME`` for meters with z up.
    """
    if (scale, up) == (1., 'z'):
        return FRAME
    return _OWN_FRAME.format(scale=scale, up=up)


def read_boxes(path: Path,
               arrays: Dict[str, np.ndarray],
               scale: float = 1.,
               up: str = 'z') -> Boxes:
    """(R, 6) centers and sizes of a scan's boxes in its own units and axes,
    and (R,) NYU40 ids; None and None without boxes.

    The array ``bbox`` is (R, 7): center, size, NYU40 id. Boxes of a file that
    states its frame are in meters with z up, or in that of ``scale``, meters
    per unit, and ``up``. ScanError when there are two sources of boxes, or a
    box has no known class, a size that is not positive or a wrong form.
    """
    files = [
        file for file in files_beside(path, BOXES_ENDING) if file.is_file()
    ]
    if len(files) + ('bbox' in arrays) > 1:
        sources = [str(file) for file in files]
        sources += [str(path)] * ('bbox' in arrays)
        raise ScanError(f'{" and ".join(sources)} both hold boxes; keep '
                        'one')
    if files:
        own_frame = frame_of_units(scale, up)
        boxes, classes, is_final = _read_json(files[0], own_frame)
        if is_final:
            turn = TO_Z_UP[up]
            boxes = np.hstack(
                [boxes[:, :3] @ turn, boxes[:, 3:] @ np.abs(turn)]) / scale
        return _check_boxes(boxes, classes, files[0])
    if 'bbox' in arrays:
        return _check_boxes(*_split_rows(arrays['bbox'], path), path)
    return None, None


def _split_rows(rows: np.ndarray, path: Path) -> Tuple[np.ndarray, np.ndarray]:
    """Cut (R, 7) rows into boxes and NYU40 ids."""
    if rows.size == 0:
        rows = np.zeros((0, 7))
    if rows.ndim != 2 or rows.shape[1] != 7 or rows.dtype.kind not in 'iuf':
        raise ScanError(f'{path}: bbox is {rows.dtype} of shape {rows.shape}, '
                        'not (R, 7) numbers; store center, size and NYU40 id')
    classes = [class_of(number.item(), path) for number in rows[:, 6]]
    return rows[:, :6].astype(np.float64), np.array(classes, dtype=np.int64)


def _read_json(path: Path,
               own_frame: str) -> Tuple[np.ndarray, np.ndarray, bool]:
    """Boxes of a JSON file, and whether it says that they are in ``FRAME``."""
    text = path.read_bytes()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = foreign_kind(text)
        raise ScanError(f'{path} is ' + (kind or (
            f'not a complete JSON file ({brief(error)}); write it again as '
            f'{_JSON_FORM}'))) from error
    entries = content.get('boxes') if isinstance(content, dict) else content
    frame = content.get('frame', FRAME) if isinstance(content, dict) else FRAME
    if frame not in (FRAME, own_frame):
        known = ' or '.join(dict.fromkeys((FRAME, own_frame)))
        raise ScanError(f'{path}: boxes in the frame {frame!r}; they must be '
                        f'{known}; see --scale and --up')
    if not isinstance(entries, list):
        raise ScanError(f'{path} has no list of boxes; write it as '
                        f'{_JSON_FORM}')
    boxes, classes = np.zeros((len(entries), 6)), []
    for index, entry in enumerate(entries):
        boxes[index], number = _read_entry(entry, index, path)
        classes.append(number)
    is_final = isinstance(content, dict) and content.get('frame') == FRAME
    return boxes, np.array(classes, dtype=np.int64), is_final


def _read_entry(entry: Any, index: int, path: Path) -> Tuple[np.ndarray, int]:
    """One box of a JSON file: its (6,) numbers and its NYU40 id."""
    try:
        key = next(key for key in _CLASS_KEYS if key in entry)
        name, box = entry[key], next(
            (entry[key] for key in _BOX_KEYS if key in entry), None)
        numbers = np.array(
            [*entry['center'], *entry['size']] if box is None else box,
            dtype=np.float64)
        if numbers.shape not in ((6, ), (7, )):
            raise ValueError
        turns = [*numbers[6:], *_turns(entry)]
    except (StopIteration, KeyError, TypeError, ValueError,
            OverflowError) as error:
        text = repr(entry)[:100]
        raise ScanError(f'{path}: box {index} is {text}; write it as in '
                        f'{_JSON_FORM}') from error
    turn = next((turn for turn in turns if turn != 0), None)
    if turn is not None:
        raise ScanError(f'{path}: box {index} is turned by {turn:g}, but '
                        "ScanNet's form holds axis-aligned boxes only; give "
                        'the box that encloses it')
    return numbers[:6], class_of(name, path)


def _turns(entry: Dict[str, Any]) -> List[float]:
    """All numbers that say how a box is turned; TypeError or ValueError for
    anything else."""
    values = [entry[key] for key in _TURN_KEYS if entry.get(key) is not None]
    return [float(turn) for value in values for turn in np.ravel(value)]


def _check_boxes(boxes: np.ndarray, classes: np.ndarray,
                 path: Path) -> Tuple[np.ndarray, np.ndarray]:
    is_wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 3:]
                                                  <= 0).any(axis=1)
    if is_wrong.any():
        index = int(np.flatnonzero(is_wrong)[0])
        raise ScanError(f'{path}: box {index} is {boxes[index].tolist()}; its '
                        'numbers must be finite and its size positive')
    return boxes, classes
