"""Bathroom fixtures and wall-mounted pieces.

Pieces on walls stand with their bottom at z = 0; the layout lifts them.
"""
from dataclasses import replace
from typing import Tuple

import numpy as np

from .furniture import Furniture, finish
from .materials import draw_material
from .meshes import MeshBuilder


def toilet(rng: np.random.Generator) -> Furniture:
    """A bowl with lid and a tank behind it."""
    builder = MeshBuilder()
    height, width = rng.uniform(0.38, 0.43), rng.uniform(0.19, 0.22)
    builder.lathe((0, -0.1, 0), [(0, 0), (0.13, 0), (0.1, 0.12),
                                 (width, height - 0.04), (width, height),
                                 (width - 0.05, height),
                                 (width - 0.09, height - 0.12),
                                 (0, height - 0.2)], 22, 1.25)
    builder.slab((0, 0.22, 0), (0.2, 0.24, height - 0.05))
    tank = rng.uniform(0.3, 0.4)
    builder.cushion((-0.22, 0.17, height - 0.03), (0.22, 0.36, height + tank),
                    0.02)
    is_closed = rng.random() < 0.5
    inner, outer = 0 if is_closed else width - 0.055, width + 0.005
    builder.use(1).lathe((0, -0.1, height + 0.002),
                         [(inner, 0), (outer, 0), (outer, 0.02),
                          (inner, 0.025 if is_closed else 0.02)], 22, 1.25)
    if not is_closed:
        builder.cushion((-width, 0.13, height + 0.01),
                        (width, 0.165, height + 0.4), 0.015)
    return finish(rng, 'toilet', builder)


def _tap(builder: MeshBuilder, y: float, z: float) -> None:
    builder.cylinder((0, y, z), (0.018, 0.014), 0.17, 10)
    builder.box((-0.012, y - 0.13, z + 0.15), (0.012, y, z + 0.175))


def _basin(builder: MeshBuilder, width: float, depth: float, z: float,
           deep: float) -> None:
    """A rectangular bowl with walls, its rim at z."""
    half, back, wall = width / 2, depth / 2, 0.03
    builder.box((-half, -back, z - deep), (half, back, z - deep + 0.015))
    for x in (-1, 1):
        builder.box((x * half, -back, z - deep), (x * (half - wall), back, z))
        builder.box((-half + wall, x * back, z - deep),
                    (half - wall, x * (back - wall), z))


def pedestal_sink(rng: np.random.Generator) -> Furniture:
    """A wash basin on a column."""
    width, depth = rng.uniform(0.48, 0.64), rng.uniform(0.4, 0.5)
    height = rng.uniform(0.8, 0.88)
    builder = MeshBuilder()
    if rng.random() < 0.5:
        radius = width / 2
        builder.lathe(
            (0, 0, height - 0.2), [(0.1, 0), (radius, 0.16), (radius, 0.2),
                                   (radius - 0.04, 0.2), (radius - 0.1, 0.1),
                                   (0, 0.06)], 24, depth / width)
    else:
        _basin(builder, width, depth, height, 0.17)
    builder.cylinder((0, 0.06, 0), (0.11, 0.08), height - 0.17, 14)
    builder.slab((0, depth / 2 - 0.04, height - 0.12), (0.3, 0.08, 0.12))
    builder.use(1)
    _tap(builder, depth / 2 - 0.05, height)
    return finish(rng, 'sink', builder)


def built_in_sink(rng: np.random.Generator, width: float,
                  depth: float) -> Furniture:
    """A sink for the hole of a counter; z = 0 is the counter's underside.

    Args:
        rng (np.random.Generator): Source of the material.
        width (float): Of the hole, meters.
        depth (float): Of the hole, meters.

    Returns:
        Furniture: Class 'sink', rim on the counter.
    """
    builder = MeshBuilder()
    _basin(builder, width - 0.008, depth - 0.008, 0.042, 0.17)
    for x in (-1, 1):
        builder.slab((x * (width / 2 + 0.005), 0, 0.042),
                     (0.03, depth + 0.04, 0.008))
        builder.slab((0, x * (depth / 2 + 0.005), 0.042),
                     (width - 0.02, 0.03, 0.008))
    builder.use(1)
    _tap(builder, depth / 2 + 0.01, 0.05)
    return finish(rng, 'sink', builder)


def bathtub(rng: np.random.Generator) -> Furniture:
    """A tub with thick rims, a sloping end and a tap."""
    width, depth = rng.uniform(1.45, 1.75), rng.uniform(0.7, 0.82)
    height, rim = rng.uniform(0.48, 0.6), rng.uniform(0.06, 0.1)
    half, back = width / 2, depth / 2
    builder = MeshBuilder()
    builder.box((-half, -back, 0), (half, -back + rim, height))
    builder.box((-half, back - rim, 0), (half, back, height))
    for x in (-1, 1):
        builder.box((x * half, -back + rim, 0),
                    (x * (half - rim), back - rim, height))
    builder.box((-half + rim, -back + rim, 0), (half - rim, back - rim, 0.14))
    inner, slope = half - rim, 0.32
    builder.sheet(
        np.array([[[x, side * (back - rim), z] for side in (-1, 1)]
                  for x, z in ((inner, height - 0.02), (inner - slope, 0.14))
                  ]))
    builder.use(1).slab((-half + rim + 0.06, 0, height + 0.12),
                        (0.14, 0.03, 0.03))
    builder.slab((-half + rim / 2, 0, height), (0.03, 0.03, 0.15))
    return finish(rng, 'bathtub', builder)


def _folds(rng: np.random.Generator, width: float, height: float,
           depth: float) -> np.ndarray:
    """A hanging sheet in waves, (H, W, 3)."""
    count = max(int(width / rng.uniform(0.1, 0.16)), 2)
    x = np.linspace(-width / 2, width / 2, 8 * count + 1)
    z = np.array([0.0, 0.5, 1.0]) * height
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * count * x / width + phase)
    swing = np.array([1.0, 0.9, 0.6])[:, None] * wave * depth / 2
    return np.stack([
        np.broadcast_to(x, swing.shape), swing,
        np.broadcast_to(z[:, None], swing.shape)
    ], -1)


def curtain(rng: np.random.Generator, width: float,
            height: float) -> Furniture:
    """One side of a window's curtains.

    Args:
        rng (np.random.Generator): Source of the folds.
        width (float): Along x, meters.
        height (float): Meters.

    Returns:
        Furniture: Class 'curtain'.
    """
    builder = MeshBuilder()
    builder.sheet(_folds(rng, width, height, 0.07))
    return finish(rng, 'curtain', builder, ('body', ))


def shower_curtain(rng: np.random.Generator, width: float) -> Furniture:
    """A shower curtain with its rod.

    Args:
        rng (np.random.Generator): Source of the folds.
        width (float): Of the rod, meters; the curtain covers a part of it.

    Returns:
        Furniture: Class 'showercurtrain', ScanNet's spelling.
    """
    builder = MeshBuilder()
    height, share = rng.uniform(1.65, 1.8), rng.uniform(0.4, 0.7)
    grid = _folds(rng, width * share, height, 0.08)
    side = rng.choice([-1, 1])
    grid[..., 0] += side * width * (1 - share) / 2
    builder.sheet(grid)
    builder.use(1).box((-width / 2, -0.012, height),
                       (width / 2, 0.012, height + 0.024))
    return finish(rng, 'showercurtrain', builder)


def door(rng: np.random.Generator) -> Furniture:
    """A closed door in its frame, on the wall."""
    width, height = rng.uniform(0.78, 0.95), rng.uniform(1.98, 2.08)
    half, frame = width / 2, rng.uniform(0.05, 0.09)
    builder = MeshBuilder()
    builder.box((-half, -0.01, 0), (half, 0.03, height))
    panels = int(rng.integers(0, 4))
    for j in range(panels):
        low = 0.12 + j * (height - 0.2) / panels
        builder.box((-half + 0.1, -0.022, low),
                    (half - 0.1, -0.01, low + (height - 0.2) / panels - 0.1))
    builder.use(1)
    for x in (-1, 1):
        builder.box((x * half, -0.03, 0),
                    (x * (half + frame), 0.03, height + frame))
    builder.box((-half, -0.03, height), (half, 0.03, height + frame))
    x = rng.choice([-1, 1]) * (half - 0.08)
    builder.use(2).box((x - 0.05, -0.07, 0.98), (x + 0.05, -0.05, 1.01))
    builder.box((x - 0.012, -0.05, 0.98), (x + 0.012, -0.01, 1.01))
    return finish(rng, 'door', builder, ('body', 'trim', 'handle'))


def _framed(rng: np.random.Generator, name: str, size: Tuple[float, float],
            frame: float, thick: float, bars: Tuple[int, int]) -> Furniture:
    """A pane in a frame, cut by bars; the texture fills the pane."""
    width, height = size
    half = width / 2
    builder = MeshBuilder()
    builder.box((-half + frame, -thick / 3, frame),
                (half - frame, thick / 2, height - frame))
    builder.use(1)
    for x in np.linspace(-half, half - frame, bars[0] + 2):
        builder.box((x, -thick / 2, 0), (x + frame, thick / 2, height))
    for z in np.linspace(0, height - frame, bars[1] + 2):
        builder.box((-half + frame, -thick / 2, z),
                    (half - frame, thick / 2, z + frame))
    piece = finish(rng, name, builder)
    pane, bar = piece.materials
    return replace(piece, materials=(replace(pane, size=size), bar))


def window(rng: np.random.Generator) -> Furniture:
    """A window of one to three casements with a view."""
    size = (rng.uniform(0.8, 2.0), rng.uniform(0.9, 1.4))
    return _framed(rng, 'window', size, rng.uniform(0.04, 0.07), 0.05,
                   (int(size[0] / 0.6) - 1, int(rng.integers(0, 2))))


def picture(rng: np.random.Generator) -> Furniture:
    """A framed picture."""
    size = (rng.uniform(0.35, 1.0), rng.uniform(0.35, 0.8))
    return _framed(rng, 'picture', size, rng.uniform(0.02, 0.05), 0.035,
                   (0, 0))


def mirror(rng: np.random.Generator) -> Furniture:
    """A framed mirror; what it reflects is not drawn."""
    size = (rng.uniform(0.45, 0.8), rng.uniform(0.6, 0.9))
    return _framed(rng, 'mirror', size, 0.03, 0.03, (0, 0))


def whiteboard(rng: np.random.Generator) -> Furniture:
    """A wide board with a thin frame."""
    size = (rng.uniform(1.2, 2.2), rng.uniform(0.9, 1.2))
    return _framed(rng, 'whiteboard', size, 0.025, 0.03, (0, 0))


def television(rng: np.random.Generator, width: float) -> Furniture:
    """A flat screen on a foot.

    Args:
        rng (np.random.Generator): Source of the material.
        width (float): Of the screen, meters.

    Returns:
        Furniture: Class 'television'; monitors of desks too.
    """
    builder = MeshBuilder()
    height = width * 0.58
    builder.slab((0, 0, 0), (width * 0.35, 0.18, 0.015))
    builder.slab((0, 0.02, 0.015), (0.06, 0.03, 0.1))
    builder.slab((0, 0, 0.08), (width, 0.04, height))
    return finish(rng, 'television', builder, ('body', ))


def book_stack(rng: np.random.Generator) -> Furniture:
    """A few books lying on each other."""
    builder = MeshBuilder()
    z = 0.0
    for _ in range(int(rng.integers(2, 6))):
        thick = rng.uniform(0.02, 0.05)
        builder.slab((rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02), z),
                     (rng.uniform(0.16, 0.24), rng.uniform(0.14, 0.2), thick))
        z += thick
    return Furniture('books', builder.build(), (draw_material(rng, 'books'), ))
