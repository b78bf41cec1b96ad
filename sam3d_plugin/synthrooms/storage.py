"""Cabinets, shelves, refrigerators and what stands in kitchens."""
import numpy as np

from .furniture import Furniture, finish
from .meshes import MeshBuilder


def cabinet(rng: np.random.Generator,
            width: float,
            depth: float,
            height: float,
            columns: int,
            rows: int,
            plinth: float = 0.06,
            name: str = 'cabinet',
            apron: float = 0.0) -> Furniture:
    """A closed cabinet with a grid of doors or drawers.

    Args:
        rng (np.random.Generator): Source of gaps and handles.
        width (float): Along x, meters.
        depth (float): Along y, meters.
        height (float): Meters.
        columns (int): Doors side by side.
        rows (int): Doors above each other.
        plinth (float): Height of a set-back foot; 0 = none.
        name (str): Class, 'cabinet' or 'nightstand'.
        apron (float): Height of panels on top that hide a sink's basin.

    Returns:
        Furniture: The cabinet.
    """
    builder = MeshBuilder()
    half, back = width / 2, depth / 2
    front = -back + 0.02
    if apron > 0:
        top = height + apron
        builder.box((-half, front, height), (half, front + 0.02, top))
        builder.box((-half, back - 0.02, height), (half, back, top))
        for end in (-1, 1):
            builder.box((end * half, front + 0.02, height),
                        (end * (half - 0.015), back - 0.02, top))
    if plinth > 0.09:
        builder.use(1).legs(width - 0.04, depth - 0.04, plinth, 0.04, True)
        builder.use(0)
    elif plinth > 0:
        builder.box((-half + 0.02, front + 0.04, 0),
                    (half - 0.02, back, plinth))
    builder.box((-half, front, plinth), (half, back, height))
    wide, tall = width / columns, (height - plinth) / rows
    is_drawer = tall < wide * 0.8
    for i in range(columns):
        for j in range(rows):
            left, low = -half + i * wide, plinth + j * tall
            builder.use(0).box(
                (left + 0.008, -back, low + 0.008),
                (left + wide - 0.008, front, low + tall - 0.008))
            side = 0.5 if is_drawer else (0.85, 0.15)[i % 2]
            x = left + wide * side
            z = low + tall * (0.5 if is_drawer or tall > 1 else 0.8)
            size = (0.14, 0.02, 0.016) if is_drawer else (0.016, 0.02, 0.14)
            builder.use(1).slab((x, -back - 0.01, z - size[2] / 2), size)
    return finish(rng, name, builder)


def wardrobe(rng: np.random.Generator) -> Furniture:
    """A tall cabinet of two to four doors."""
    columns = int(rng.integers(2, 5))
    return cabinet(rng, columns * rng.uniform(0.42, 0.55),
                   rng.uniform(0.45, 0.62), rng.uniform(1.8, 2.2), columns, 1)


def dresser(rng: np.random.Generator) -> Furniture:
    """A chest of drawers."""
    columns, rows = int(rng.integers(1, 3)), int(rng.integers(3, 6))
    return cabinet(rng,
                   columns * rng.uniform(0.5, 0.75), rng.uniform(0.4, 0.52),
                   rows * rng.uniform(0.2, 0.26), columns, rows,
                   float(rng.choice([0.04, 0.12])))


def sideboard(rng: np.random.Generator) -> Furniture:
    """A low and wide cabinet."""
    columns = int(rng.integers(2, 5))
    return cabinet(rng,
                   columns * rng.uniform(0.4, 0.5), rng.uniform(0.38, 0.48),
                   rng.uniform(0.45, 0.85), columns, 1,
                   float(rng.choice([0.05, 0.14])))


def filing_cabinet(rng: np.random.Generator) -> Furniture:
    """A narrow stack of drawers."""
    rows = int(rng.integers(2, 5))
    return cabinet(rng, rng.uniform(0.4, 0.5), rng.uniform(0.5, 0.62),
                   rows * 0.31, 1, rows, 0.03)


def nightstand(rng: np.random.Generator) -> Furniture:
    """A small stand of one or two drawers beside a bed."""
    rows = int(rng.integers(1, 3))
    return cabinet(rng, rng.uniform(0.38, 0.5), rng.uniform(0.35, 0.42),
                   0.2 + rows * 0.17, 1, rows, 0.12, 'nightstand')


def bookshelf(rng: np.random.Generator) -> Furniture:
    """Boards between two sides, with books and gaps on them."""
    width, depth = rng.uniform(0.6, 1.5), rng.uniform(0.26, 0.36)
    height = rng.uniform(1.1, 2.15)
    shelves = max(int(height / rng.uniform(0.32, 0.42)), 3)
    half, back, thick = width / 2, depth / 2, 0.022
    builder = MeshBuilder()
    for x in (-1, 1):
        builder.slab((x * (half - thick / 2), 0, 0), (thick, depth, height))
    if rng.random() < 0.75:
        builder.box((-half, back - 0.012, 0), (half, back, height))
    levels = np.linspace(0.05, height - thick, shelves + 1)
    for z in levels:
        builder.use(0).box((-half, -back, z), (half, back, z + thick))
    for low, high in zip(levels[:-1], levels[1:]):
        _fill_shelf(rng, builder.use(1), half - 0.03, back, low + thick,
                    high - low - thick)
    return finish(rng, 'bookshelf', builder)


def _fill_shelf(rng: np.random.Generator, builder: MeshBuilder, half: float,
                back: float, z: float, room: float) -> None:
    """Rows of books with gaps on one board."""
    x = -half
    while x < half - 0.08:
        length = min(rng.uniform(0.1, 0.45), half - x)
        if rng.random() < 0.72:
            tall = room * rng.uniform(0.55, 0.9)
            deep = rng.uniform(0.14, 0.22)
            builder.box((x, back - 0.02 - deep, z),
                        (x + length, back - 0.02, z + tall))
        x += length + rng.uniform(0.01, 0.12)


def refrigerator(rng: np.random.Generator, is_small: bool) -> Furniture:
    """A refrigerator, one or two doors; a small one fits below a desk."""
    width, depth = rng.uniform(0.56, 0.85), rng.uniform(0.6, 0.75)
    height = rng.uniform(1.5, 1.85)
    if is_small:
        width, depth, height = 0.5, 0.52, float(rng.uniform(0.62, 0.88))
    split = height * rng.choice([0.35, 0.66])
    builder = MeshBuilder()
    half, back = width / 2, depth / 2
    builder.use(0).box((-half, -back + 0.06, 0.03), (half, back, height))
    builder.use(1).box((-half + 0.02, -back + 0.09, 0),
                       (half - 0.02, back - 0.02, 0.03))
    side = rng.choice([-1, 1])
    levels = [(0.05, height)] if is_small else [(0.05, split),
                                                (split + 0.012, height)]
    for low, high in levels:
        builder.use(0).box((-half, -back, low), (half, -back + 0.05, high))
        length = (high - low) * 0.45
        z = low + 0.1 if low > 0.1 else high - length - 0.1
        builder.use(1).slab((side * (half - 0.05), -back - 0.025, z),
                            (0.025, 0.05, length))
    return finish(rng, 'refrigerator', builder)


def counter(rng: np.random.Generator, width: float, depth: float, sink: float,
            sink_size: float) -> Furniture:
    """A counter's slab, with a hole for a sink and a low splash back.

    The hole of width ``sink_size`` begins ``sink`` meters from the left end.
    The counter stands at the height of its cabinets.
    """
    builder = MeshBuilder()
    half, back, thick = width / 2, depth / 2, 0.04
    left, right = -half + sink, -half + sink + sink_size
    low, high = -back + 0.09, back - 0.09
    builder.box((-half, -back, 0), (left, back, thick))
    builder.box((right, -back, 0), (half, back, thick))
    builder.box((left, -back, 0), (right, low, thick))
    builder.box((left, high, 0), (right, back, thick))
    if rng.random() < 0.6:
        builder.box((-half, back - 0.02, thick), (half, back, thick + 0.1))
    return finish(rng, 'counter', builder, ('body', ))


def breakfast_bar(rng: np.random.Generator) -> Furniture:
    """A counter of its own: a thick top on a closed front."""
    width, depth = rng.uniform(1.2, 1.9), rng.uniform(0.5, 0.7)
    height = rng.uniform(0.92, 1.08)
    builder = MeshBuilder()
    builder.slab((0, 0, height - 0.05), (width, depth, 0.05))
    builder.slab((0, 0.06, 0), (width - 0.1, depth - 0.2, height - 0.05))
    return finish(rng, 'counter', builder, ('body', ))
