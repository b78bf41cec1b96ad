"""Materials of each class.

The table ``CLASS_MATERIALS`` gives, per class and part, families of materials
with their weights. Families are shared on purpose: wood serves cabinets,
tables, desks, bookshelves, doors, beds and chairs; white paint or porcelain
serves refrigerators, doors, toilets, sinks and bathtubs; woven stuff serves
beds, sofas, chairs and curtains. So a color or texture narrows the class
down without giving it away: what is wooden may be seven classes, what is
leather is a sofa or a chair.
"""
from dataclasses import replace
from typing import Any, Callable, Dict, Tuple

import numpy as np

from .textures import Color, Material

Families = Dict[str, float]
Range = Tuple[float, float]
Maker = Callable[[np.random.Generator], Material]

# Families by weight: class -> part -> families.
CLASS_MATERIALS: Dict[str, Dict[str, Families]] = dict(
    cabinet=dict(
        body=dict(
            light_wood=2, wood=3, dark_wood=2, white_paint=3, color_paint=1),
        trim=dict(steel=2, dark_metal=1)),
    bed=dict(
        body=dict(fabric=3, pattern=3, bright_fabric=1),
        sheet=dict(linen=4, fabric=1),
        trim=dict(light_wood=1, wood=2, dark_wood=2, dark_metal=1, fabric=1)),
    chair=dict(
        body=dict(
            light_wood=1,
            wood=2,
            dark_wood=1,
            fabric=3,
            bright_fabric=2,
            dark_plastic=2,
            color_plastic=2,
            leather=1),
        trim=dict(wood=2, dark_wood=1, dark_metal=3, steel=2)),
    sofa=dict(
        body=dict(fabric=4, bright_fabric=2, leather=4, pattern=1),
        trim=dict(dark_wood=2, steel=1)),
    table=dict(
        body=dict(light_wood=2, wood=3, dark_wood=2, white_paint=2, marble=1),
        trim=dict(wood=2, dark_metal=2, steel=1, white_paint=1)),
    door=dict(
        body=dict(white_paint=4, light_wood=1, wood=3, color_paint=1),
        trim=dict(white_paint=3, wood=1),
        handle=dict(steel=1)),
    window=dict(
        body=dict(sky=1), trim=dict(white_paint=4, wood=1, dark_metal=1)),
    bookshelf=dict(
        body=dict(
            light_wood=2, wood=3, dark_wood=2, white_paint=2, dark_metal=1),
        trim=dict(books=1)),
    picture=dict(
        body=dict(picture=1),
        trim=dict(dark_wood=2, wood=1, dark_metal=2, white_paint=1)),
    counter=dict(body=dict(granite=5, marble=2, wood=1, white_paint=1)),
    desk=dict(
        body=dict(light_wood=3, wood=3, dark_wood=1, white_paint=2),
        trim=dict(dark_metal=2, steel=2, wood=2, white_paint=1)),
    curtain=dict(
        body=dict(bright_fabric=3, fabric=2, pattern=3, linen=2),
        trim=dict(dark_metal=1)),
    refrigerator=dict(
        body=dict(white_paint=3, steel=3, dark_metal=1),
        trim=dict(steel=1, dark_metal=1)),
    showercurtrain=dict(
        body=dict(linen=4, pastel_pattern=4, bright_fabric=1),
        trim=dict(steel=1)),
    toilet=dict(body=dict(porcelain=1), trim=dict(porcelain=4, wood=1)),
    sink=dict(body=dict(porcelain=3, steel=2), trim=dict(steel=1)),
    bathtub=dict(body=dict(porcelain=1), trim=dict(steel=1)),
    garbagebin=dict(
        body=dict(dark_plastic=4, color_plastic=3, white_paint=1, steel=1),
        trim=dict(dark_plastic=1, linen=1)),
    nightstand=dict(
        body=dict(light_wood=1, wood=2, dark_wood=2, white_paint=1),
        trim=dict(steel=1)),
    lamp=dict(body=dict(linen=1), trim=dict(dark_metal=1, steel=1)),
    television=dict(body=dict(dark_plastic=1), trim=dict(dark_plastic=1)),
    box=dict(body=dict(cardboard=1)),
    mirror=dict(body=dict(glass=1), trim=dict(wood=1, dark_metal=1)),
    whiteboard=dict(body=dict(board=1), trim=dict(steel=1)),
    books=dict(body=dict(books=1)),
    floor=dict(
        dry=dict(floor_planks=5, carpet=4, floor_tiles=1),
        wet=dict(floor_tiles=1)),
    wall=dict(dry=dict(wall_paint=1), wet=dict(wall_tiles=2, wall_paint=1)),
    ceiling=dict(body=dict(ceiling_paint=1)),
)

_TAU = 2 * np.pi


def _hue(rng: np.random.Generator, light: float, chroma: float) -> Color:
    """A color of any hue."""
    angle = rng.uniform(0, _TAU) + np.array([0, _TAU / 3, 2 * _TAU / 3])
    red, green, blue = np.clip(light + chroma * np.cos(angle), 0.02, 0.98)
    return (float(red), float(green), float(blue))


def _near(rng: np.random.Generator, color: Color, spread: float) -> Color:
    """A color like the given one, lighter or darker and shifted a little."""
    shift = rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    red, green, blue = np.clip(np.array(color) + shift, 0.02, 0.98)
    return (float(red), float(green), float(blue))


def _scaled(color: Color, factor: float) -> Color:
    red, green, blue = (min(c * factor, 1.0) for c in color)
    return (red, green, blue)


def _shaded(kind: str, base: Color, factor: float, **options: Any) -> Material:
    """A material whose pattern is its color, darker or lighter."""
    return Material(kind, base, _scaled(base, factor), **options)


def _wooden(color: Color) -> Maker:
    return lambda rng: _shaded(
        'wood', _near(rng, color, 0.04), 0.62, repeats=int(rng.integers(2, 5)))


def _flat(color: Color,
          spread: float,
          gloss: float,
          kind: str = 'plain') -> Maker:
    return lambda rng: _shaded(
        kind, _near(rng, color, spread), 1.25, gloss=gloss)


def _colored(kind: str, light: Range, chroma: Range, gloss: float) -> Maker:
    return lambda rng: _shaded(
        kind,
        _hue(rng, rng.uniform(*light), rng.uniform(*chroma)),
        0.6,
        gloss=gloss)


def _one_of(kind: str, colors: Tuple[Color, ...], spread: float, factor: float,
            **options: Any) -> Maker:
    return lambda rng: _shaded(
        kind, _near(rng, colors[rng.integers(len(colors))], spread), factor, **
        options)


def _tiled(light: Range, chroma: Callable[[np.random.Generator], float],
           factor: float, size: float, repeats: Tuple[int, ...]) -> Maker:
    return lambda rng: _shaded(
        'tiles',
        _hue(rng, rng.uniform(*light), chroma(rng)),
        factor,
        size=(size, size),
        repeats=int(rng.choice(repeats)),
        gloss=0.2)


def _patterned(light: Range) -> Maker:
    return lambda rng: Material(
        str(rng.choice(['stripes', 'checks', 'dots'])),
        _hue(rng, rng.uniform(*light), rng.uniform(0.05, 0.25)),
        _hue(rng, rng.uniform(0.4, 0.9), rng.uniform(0.0, 0.25)),
        repeats=int(rng.integers(5, 14)),
        gloss=0)


FAMILIES: Dict[str, Maker] = dict(
    light_wood=_wooden((0.78, 0.63, 0.43)),
    wood=_wooden((0.57, 0.38, 0.22)),
    dark_wood=_wooden((0.3, 0.18, 0.11)),
    white_paint=_flat((0.87, 0.86, 0.83), 0.03, 0.15),
    color_paint=_colored('plain', (0.4, 0.7), (0.05, 0.15), 0.15),
    steel=_flat((0.6, 0.61, 0.63), 0.04, 0.6, 'brushed'),
    dark_metal=_flat((0.13, 0.13, 0.14), 0.03, 0.3),
    dark_plastic=_flat((0.12, 0.12, 0.13), 0.03, 0.25),
    color_plastic=_colored('plain', (0.3, 0.6), (0.08, 0.27), 0.25),
    porcelain=_flat((0.92, 0.92, 0.9), 0.02, 0.35),
    fabric=_colored('fabric', (0.2, 0.6), (0.0, 0.07), 0.0),
    bright_fabric=_colored('fabric', (0.3, 0.6), (0.08, 0.25), 0.0),
    linen=_flat((0.88, 0.86, 0.82), 0.04, 0.0, 'fabric'),
    pattern=_patterned((0.25, 0.6)),
    pastel_pattern=_patterned((0.75, 0.9)),
    leather=_one_of(
        'leather', ((0.36, 0.2, 0.1), (0.12, 0.11, 0.11), (0.55, 0.42, 0.3),
                    (0.3, 0.07, 0.06)),
        0.02,
        1.6,
        gloss=0.3),
    granite=lambda rng: replace(
        _one_of(
            'stone', ((0.25, 0.24, 0.24), (0.5, 0.45, 0.4), (0.62, 0.6, 0.58)),
            0.03,
            1,
            gloss=0.3)(rng),
        second=_hue(rng, 0.3, 0.05)),
    marble=lambda rng: Material(
        'marble',
        _near(rng, (0.85, 0.84, 0.82), 0.03), (0.5, 0.5, 0.52),
        gloss=0.3),
    sky=lambda rng: Material(
        'sky',
        _near(rng, (0.7, 0.8, 0.92), 0.04), (0.97, 0.98, 1.0),
        gloss=0.9,
        emission=float(rng.uniform(0.3, 0.9))),
    picture=lambda rng: Material('picture', _hue(rng, 0.6, 0.3),
                                 _hue(rng, 0.5, 0.3)),
    books=lambda rng: Material('books', (0.5, 0.5, 0.5)),
    cardboard=_flat((0.62, 0.47, 0.31), 0.03, 0.0),
    glass=_flat((0.5, 0.56, 0.6), 0.03, 0.95, 'brushed'),
    board=_flat((0.93, 0.94, 0.95), 0.01, 0.3),
    floor_planks=_one_of(
        'planks', ((0.68, 0.52, 0.34), (0.5, 0.34, 0.2), (0.6, 0.56, 0.5)),
        0.04,
        0.7,
        size=(2.4, 2.4),
        repeats=16),
    floor_tiles=_tiled((0.4, 0.85), lambda rng: 0.04, 0.6, 2.4, (6, 8, 12)),
    carpet=_colored('carpet', (0.3, 0.6), (0.0, 0.08), 0.0),
    wall_paint=_colored('plain', (0.68, 0.88), (0.0, 0.06), 0.05),
    wall_tiles=_tiled((0.75, 0.9), lambda rng: rng.uniform(0, 0.08), 0.8, 1.6,
                      (8, 10, 16)),
    ceiling_paint=_flat((0.9, 0.9, 0.88), 0.02, 0.0),
)


def draw_material(rng: np.random.Generator,
                  name: str,
                  part: str = 'body') -> Material:
    """A material, with a seed of its own, for a part of a class's piece."""
    families = CLASS_MATERIALS[name][part]
    weights = np.array(list(families.values()), float)
    family = list(families)[int(
        rng.choice(len(weights), p=weights / weights.sum()))]
    return replace(FAMILIES[family](rng), seed=int(rng.integers(2**31)))
