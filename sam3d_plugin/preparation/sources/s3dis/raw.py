"""The text files of Stanford3dDataset_v1.2_Aligned_Version.

    Area_1/conferenceRoom_1/Annotations/chair_1.txt    lines of x y z r g b

The release has flaws: a control character where a space belongs
(Area_5/hallway_6/Annotations/ceiling_1.txt), files that are not data
(.DS_Store, Icon, the alignment angles beside the rooms), and a class
``stairs`` beyond the 13. What is fixed or left out is counted.

Shapes: N points.
"""
import io
import re
from dataclasses import dataclass, field
from typing import Dict, List, Tuple

import numpy as np
import pandas as pd

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike, join, list_names
from ..scans.colors import scale_colors
from ..scans.source_files import read_source_file

# mmdet3d.datasets.S3DISSegDataset.METAINFO (a test compares the two).
CLASSES = ('ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door',
           'table', 'chair', 'sofa', 'bookcase', 'board', 'clutter')
CLUTTER = CLASSES.index('clutter')
# Names that are neither one of the 13 classes nor a mistake.
EXTRA_CLASSES = ('stairs', )
AREAS = tuple(range(1, 7))
TOTAL_ROOMS = 272
RELEASE = 'Stanford3dDataset_v1.2_Aligned_Version'

# Of a file's lines, how many may be unreadable before it is refused.
_MAX_BAD_SHARE = 1e-3
_CONTROL = re.compile(rb'[^\t\n\r -~]')


@dataclass
class Flaws:
    """Counts of flaws that were fixed or skipped, by kind."""
    control_characters: int = 0  # Bytes that are not printable text
    # ``file:line`` of lines that are not six numbers
    dropped_lines: List[str] = field(default_factory=list)
    # Annotations without any point
    empty_files: List[str] = field(default_factory=list)
    # Names taken as clutter
    unknown_classes: List[str] = field(default_factory=list)
    # What was done to the colors
    scaled_colors: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Room:
    """One room."""
    xyz: np.ndarray  # (N, 3) float64 meters, as in the release
    rgb: np.ndarray  # (N, 3) float32, 0 to 255
    semantic: np.ndarray  # (N,) int64 index into ``CLASSES``
    instance: np.ndarray  # (N,) int64 >= 1, in the order of the files' names
    flaws: Flaws  # Of its files


def find_rooms(source: PathLike,
               backend_args: BackendArgs = None) -> Dict[str, str]:
    """Folders by name, such as ``Area_1_office_1``, of the release or of its
    parent folder; StoreError when there is none."""
    if RELEASE in list_names(source, backend_args, folders=True):
        source = join(source, RELEASE)
    rooms = {}
    for area in AREAS:
        folder = join(source, f'Area_{area}')
        for room in list_names(folder, backend_args, folders=True):
            path = join(folder, room)
            if 'Annotations' in list_names(path, backend_args, folders=True):
                rooms[f'Area_{area}_{room}'] = path
    if not rooms:
        raise StoreError(
            f'{source} has no Area_1/<room>/Annotations; give the folder of '
            f'{RELEASE}')
    return dict(sorted(rooms.items()))


def check_total(rooms: Dict[str, str], source: PathLike) -> None:
    """StoreError unless the release has all of its 272 rooms."""
    if len(rooms) != TOTAL_ROOMS:
        counts = ', '.join(
            f'{sum(name.startswith(f"Area_{area}_") for name in rooms)} in '
            f'Area_{area}' for area in AREAS)
        raise StoreError(
            f'{source} has {len(rooms)} rooms ({counts}), but S3DIS has '
            f'{TOTAL_ROOMS}; complete the download, or add --partial')


def class_index(file: str, flaws: Flaws) -> int:
    """Index into ``CLASSES`` of a file such as ``chair_1.txt``; unknown names
    are clutter, and a flaw."""
    name = file.split('_')[0]
    if name in CLASSES:
        return CLASSES.index(name)
    if name not in EXTRA_CLASSES:
        flaws.unknown_classes.append(file)
    return CLUTTER


def parse_points(content: bytes, name: str, flaws: Flaws) -> np.ndarray:
    """(N, 6) float64 of lines of x y z r g b; flaws get what is fixed.

    FrameError when more than one line in a thousand (and more than one) is not
    six finite numbers.
    """
    if not content.strip():
        flaws.empty_files.append(name)
        return np.zeros((0, 6))
    if not _CONTROL.search(content):
        points = _parse_fast(content)
        if points is not None:
            return points
    return _parse_lines(content, name, flaws)


def _parse_fast(content: bytes) -> 'np.ndarray | None':
    """(N, 6), or None when any line needs a second look."""
    try:
        table = pd.read_csv(
            io.BytesIO(content),
            sep=' ',
            header=None,
            dtype=np.float64,
            skip_blank_lines=True)
    except ValueError:
        return None
    points = table.to_numpy()
    if points.shape[1] != 6 or not np.isfinite(points).all():
        return None
    # Few such lines are damaged, many have another scale.
    is_beyond = ((points[:, 3:] < 0) | (points[:, 3:] > 255)).any(axis=1)
    return None if 0 < is_beyond.mean() < 0.5 else points


def _is_valid(points: np.ndarray) -> bool:
    colors = points[..., 3:]
    return bool(
        np.isfinite(points).all() and (colors >= 0).all()
        and (colors <= 255).all())


def _parse_lines(content: bytes, name: str, flaws: Flaws) -> np.ndarray:
    rows, bad = [], []
    lines = content.split(b'\n')
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row, replaced = _parse_line(line)
        if row is None:
            bad.append(f'{name}:{number}')
            continue
        flaws.control_characters += replaced
        rows.append(row)
    if len(bad) > max(_MAX_BAD_SHARE * len(lines), 1) or not rows:
        raise FrameError(f'{bad[0]} and {len(bad) - 1} more lines are not x y '
                         'z r g b; extract the release again')
    flaws.dropped_lines += bad
    return np.array(rows)


def _parse_line(line: bytes) -> Tuple['List[float] | None', int]:
    """The six numbers of a line and the characters fixed to get them.

    A control character stands for a space, or for nothing.
    """
    for filler in (b' ', b''):
        text, replaced = _CONTROL.subn(filler, line)
        try:
            row = [float(word) for word in text.split()]
        except ValueError:
            continue
        if len(row) == 6 and _is_valid(np.array(row)):
            return row, replaced
    return None, 0


def read_room(folder: PathLike, backend_args: BackendArgs = None) -> Room:
    """Read a room, points in the order of its annotations' names.

    FrameError when there is no annotation with points, one cannot be read, or
    the colors have no known scale.
    """
    flaws = Flaws()
    parts, classes = [], []
    annotations = join(folder, 'Annotations')
    # Of the release, so that records hold no path of this machine.
    name = '/'.join(annotations.split('/')[-3:])
    for file in list_names(annotations, backend_args, suffix='.txt'):
        content = read_source_file(
            join(annotations, file), join(name, file),
            'extract the release again', backend_args)
        points = parse_points(content, join(name, file), flaws)
        if len(points):
            parts.append(points)
            classes.append(class_index(file, flaws))
    if not parts:
        raise FrameError(f'{name} has no file with points')
    counts = [len(points) for points in parts]
    points = np.concatenate(parts)
    rgb = points[:, 3:]
    if (rgb == np.round(rgb)).all():  # a text does not say so
        rgb = rgb.astype(np.int64)
    try:
        rgb, note = scale_colors(rgb)
    except ValueError as error:
        raise FrameError(f'{name}: {error}') from error
    flaws.scaled_colors += [note] if note else []
    return Room(
        xyz=points[:, :3],
        rgb=rgb,
        semantic=np.repeat(np.array(classes, dtype=np.int64), counts),
        instance=np.repeat(np.arange(1,
                                     len(parts) + 1), counts),
        flaws=flaws)
