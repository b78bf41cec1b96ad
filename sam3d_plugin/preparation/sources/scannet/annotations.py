"""ScanNet's annotations: groups of segments of vertices, with raw labels.

``<scan>_vh_clean_2.0.010000.segs.json`` gives each vertex a segment,
``<scan>.aggregation.json`` joins segments to labeled objects and
``scannetv2-labels.combined.tsv`` translates labels to NYU40 ids. Where two
objects share a segment, the rules are those of VoteNet's loader, which
mmdet3d's data come from: the later object gets the instance, the label that
first occurred later gets the class, and an object's class is that of its
first segment.

Shapes: N points.
"""
import csv
import io
import json
from dataclasses import dataclass
from typing import Any, Dict, List

import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.foreign_files import decode_text
from ..scans.scan import MAX_NYU40_ID
from ..scans.source_files import brief

_RAW, _NYU40 = 'raw_category', 'nyu40id'
# No room has so many; damaged numbers may be larger than the memory.
_MOST_OBJECTS = 1_000_000


@dataclass(frozen=True)
class ObjectGroup:
    """One annotated object."""
    number: int  # Its instance id, from 1
    label: str  # What the annotator called it
    segments: np.ndarray  # (S,) segments it consists of


@dataclass(frozen=True)
class VertexLabels:
    """Labels of all vertices of a mesh."""
    semantic: np.ndarray  # (N,) int64 NYU40 ids, 0 = unlabeled
    instance: np.ndarray  # (N,) int64 ids, 0 = in no instance
    instance_class: np.ndarray  # (N,) int64 NYU40 id of each vertex's instance
    # Vertices of each label that has no NYU40 id; their semantic id is 0
    unknown: Dict[str, int]


def parse_label_map(content: bytes, name: str) -> Dict[str, int]:
    """NYU40 id of each raw label, 0 (unlabeled) where the table
    ``scannetv2-labels.combined.tsv`` has none.

    Raises StoreError when it has not the columns or numbers it should have.
    """
    try:
        text = decode_text(content)
        rows = list(
            csv.reader(io.StringIO(text, newline=None), delimiter='\t'))
        names = [name.strip() for name in rows[0]] if rows else []
        raw, nyu40 = names.index(_RAW), names.index(_NYU40)
        labels = [(row[raw], ''.join(row[nyu40:nyu40 + 1]).strip())
                  for row in rows[1:] if len(row) > raw]
    except (ValueError, csv.Error) as error:
        raise StoreError(
            f'{name} has no columns {_RAW} and {_NYU40} ({brief(error)}); '
            "give ScanNet's scannetv2-labels.combined.tsv") from error
    numbers = {}
    for row, (label, number) in enumerate(labels, 2):
        number = number.removesuffix('.0')
        if number and not number.isdecimal():
            raise StoreError(
                f'{name}: row {row}, {label!r}: {number!r} is not '
                'a NYU40 id; correct the row, or leave it blank')
        numbers[label] = int(number or 0)
        numbers.setdefault(label.strip(), numbers[label])
    if not numbers or not 0 <= min(numbers.values()) <= max(
            numbers.values()) <= MAX_NYU40_ID:
        raise StoreError(f'{name} has no NYU40 ids from 0 to {MAX_NYU40_ID}; '
                         "give ScanNet's scannetv2-labels.combined.tsv")
    return numbers


def _parse_json(content: bytes, key: str, name: str) -> List[Any]:
    try:
        values = json.loads(content)[key]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FrameError(f'{name} is not a complete JSON file with {key!r} '
                         f'({brief(error)}); copy it again') from error
    if not isinstance(values, list):
        raise FrameError(f'{name}: {key!r} is not a list; copy it again')
    return values


def parse_segments(content: bytes, num_vertices: int, name: str) -> np.ndarray:
    """(N,) int64 segment of each vertex, from a ``.segs.json`` file;
    FrameError when it is damaged or of another mesh."""
    values = _parse_json(content, 'segIndices', name)
    try:
        segments = np.array(values)
    except ValueError:  # of lists
        segments = np.array(None)
    if segments.ndim != 1 or segments.dtype.kind not in 'iuf' or (
            segments != segments.astype(np.int64)).any():
        raise FrameError(f'{name}: segIndices are not integers; copy it again')
    if len(segments) != num_vertices:
        raise FrameError(
            f'{name} has {len(segments):,} segment ids, but the mesh has '
            f'{num_vertices:,} vertices; take both from one release')
    return segments.astype(np.int64)


def parse_groups(content: bytes, name: str) -> List[ObjectGroup]:
    """The objects of an ``.aggregation.json`` file, in its order.

    Raises FrameError when it is damaged.
    """
    groups = []
    for entry in _parse_json(content, 'segGroups', name):
        try:
            segments = np.array(entry['segments'], dtype=np.int64)
            number, label = int(entry['objectId']) + 1, str(
                entry['label']).strip()
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise FrameError(f'{name}: a group has no objectId, label and '
                             f'segments ({brief(error)}); copy it '
                             'again') from error
        if segments.ndim != 1 or not 1 <= number <= _MOST_OBJECTS:
            raise FrameError(f'{name}: object {number - 1} is damaged; copy '
                             'it again')
        groups.append(ObjectGroup(number, label, segments))
    return groups


def label_vertices(segments: np.ndarray, groups: List[ObjectGroup],
                   label_map: Dict[str, int], name: str) -> VertexLabels:
    """Carry the labels of objects to the vertices of (N,) segments.

    FrameError when an object has a segment that no vertex has.
    """
    known, places = np.unique(segments, return_inverse=True)
    rows = [_places_of(group, known, name) for group in groups]
    semantic, instance, owner = np.zeros((3, len(known)), dtype=np.int64)
    labels = list(dict.fromkeys(group.label for group in groups))
    for index, label in enumerate(labels):
        for group, row in zip(groups, rows):
            if group.label == label:
                semantic[row], owner[row] = label_map.get(label, 0), index + 1
    classes = np.zeros(1 + max((g.number for g in groups), default=0),
                       np.int64)
    for group, row in zip(groups, rows):
        instance[row] = group.number
        classes[group.number] = semantic[row[0]] if len(row) else 0
    counts = np.bincount(owner[places], minlength=len(labels) + 1)[1:]
    return VertexLabels(
        semantic=semantic[places],
        instance=instance[places],
        instance_class=classes[instance][places],
        unknown={
            label: int(n)
            for label, n in zip(labels, counts) if label not in label_map
        })


def _places_of(group: ObjectGroup, known: np.ndarray, name: str) -> np.ndarray:
    """Positions of a group's segments among the sorted ones of the mesh."""
    places = np.searchsorted(known, group.segments)
    is_known = known[np.minimum(places, len(known) - 1)] == group.segments
    if not is_known.all():
        raise FrameError(
            f'{name}: object {group.number - 1} has segment '
            f'{group.segments[~is_known][0]}, which no vertex has; take the '
            'aggregation and the segments of vh_clean_2 from one release')
    return places
