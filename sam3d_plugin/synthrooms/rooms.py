"""Furniture of each kind of room.

A program lists units with the lowest and highest number of each, in the order
in which they are placed. Frequencies follow from the kinds: chairs, tables,
doors and windows are many, bathtubs, shower curtains, toilets and
refrigerators few, as in ScanNet.
"""
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

Program = Tuple[Tuple[str, int, int], ...]


@dataclass(frozen=True)
class RoomKind:
    """A kind of room."""
    width: Tuple[float, float]  # Range of both sides, meters
    program: Program  # Unit, lowest and highest number of it
    is_wet: bool = False  # Tiled, as bathrooms and kitchens are


ROOM_KINDS: Dict[str, RoomKind] = dict(
    office=RoomKind(
        (3.2, 5.0),
        (('door', 1, 1), ('window', 0, 2), ('desk', 1, 4), ('bookshelf', 0, 2),
         ('filing_cabinet', 0, 3), ('table', 0, 1), ('bin', 1, 2),
         ('whiteboard', 0, 1), ('small_refrigerator', 0, 1), ('chair', 0, 3),
         ('box', 0, 2), ('picture', 0, 3))),
    bedroom=RoomKind(
        (3.2, 4.6),
        (('door', 1, 2), ('window', 1, 2), ('bed', 1, 2), ('wardrobe', 0, 2),
         ('dresser', 0, 3), ('desk', 0, 1), ('bookshelf', 0, 1), ('bin', 0, 1),
         ('lamp', 0, 1), ('chair', 0, 1), ('box', 0, 1), ('picture', 1, 4))),
    living=RoomKind(
        (3.6, 5.6),
        (('door', 1, 2), ('window', 1, 2), ('sofa', 1, 2), ('tv', 1, 1),
         ('table', 0, 1), ('armchair', 0, 3), ('bookshelf', 0, 2),
         ('sideboard', 0, 2), ('lamp', 0, 2), ('side_table', 0, 2),
         ('chair', 0, 2), ('bin', 0, 1), ('picture', 1, 4))),
    kitchen=RoomKind((2.9, 4.2),
                     (('door', 1, 1), ('kitchen_run', 1, 1), ('window', 0, 1),
                      ('table', 0, 1), ('bar', 0, 1), ('sideboard', 0, 1),
                      ('bin', 1, 1), ('chair', 0, 1), ('picture', 0, 2)),
                     is_wet=True),
    bathroom=RoomKind(
        (2.2, 3.0),
        (('door', 1, 1), ('tub', 1, 1), ('toilet', 1, 1), ('vanity', 0, 1),
         ('sink', 0, 1), ('window', 0, 1), ('bin', 0, 1), ('picture', 0, 1)),
        is_wet=True),
    meeting=RoomKind((4.0, 6.0),
                     (('door', 1, 2), ('window', 0, 2), ('table', 1, 2),
                      ('whiteboard', 0, 2), ('sideboard', 0, 1),
                      ('chair', 0, 5), ('bin', 1, 1), ('picture', 0, 3))),
    classroom=RoomKind(
        (5.2, 6.6),
        (('door', 1, 2), ('window', 1, 3), ('lecture', 1, 1),
         ('whiteboard', 1, 1), ('desk', 0, 1), ('filing_cabinet', 0, 2),
         ('bookshelf', 0, 1), ('bin', 1, 1), ('picture', 0, 2))),
    library=RoomKind(
        (3.8, 5.6),
        (('door', 1, 1), ('window', 0, 2), ('bookshelf', 3, 6),
         ('table', 0, 1), ('sofa', 0, 1), ('armchair', 0, 2), ('desk', 0, 1),
         ('bin', 0, 1), ('box', 0, 1), ('picture', 0, 2))),
    storage=RoomKind(
        (2.8, 4.0),
        (('door', 1, 2), ('wardrobe', 1, 2), ('filing_cabinet', 0, 3),
         ('bookshelf', 0, 2), ('side_table', 0, 2), ('refrigerator', 0, 1),
         ('box', 1, 3), ('bin', 0, 2), ('chair', 0, 2))),
)

# How often a train scene consists of these rooms.
SCENE_KINDS: Tuple[Tuple[Tuple[str, ...], float], ...] = (
    (('office', ), 0.2),
    (('bedroom', ), 0.18),
    (('living', ), 0.14),
    (('meeting', ), 0.1),
    (('classroom', ), 0.05),
    (('library', ), 0.05),
    (('storage', ), 0.03),
    (('kitchen', ), 0.06),
    (('bathroom', ), 0.06),
    (('kitchen', 'living'), 0.06),
    (('bedroom', 'bathroom'), 0.07),
)

# An apartment holds all 18 classes, which the first validation scenes are
# for: its rooms list every class that their kinds leave to chance.
APARTMENT: Tuple[RoomKind, ...] = (
    RoomKind((3.6, 4.4), (('door', 1, 1), ('curtained_window', 1, 1),
                          ('bed', 1, 1), ('desk', 1, 1), ('bookshelf', 1, 1),
                          ('bin', 1, 1), ('picture', 1, 2))),
    RoomKind((4.2, 5.0), (('kitchen_run', 1, 1), ('sofa', 1, 1),
                          ('table', 1, 1), ('refrigerator', 1, 1),
                          ('bin', 1, 1), ('window', 0, 1), ('picture', 0, 2))),
    RoomKind(
        (2.4, 3.0),
        (('door', 1, 1), ('tub', 1, 1), ('toilet', 1, 1), ('vanity', 1, 1)),
        is_wet=True),
)


def draw_rooms(rng: np.random.Generator, is_apartment: bool) -> List[RoomKind]:
    """One to three rooms of a scene, from west to east."""
    if is_apartment:
        return list(APARTMENT)
    weights = np.array([weight for _, weight in SCENE_KINDS])
    names = SCENE_KINDS[int(
        rng.choice(len(weights), p=weights / weights.sum()))][0]
    return [ROOM_KINDS[name] for name in names]


def draw_program(rng: np.random.Generator, kind: RoomKind) -> List[str]:
    """The units of a room, those that must be there first.

    A name that starts with '?' may be left out when there is no place.
    """
    names: List[str] = []
    for name, lowest, highest in kind.program:
        count = int(rng.integers(lowest, highest + 1))
        names += [name] * lowest + ['?' + name] * (count - lowest)
    return names
