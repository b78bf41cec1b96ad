"""Placement of furniture without collisions.

The rooms of a scene are in a row along x; an opening without a door joins
neighbors. Frame of reference: axis-aligned, floor at z = 0, meters.
"""
from dataclasses import dataclass, field
from typing import List, Optional, Tuple

import numpy as np

from .placing import (Boxes, Placed, Rectangle, Unit, box_between, extent_of,
                      join_boxes, overlap)
from .rooms import RoomKind, draw_program, draw_rooms
from .units import FREE_UNITS, HUNG_UNITS, WALL_UNITS

WALL_THICKNESS = 0.12
# Detection boxes per scene that the heads of mmdet3d take.
MAX_PIECES = 60

_TRIES = 60
_FAILURES = 6
_DOOR_SPACE = 0.8
# Units that prefer corners.
_CORNER_UNITS = ('bed', 'tub', 'wardrobe', 'bookshelf', 'lamp')
# How far the space before a unit stays free, meters; 'vanity' and others of
# several pieces along their whole width.
_FREE_SPACE = dict(
    door=_DOOR_SPACE,
    window=0.25,
    curtained_window=0.25,
    whiteboard=0.1,
    toilet=0.45,
    vanity=0.4,
    kitchen_run=0.6,
    tub=0.3)
_STARTS_LIFTED = ('window', 'curtained_window', 'whiteboard')
# Width and height of the passage between two rooms.
OPENING = (0.95, 2.1)


@dataclass
class Room:
    """One rectangular room."""
    rectangle: Rectangle  # Lowest x, lowest y, highest x, highest y
    height: float  # Of the ceiling
    is_wet: bool  # Whether it is tiled
    pieces: List[Placed] = field(default_factory=list)  # Its furniture
    # Where nothing may be put: before doors and windows
    keep_out: List[Boxes] = field(default_factory=list)
    # Wall (1 = highest x, 3 = lowest x) and middle of each opening along y
    openings: List[Tuple[int, float]] = field(default_factory=list)

    @property
    def center(self) -> np.ndarray:
        """(2,) middle of the floor."""
        x0, y0, x1, y1 = self.rectangle
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2])

    def wall(self, index: int) -> Tuple[np.ndarray, float, float]:
        """A wall's middle (2,), its length, and the yaw of what leans on it.

        Walls: 0 lowest y, 1 highest x, 2 highest y, 3 lowest x.
        """
        x0, y0, x1, y1 = self.rectangle
        x, y = self.center
        middle = [(x, y0), (x1, y), (x, y1), (x0, y)][index]
        length = (x1 - x0) if index % 2 == 0 else (y1 - y0)
        yaw = [np.pi, -np.pi / 2, 0.0, np.pi / 2][index]
        return np.array(middle), length, yaw

    def obstacles(self) -> Boxes:
        """Volumes that must not overlap."""
        return join_boxes([placed.hull()
                           for placed in self.pieces] + self.keep_out)

    def holds(self, unit: Unit) -> bool:
        """Whether a unit is between the walls and under the ceiling."""
        low, high = extent_of(unit)
        x0, y0, x1, y1 = self.rectangle
        return bool((low >= [x0, y0, -1e-6]).all()
                    and (high <= [x1, y1, self.height - 0.02]).all())

    def fits(self, unit: Unit) -> bool:
        """Whether a unit is in the room without collisions."""
        if not self.holds(unit):
            return False
        # Units keep apart as wholes: no coffee table below a dining table.
        hulls = join_boxes([placed.hull() for placed in unit])
        return not overlap(hulls, self.obstacles()).any()


def has_collision(pieces: List[Placed]) -> bool:
    """Whether any two pieces overlap."""
    boxes = [placed.boxes() for placed in pieces]
    return any(
        overlap(boxes[i], boxes[j]).any() for i in range(len(boxes))
        for j in range(i))


def make_layout(rng: np.random.Generator, is_apartment: bool) -> List[Room]:
    """Rooms with at most ``MAX_PIECES`` pieces, from west to east."""
    rooms: List[Room] = []
    start = 0.0
    kinds = draw_rooms(rng, is_apartment)
    height = float(rng.uniform(2.4, 2.9))
    for index, kind in enumerate(kinds):
        gate = (rooms[-1] if rooms else None, index + 1 < len(kinds))
        left = MAX_PIECES - sum(len(room.pieces) for room in rooms)
        room = _furnish(rng, kind, start, height, gate, left)
        rooms.append(room)
        start = room.rectangle[2] + WALL_THICKNESS
    return rooms


def _furnish(rng: np.random.Generator, kind: RoomKind, start: float,
             height: float, gate: Tuple[Optional[Room],
                                        bool], left: int) -> Room:
    """A room of a kind; it grows until all that must be there has a place.

    ``gate`` is the room to the west, and whether there is one to the east;
    ``left`` the pieces that the scene may still get.
    """
    grown = 0.0
    while True:
        sides = rng.uniform(*kind.width, 2) + grown
        room = _empty_room(rng, kind, (start, sides), height, gate)
        names = draw_program(rng, kind)
        # Units that must be there first, so that chance does not block them.
        if all(
                _put(rng, room, name, left) for name in names
                if name[0] != '?'):
            for name in names:
                if name[0] == '?':
                    _put(rng, room, name[1:], left)
            return room
        grown += 0.15


def _empty_room(rng: np.random.Generator, kind: RoomKind,
                where: Tuple[float, np.ndarray], height: float,
                gate: Tuple[Optional[Room], bool]) -> Room:
    """Four walls and the space before openings.

    A room starts where its western neighbor's opening is within its wall.
    """
    start, sides = where
    west, has_east = gate
    base = 0.0
    opening = 0.0
    if west is not None:
        opening = west.openings[-1][1]
        margin = OPENING[0] / 2 + 0.1
        base = float(
            rng.uniform(opening + margin - sides[1], opening - margin))
    room = Room((start, base, start + float(sides[0]), base + float(sides[1])),
                height, kind.is_wet)
    if west is not None:
        _open_wall(room, 3, opening)
    if has_east:
        margin = OPENING[0] / 2 + 0.15
        _open_wall(room, 1,
                   float(rng.uniform(base + margin, base + sides[1] - margin)))
    return room


def _open_wall(room: Room, wall: int, middle: float) -> None:
    x0, _, x1, _ = room.rectangle
    low, high = (x0, x0 + _DOOR_SPACE) if wall == 3 else (x1 - _DOOR_SPACE, x1)
    half = OPENING[0] / 2
    room.openings.append((wall, middle))
    room.keep_out.append(
        box_between((low, middle - half, 0),
                    (high, middle + half, OPENING[1])))


def _put(rng: np.random.Generator, room: Room, name: str, left: int) -> bool:
    """Try to place a unit; whether it stands."""
    makers = {**WALL_UNITS, **HUNG_UNITS, **FREE_UNITS}
    for _ in range(_FAILURES):
        unit = makers[name](rng)
        if len(room.pieces) + len(unit) > left:
            return False
        if has_collision(unit):
            continue
        for _ in range(_TRIES // _FAILURES):
            placed = _somewhere(rng, room, name, unit)
            if room.fits(placed):
                room.pieces += placed
                _reserve(room, name, placed)
                return True
    return False


def _somewhere(rng: np.random.Generator, room: Room, name: str,
               unit: Unit) -> Unit:
    """The unit at a random place of its sort."""
    low, high = extent_of(unit)
    if name in FREE_UNITS:
        x0, y0, x1, y1 = room.rectangle
        reach = float(np.abs([low[:2], high[:2]]).max())
        x = rng.uniform(
            min(x0 + reach, room.center[0]), max(x1 - reach, room.center[0]))
        y = rng.uniform(
            min(y0 + reach, room.center[1]), max(y1 - reach, room.center[1]))
        turn = float(rng.integers(4)) * np.pi / 2 + rng.normal(0, 0.04)
        return [placed.moved(x, y, 0, turn) for placed in unit]
    walls = [0, 1, 2, 3]
    if 'window' in name:
        # No window between two rooms.
        walls = [w for w in walls if w not in dict(room.openings)]
    middle, length, yaw = room.wall(int(rng.choice(walls)))
    share = rng.random()
    if name in _CORNER_UNITS and rng.random() < 0.6:
        share = round(share)
    offset = (length - high[0] + low[0]) * share - length / 2 - low[0]
    is_hung = name in HUNG_UNITS or name == 'door'
    gap = 0.004 if is_hung else float(rng.uniform(0.005, 0.03))
    cos, sin = np.cos(yaw), np.sin(yaw)
    x = middle[0] + cos * offset + sin * gap
    y = middle[1] + sin * offset - cos * gap
    return [placed.moved(float(x), float(y), 0, yaw) for placed in unit]


def _reserve(room: Room, name: str, unit: Unit) -> None:
    """Keep the space before doors, windows and fixtures free."""
    deep = _FREE_SPACE.get(name)
    if deep is None:
        return
    low, high = extent_of(unit)
    yaw = unit[0].yaw
    front = np.round([np.sin(yaw), -np.cos(yaw)])
    near = np.where(front > 0, high[:2], low[:2])
    far = np.where(front == 0, high[:2], near + front * deep)
    bottom = low[2] if name in _STARTS_LIFTED else 0.0
    room.keep_out.append(
        box_between((*np.minimum(near, far), bottom),
                    (*np.maximum(near, far), high[2])))
