"""Pieces of furniture that stand on the floor.

Each function builds one piece of random shape, size and material in the local
frame of :mod:`.meshes`. Sizes in meters.
"""
from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from ..preparation.sources.scans.scan import DETECTION_CLASSES
from .materials import draw_material
from .meshes import Mesh, MeshBuilder
from .textures import Material

# NYU40 ids of what furnishes the rooms besides the detection classes.
OTHER_CLASSES = dict(
    books=23,
    television=25,
    box=29,
    whiteboard=30,
    nightstand=32,
    lamp=35,
    mirror=19)
NYU40_IDS = {**DETECTION_CLASSES, **OTHER_CLASSES}


@dataclass(frozen=True)
class Furniture:
    """One piece."""
    name: str  # Its class, a key of ``NYU40_IDS``
    mesh: Mesh  # Local frame
    materials: Tuple[Material, ...]  # By slot of the mesh

    @property
    def size(self) -> np.ndarray:
        """(3,) width, depth, height, meters."""
        low, high = self.mesh.extent
        return high - low


def finish(
    rng: np.random.Generator,
    name: str,
    builder: MeshBuilder,
    parts: Tuple[str, ...] = ('body', 'trim')) -> Furniture:
    """A piece with materials drawn for the parts of its class, by slot."""
    materials = tuple(draw_material(rng, name, part) for part in parts)
    return Furniture(name, builder.build(), materials)


def chair(rng: np.random.Generator) -> Furniture:
    """A chair: wooden, a shell on legs, or on castors."""
    width, depth = rng.uniform(0.42, 0.52), rng.uniform(0.42, 0.52)
    seat, top = rng.uniform(0.42, 0.48), rng.uniform(0.8, 1.0)
    kind = rng.choice(['wooden', 'office', 'shell'])
    builder = MeshBuilder()
    if kind == 'office':
        _castors(builder, seat)
    else:
        builder.use(1).legs(width, depth, seat, 0.035, kind == 'shell')
    builder.use(0)
    builder.cushion((-width / 2, -depth / 2, seat - 0.02),
                    (width / 2, depth / 2, seat + 0.05), 0.025)
    lower = seat + rng.uniform(0.04, 0.2)
    if kind == 'wooden':
        builder.use(1)
        for x in (-1, 1):
            builder.slab((x * (width / 2 - 0.02), depth / 2 - 0.02, seat),
                         (0.035, 0.035, top - seat))
        for z in np.linspace(seat + 0.12, top - 0.1, 3):
            builder.box((-width / 2, depth / 2 - 0.03, z),
                        (width / 2, depth / 2 - 0.01, z + 0.07))
    else:
        builder.cushion((-width / 2 + 0.02, depth / 2 - 0.06, lower),
                        (width / 2 - 0.02, depth / 2, top), 0.03)
        builder.use(1).slab((0, depth / 2 - 0.02, seat),
                            (0.06, 0.02, lower - seat + 0.05))
    if kind == 'office' or rng.random() < 0.2:
        _armrests(builder, width, depth, seat)
    return finish(rng, 'chair', builder)


def _castors(builder: MeshBuilder, seat: float) -> None:
    """A column on five feet."""
    builder.use(1).cylinder((0, 0, 0.08), (0.03, 0.03), seat - 0.08, 10)
    for angle in np.arange(5) * (2 * np.pi / 5):
        x, y = np.cos(angle), np.sin(angle)
        grid = np.array([[[0.03 * -y, 0.03 * x, 0.12],
                          [0.03 * y, -0.03 * x, 0.12]],
                         [[0.26 * x - 0.02 * y, 0.26 * y + 0.02 * x, 0.06],
                          [0.26 * x + 0.02 * y, 0.26 * y - 0.02 * x, 0.06]]])
        builder.sheet(grid)
        builder.cylinder((0.25 * x, 0.25 * y, 0), (0.03, 0.03), 0.06, 8)


def _armrests(builder: MeshBuilder, width: float, depth: float,
              seat: float) -> None:
    for x in (-1, 1):
        side = x * (width / 2 + 0.02)
        builder.box((side - 0.025, -depth / 3, seat + 0.2),
                    (side + 0.025, depth / 3, seat + 0.235))
        builder.slab((side, 0.05, seat), (0.03, 0.05, 0.2))


def armchair(rng: np.random.Generator) -> Furniture:
    """A wide upholstered chair; ScanNet calls it a chair too."""
    width, depth = rng.uniform(0.68, 0.85), rng.uniform(0.7, 0.82)
    builder = MeshBuilder()
    _upholstery(builder, width, depth, rng.uniform(0.76, 0.95),
                rng.uniform(0.1, 0.16), 1)
    builder.use(1).legs(width - 0.06, depth - 0.06, 0.1, 0.05, True)
    return finish(rng, 'chair', builder)


def _upholstery(builder: MeshBuilder, width: float, depth: float, top: float,
                arm: float, seats: int) -> None:
    """Base, arms, back and cushions of sofas and armchairs."""
    half, back = width / 2, depth / 2
    builder.box((-half, -back + 0.02, 0.1), (half, back, 0.3))
    for x in (-1, 1):
        builder.cushion((x * half, -back, 0.25), (x * (half - arm), back, 0.6),
                        0.06)
    builder.cushion((-half + arm, back - 0.2, 0.28), (half - arm, back, top),
                    0.07)
    step = (width - 2 * arm) / seats
    for i in range(seats):
        left = -half + arm + i * step
        builder.cushion((left + 0.005, -back, 0.3),
                        (left + step - 0.005, back - 0.18, 0.46), 0.05)
        builder.cushion((left + 0.01, back - 0.32, 0.44),
                        (left + step - 0.01, back - 0.14, top - 0.04), 0.06)


def sofa(rng: np.random.Generator) -> Furniture:
    """A sofa of two or three seats, some with a chaise longue."""
    seats = int(rng.integers(2, 4))
    depth, arm = rng.uniform(0.82, 0.98), rng.uniform(0.12, 0.22)
    width = seats * rng.uniform(0.58, 0.7) + 2 * arm
    builder = MeshBuilder()
    _upholstery(builder, width, depth, rng.uniform(0.74, 0.92), arm, seats)
    builder.use(1).legs(width - 0.06, depth - 0.1, 0.1, 0.06, False)
    if rng.random() < 0.2:
        side = rng.choice([-1, 1])
        low, high = side * width / 2, side * (width / 2 - 0.75)
        front = -depth / 2
        builder.use(0).box((low, front - 0.6, 0.1), (high, front - 0.005, 0.3))
        builder.cushion((low, front - 0.62, 0.3), (high, front, 0.45), 0.05)
    return finish(rng, 'sofa', builder)


def bed(rng: np.random.Generator) -> Furniture:
    """A bed: frame, mattress, blanket, pillows and mostly a headboard."""
    width = float(rng.choice([0.95, 1.2, 1.45, 1.65]) + rng.uniform(0, 0.1))
    depth, top = rng.uniform(1.98, 2.12), rng.uniform(0.45, 0.62)
    half, back = width / 2, depth / 2
    frame = rng.uniform(0.2, 0.32)
    builder = MeshBuilder().use(2)
    if rng.random() < 0.5:
        builder.box((-half, -back, 0.04), (half, back, frame))
    else:
        builder.legs(width, depth, frame - 0.08, 0.07, False)
        builder.box((-half, -back, frame - 0.08), (half, back, frame))
    if rng.random() < 0.8:
        head = rng.uniform(0.85, 1.2)
        builder.box((-half, back, 0), (half, back + 0.06, head))
    if rng.random() < 0.3:
        builder.box((-half, -back - 0.05, 0), (half, -back, top + 0.1))
    builder.use(1).cushion((-half + 0.02, -back + 0.02, frame),
                           (half - 0.02, back - 0.01, top), 0.06)
    cover = back - rng.uniform(0.45, 0.8)
    builder.use(0).cushion((-half - 0.01, -back + 0.01, frame + 0.02),
                           (half + 0.01, cover, top + 0.05), 0.05)
    count = 1 if width < 1.3 else 2
    step = (width - 0.1) / count
    for i in range(count):
        left = -half + 0.05 + i * step
        builder.use(1).cushion((left + 0.05, back - 0.42, top - 0.02),
                               (left + step - 0.05, back - 0.04, top + 0.12),
                               0.06)
    return finish(rng, 'bed', builder, ('body', 'sheet', 'trim'))


def table(rng: np.random.Generator, width: float, depth: float,
          height: float) -> Furniture:
    """A table, rectangular or round, of these sizes in meters."""
    builder = MeshBuilder()
    thick = rng.uniform(0.02, 0.05)
    kind = rng.choice(['legs', 'legs', 'pedestal', 'trestle'])
    if kind == 'pedestal' and width < 1.5:
        ratio = depth / width
        builder.cylinder((0, 0, height - thick), (width / 2, width / 2), thick,
                         28, ratio)
        builder.use(1).cylinder((0, 0, 0.03), (0.06, 0.05),
                                height - thick - 0.03, 12)
        builder.cylinder((0, 0, 0), (width / 3, width / 4), 0.03, 20, ratio)
        return finish(rng, 'table', builder)
    builder.slab((0, 0, height - thick), (width, depth, thick))
    builder.use(1)
    if kind == 'trestle':
        for x in (-1, 1):
            builder.slab((x * width * 0.36, 0, 0), (0.06, depth * 0.8, 0.05))
            builder.slab((x * width * 0.36, 0, 0.05),
                         (0.06, 0.12, height - thick - 0.05))
    else:
        builder.legs(width - 0.04, depth - 0.04, height - thick,
                     rng.uniform(0.04, 0.08),
                     rng.random() < 0.3)
    if rng.random() < 0.3 and height < 0.6:
        builder.slab((0, 0, height * 0.35), (width * 0.9, depth * 0.85, 0.02))
    return finish(rng, 'table', builder)


def desk(rng: np.random.Generator) -> Furniture:
    """A desk with one or two drawer units, or legs and a back panel."""
    width, depth = rng.uniform(1.1, 1.7), rng.uniform(0.6, 0.8)
    height = rng.uniform(0.71, 0.76)
    builder = MeshBuilder()
    builder.box((-width / 2, -depth / 2, height - 0.03),
                (width / 2, depth / 2, height))
    builder.box((-width / 2 + 0.05, depth / 2 - 0.04, height - 0.4),
                (width / 2 - 0.05, depth / 2 - 0.02, height - 0.03))
    kind = rng.choice(['one', 'two', 'legs', 'panels'])
    sides = dict(one=[1], two=[-1, 1]).get(str(kind), [])
    for side in sides:
        _drawers(builder, side * (width / 2 - 0.22), depth, height - 0.03)
    builder.use(1)
    if kind == 'panels':
        for x in (-1, 1):
            builder.slab((x * (width / 2 - 0.015), 0, 0),
                         (0.03, depth, height - 0.03))
    elif kind == 'one':
        builder.slab((-width / 2 + 0.03, 0, 0), (0.05, depth * 0.9, 0.04))
        builder.slab((-width / 2 + 0.03, 0, 0.04), (0.05, 0.08, height - 0.07))
    elif kind == 'legs':
        builder.legs(width - 0.02, depth - 0.02, height - 0.03, 0.045, False)
    if rng.random() < 0.25:
        builder.use(0).box((-width / 2, depth / 2 - 0.25, height + 0.28),
                           (width / 2, depth / 2, height + 0.3))
        for x in (-1, 1):
            builder.slab((x * (width / 2 - 0.01), depth / 2 - 0.125, height),
                         (0.02, 0.25, 0.28))
    return finish(rng, 'desk', builder)


def _drawers(builder: MeshBuilder, x: float, depth: float,
             height: float) -> None:
    """A unit of three drawers below a desk's top."""
    builder.use(0).slab((x, 0.02, 0.03), (0.4, depth - 0.08, height - 0.03))
    front = 0.02 - (depth - 0.08) / 2
    for z in np.linspace(0.06, height - 0.2, 3):
        builder.slab((x, front - 0.008, z), (0.37, 0.016, 0.16))
        builder.use(1).slab((x, front - 0.022, z + 0.07), (0.12, 0.012, 0.02))
        builder.use(0)


def garbage_bin(rng: np.random.Generator) -> Furniture:
    """An open or lidded bin, round or square."""
    height, radius = rng.uniform(0.28, 0.6), rng.uniform(0.12, 0.19)
    builder = MeshBuilder()
    low = radius * rng.uniform(0.72, 0.95)
    if rng.random() < 0.6:
        profile = [(0, 0), (low, 0), (radius, height),
                   (radius - 0.012, height), (low - 0.012, 0.03), (0, 0.03)]
        builder.lathe((0, 0, 0), profile, 18, rng.uniform(0.75, 1.0))
        if rng.random() < 0.4:
            builder.use(1).lathe((0, 0, height), [(radius, 0),
                                                  (radius * 0.8, 0.05),
                                                  (0.0, 0.07)], 18, 0.85)
    else:
        depth = radius * rng.uniform(0.7, 1)
        thick = 0.012
        builder.slab((0, 0, 0), (2 * radius, 2 * depth, 0.02))
        for x in (-1, 1):
            builder.slab((x * (radius - thick / 2), 0, 0.02),
                         (thick, 2 * depth, height - 0.02))
            builder.slab((0, x * (depth - thick / 2), 0.02),
                         (2 * radius - 2 * thick, thick, height - 0.02))
        if rng.random() < 0.6:
            builder.use(1).slab((0, 0, height),
                                (2 * radius + 0.01, 2 * depth + 0.01, 0.05))
    return finish(rng, 'garbagebin', builder)


def lamp(rng: np.random.Generator) -> Furniture:
    """A floor lamp."""
    builder = MeshBuilder().use(1)
    height = rng.uniform(1.35, 1.65)
    builder.cylinder((0, 0, 0), (0.15, 0.14), 0.03)
    builder.cylinder((0, 0, 0.03), (0.014, 0.014), height - 0.25, 8)
    shade = rng.uniform(0.14, 0.22)
    builder.use(0).cylinder((0, 0, height - 0.25), (shade, shade * 0.7), 0.25)
    return finish(rng, 'lamp', builder)


def carton(rng: np.random.Generator) -> Furniture:
    """One to three boxes on top of each other."""
    builder = MeshBuilder()
    z, width, depth = 0.0, rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.4)
    for _ in range(int(rng.integers(1, 4))):
        height = rng.uniform(0.18, 0.35)
        builder.slab((0, 0, z), (width, depth, height))
        z, width, depth = z + height, width * 0.9, depth * 0.9
    return finish(rng, 'box', builder, ('body', ))


def row_of(piece: Furniture, offsets: List[float]) -> List[float]:
    """Offsets of equal pieces along x that leave a gap between them.

    Args:
        piece (Furniture): The piece that repeats.
        offsets (List[float]): Wanted places along x, meters.

    Returns:
        List[float]: Those that keep the pieces apart.
    """
    kept: List[float] = []
    for offset in sorted(offsets):
        if not kept or offset - kept[-1] > piece.size[0] + 0.04:
            kept.append(offset)
    return kept
