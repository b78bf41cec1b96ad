"""Pieces that belong together, such as a desk with its chair.

A unit is a list of placed pieces in a frame of its own: its back is on
y = 0 and it faces -y, so that the layout can push it against a wall. Units
that stand free have their middle at the origin.
"""
from dataclasses import replace
from typing import Any, Callable, Dict, List

import numpy as np

from . import fixtures, furniture, storage
from .furniture import Furniture
from .placing import Placed, Unit, extent_of

UnitMaker = Callable[[np.random.Generator], Unit]


def _backed(piece: Furniture, x: float = 0.0, z: float = 0.0) -> Placed:
    """A piece whose back touches y = 0."""
    return Placed(piece, x=x, y=-float(piece.mesh.extent[1, 1]), z=z)


def _piece(make: Callable[..., Furniture],
           *options: Any,
           z: float = 0.0) -> UnitMaker:
    """A unit of one piece with its back on y = 0."""
    return lambda rng: [_backed(make(rng, *options), z=z)]


def _alike(piece: Furniture, unit: Unit) -> Furniture:
    """The piece in the materials of a unit's first."""
    if not unit:
        return piece
    return replace(piece, materials=unit[0].piece.materials)


def bed_with_stands(rng: np.random.Generator) -> Unit:
    """A bed, mostly with nightstands."""
    bed = furniture.bed(rng)
    unit = [_backed(bed)]
    for side in (-1, 1):
        if rng.random() < 0.6:
            stand = storage.nightstand(rng)
            x = side * (bed.size[0] / 2 + stand.size[0] / 2 + 0.05)
            unit.append(_backed(stand, x))
    return unit


def desk_with_chair(rng: np.random.Generator) -> Unit:
    """A desk, a chair at it and a monitor or books on it."""
    desk, chair = furniture.desk(rng), furniture.chair(rng)
    unit = [_backed(desk)]
    depth = desk.size[1]
    top = float(desk.mesh.parts[0, 1, 2])
    if rng.random() < 0.85:
        gap = rng.uniform(0.03, 0.3)
        y = -depth - gap - float(chair.mesh.extent[1, 1])
        x = rng.uniform(-0.2, 0.2)
        turn = np.pi + rng.normal(0, 0.25)
        unit.append(Placed(chair, x, y - 0.22, 0, turn))
    if rng.random() < 0.5 and desk.mesh.extent[1, 2] < top + 0.1:
        screen = fixtures.television(rng, rng.uniform(0.45, 0.6))
        unit.append(Placed(screen, rng.uniform(-0.2, 0.2), -0.2, top))
    if rng.random() < 0.4:
        side = rng.choice([-1, 1]) * (desk.size[0] / 2 - 0.18)
        unit.append(Placed(fixtures.book_stack(rng), side, -0.45, top))
    return unit


def sofa_with_table(rng: np.random.Generator) -> Unit:
    """A sofa, mostly with a coffee table before it."""
    sofa = furniture.sofa(rng)
    unit = [_backed(sofa)]
    if rng.random() < 0.7:
        width, depth = rng.uniform(0.7, 1.2), rng.uniform(0.45, 0.65)
        table = furniture.table(rng, width, depth, rng.uniform(0.36, 0.48))
        y = -sofa.size[1] - rng.uniform(0.3, 0.45) - depth / 2
        unit.append(Placed(table, rng.uniform(-0.1, 0.1), y))
        if rng.random() < 0.5:
            unit.append(
                Placed(
                    fixtures.book_stack(rng), unit[-1].x, y,
                    float(table.mesh.extent[1, 2])))
    return unit


def sideboard_with_tv(rng: np.random.Generator) -> Unit:
    """A sideboard, mostly with a television."""
    board = storage.sideboard(rng)
    unit = [_backed(board)]
    if rng.random() < 0.75:
        width = min(rng.uniform(0.8, 1.2), board.size[0])
        screen = fixtures.television(rng, width)
        unit.append(
            Placed(screen, 0, -board.size[1] / 2, float(board.size[2])))
    return unit


def table_with_chairs(rng: np.random.Generator) -> Unit:
    """A dining or meeting table with equal chairs around it."""
    width, depth = rng.uniform(0.8, 2.2), rng.uniform(0.75, 1.05)
    table = furniture.table(rng, width, depth, rng.uniform(0.71, 0.77))
    chair = furniture.chair(rng)
    unit = [Placed(table)]
    count = max(int(width / (chair.size[0] + 0.12)), 1)
    places = (np.arange(count) - (count - 1) / 2) * (width / count)
    reach = float(-chair.mesh.extent[0, 1])
    for x in furniture.row_of(chair, list(places)):
        for side in (-1, 1):
            if rng.random() < 0.88:
                y = side * (depth / 2 + reach + rng.uniform(0.04, 0.22))
                turn = (0 if side > 0 else np.pi) + rng.normal(0, 0.08)
                unit.append(Placed(chair, x, y, 0, turn))
    if rng.random() < 0.4:
        unit.append(
            Placed(
                fixtures.book_stack(rng), 0, 0, float(table.mesh.extent[1,
                                                                        2])))
    return unit


def lecture_rows(rng: np.random.Generator) -> Unit:
    """Rows of equal tables, each with two chairs, as in classrooms."""
    width, depth = rng.uniform(1.3, 1.6), rng.uniform(0.5, 0.65)
    table = furniture.table(rng, width, depth, 0.74)
    chair = furniture.chair(rng)
    reach = float(-chair.mesh.extent[0, 1])
    unit: Unit = []
    pitch = depth + 2 * reach + 0.65
    for row in range(int(rng.integers(2, 4))):
        for column in range(2):
            x = (column - 0.5) * (width + 0.25)
            y = row * pitch
            unit.append(Placed(table, x, y))
            for side in (-0.25, 0.25):
                gap = rng.uniform(0.04, 0.2)
                unit.append(
                    Placed(chair,
                           x + side * width, y + depth / 2 + reach + gap, 0,
                           rng.normal(0, 0.08)))
    low, high = extent_of(unit)
    middle = (low + high) / 2
    return [p.moved(-middle[0], -middle[1], 0, 0) for p in unit]


def _counter_run(rng: np.random.Generator, widths: List[float], height: float,
                 depth: float) -> Unit:
    """Base cabinets side by side below one counter with a sink."""
    unit: Unit = []
    total = sum(widths)
    x = -total / 2
    hole = int(rng.integers(len(widths)))
    for i, width in enumerate(widths):
        # The basin hangs into its cabinet, which therefore ends below it.
        apron = 0.16 if i == hole else 0.0
        base = storage.cabinet(
            rng,
            width,
            depth - 0.03,
            height - apron,
            1 if width < 0.6 else 2,
            1,
            0.08,
            apron=apron)
        unit.append(_backed(_alike(base, unit), x + width / 2))
        x += width
    size = min(rng.uniform(0.42, 0.6), widths[hole] - 0.1)
    left = sum(widths[:hole]) + (widths[hole] - size) / 2
    top = storage.counter(rng, total, depth, left, size)
    unit.append(Placed(top, 0, -depth / 2, height))
    sink = fixtures.built_in_sink(rng, size, depth - 0.18)
    unit.append(Placed(sink, left + size / 2 - total / 2, -depth / 2, height))
    return unit


def kitchen_run(rng: np.random.Generator) -> Unit:
    """Base and wall cabinets, counter, sink, mostly a refrigerator."""
    widths = [float(rng.uniform(0.5, 0.9)) for _ in range(rng.integers(2, 5))]
    depth, height = rng.uniform(0.58, 0.65), rng.uniform(0.84, 0.9)
    unit = _counter_run(rng, widths, height, depth)
    bases = unit[:len(widths)]
    for base in bases:
        if rng.random() < 0.7:
            wide = float(base.piece.size[0])
            upper = storage.cabinet(rng, wide, 0.34, rng.uniform(0.6, 0.75),
                                    1 if wide < 0.6 else 2, 1, 0)
            unit.append(_backed(_alike(upper, bases), base.x, 1.45))
    if rng.random() < 0.85:
        fridge = storage.refrigerator(rng, False)
        side = rng.choice([-1, 1])
        x = side * (sum(widths) / 2 + fridge.size[0] / 2 + 0.03)
        unit.append(_backed(fridge, x))
    return unit


def vanity(rng: np.random.Generator) -> Unit:
    """A bathroom cabinet with counter, sink and a mirror above."""
    width, depth = rng.uniform(0.7, 1.3), rng.uniform(0.48, 0.56)
    unit = _counter_run(rng, [float(width)], rng.uniform(0.78, 0.84), depth)
    unit.append(_backed(fixtures.mirror(rng), 0, 1.15))
    return unit


def sink_with_mirror(rng: np.random.Generator) -> Unit:
    """A pedestal sink, mostly with a mirror."""
    unit = [_backed(fixtures.pedestal_sink(rng))]
    if rng.random() < 0.7:
        unit.append(_backed(fixtures.mirror(rng), 0, 1.15))
    return unit


def tub_with_curtain(rng: np.random.Generator) -> Unit:
    """A bathtub with a shower curtain before it."""
    tub = fixtures.bathtub(rng)
    curtain = fixtures.shower_curtain(rng, float(tub.size[0]))
    y = -float(tub.size[1]) - 0.06
    return [_backed(tub), Placed(curtain, 0, y, rng.uniform(0.2, 0.3))]


def window_with_curtains(rng: np.random.Generator) -> Unit:
    """A window between two curtains, or without."""
    window = fixtures.window(rng)
    sill = rng.uniform(0.85, 1.0)
    unit = [_backed(window, z=sill)]
    if rng.random() < 0.65:
        low = rng.choice([0.05, sill - 0.15])
        top = sill + float(window.size[2]) + 0.12
        width = rng.uniform(0.25, 0.5)
        made = fixtures.curtain(rng, width, top - low)
        for side in (-1, 1):
            x = side * (window.size[0] / 2 - width * 0.3)
            unit.append(Placed(made, x, -0.14, low))
    return unit


def curtained_window(rng: np.random.Generator) -> Unit:
    """A window that has curtains."""
    while True:
        unit = window_with_curtains(rng)
        if len(unit) == 3:
            return unit


def hung_picture(rng: np.random.Generator) -> Unit:
    """A picture at the height of the eyes."""
    piece = fixtures.picture(rng)
    return [_backed(piece, z=1.6 - float(piece.size[2]) / 2)]


def lone_table(rng: np.random.Generator) -> Unit:
    """A small side table."""
    table = furniture.table(rng, rng.uniform(0.45, 0.9), rng.uniform(0.4, 0.6),
                            rng.uniform(0.45, 0.72))
    back = float(extent_of([Placed(table)])[1, 1])
    return [Placed(table).moved(0, -back, 0, 0)]


# Where units go: along a wall on the floor, hung on a wall, in a corner, or
# free in the room.
WALL_UNITS: Dict[str, UnitMaker] = dict(
    bed=bed_with_stands,
    wardrobe=_piece(storage.wardrobe),
    dresser=_piece(storage.dresser),
    sideboard=_piece(storage.sideboard),
    filing_cabinet=_piece(storage.filing_cabinet),
    desk=desk_with_chair,
    bookshelf=_piece(storage.bookshelf),
    sofa=sofa_with_table,
    armchair=_piece(furniture.armchair),
    tv=sideboard_with_tv,
    kitchen_run=kitchen_run,
    bar=_piece(storage.breakfast_bar),
    refrigerator=_piece(storage.refrigerator, False),
    small_refrigerator=_piece(storage.refrigerator, True),
    tub=tub_with_curtain,
    toilet=_piece(fixtures.toilet),
    sink=sink_with_mirror,
    vanity=vanity,
    bin=_piece(furniture.garbage_bin),
    box=_piece(furniture.carton),
    lamp=_piece(furniture.lamp),
    side_table=lone_table,
    door=_piece(fixtures.door))
HUNG_UNITS: Dict[str, UnitMaker] = dict(
    window=window_with_curtains,
    curtained_window=curtained_window,
    picture=hung_picture,
    whiteboard=_piece(fixtures.whiteboard, z=0.9))
FREE_UNITS: Dict[str, UnitMaker] = dict(
    table=table_with_chairs,
    lecture=lecture_rows,
    chair=lambda rng:
    [Placed(furniture.chair(rng), yaw=rng.uniform(-np.pi, np.pi))])
