"""Procedural textures, baked into small images that repeat.

A texture covers ``Material.size`` meters in each direction. Shapes: H W
pixels.
"""
from dataclasses import dataclass
from typing import Callable, Dict, Tuple

import cv2
import numpy as np

Color = Tuple[float, float, float]

# Pixels per side of every texture.
TEXTURE_SIZE = 256


@dataclass(frozen=True)
class Material:
    """Appearance of a surface."""
    kind: str  # A key of ``PATTERNS``
    color: Color  # Main color, sRGB 0 to 1
    second: Color = (0.5, 0.5, 0.5)  # Color of the pattern
    size: Tuple[float, float] = (1.28, 1.28)  # What the texture covers, meters
    repeats: int = 8  # How often the pattern occurs in it
    # 0 matt to 1 mirror-like; glossy surfaces make holes in depth images
    gloss: float = 0.1
    emission: float = 0.0  # Light of its own, as a share of white
    seed: int = 0  # Of the pattern


def smooth_noise(rng: np.random.Generator, rows: int,
                 columns: int) -> np.ndarray:
    """(H, W) float32, about 0 to 1, of so many bumps; repeats seamlessly."""
    small = rng.random((rows, columns), dtype=np.float32)
    padded = np.pad(small, 2, mode='wrap')
    scale = (TEXTURE_SIZE / columns, TEXTURE_SIZE / rows)
    large = cv2.resize(
        padded,
        (round(padded.shape[1] * scale[0]), round(padded.shape[0] * scale[1])),
        interpolation=cv2.INTER_CUBIC)
    left, top = round(2 * scale[0]), round(2 * scale[1])
    return large[top:top + TEXTURE_SIZE, left:left + TEXTURE_SIZE]


def _mix(material: Material, share: np.ndarray) -> np.ndarray:
    """Blend from the first color (share 0) to the second (share 1)."""
    first, second = np.array(material.color), np.array(material.second)
    return first + share[..., None] * (second - first)


def _woven(material: Material, share: np.ndarray,
           rng: np.random.Generator) -> np.ndarray:
    """The mixed colors as threads of cloth show them."""
    weave = rng.random(share.shape)
    return _mix(material, share) * (0.92 + 0.12 * weave)[..., None]


def _position() -> Tuple[np.ndarray, np.ndarray]:
    """Coordinates v, u of the pixels, 0 to 1."""
    steps = np.arange(TEXTURE_SIZE) / TEXTURE_SIZE
    v, u = np.meshgrid(steps, steps, indexing='ij')
    return v, u


def _plain(material: Material, rng: np.random.Generator) -> np.ndarray:
    noise = 0.6 * smooth_noise(rng, 6, 6) + 0.4 * smooth_noise(rng, 48, 48)
    return _mix(material, np.zeros_like(noise)) * (0.94 + 0.1 * noise)[...,
                                                                       None]


def _wood(material: Material, rng: np.random.Generator) -> np.ndarray:
    waves = smooth_noise(rng, 6 * material.repeats, 3)
    grain = smooth_noise(rng, 128, 8)
    bands = smooth_noise(rng, material.repeats, 2)
    return _mix(material, 0.45 * waves + 0.35 * grain + 0.3 * bands)


def _planks(material: Material, rng: np.random.Generator) -> np.ndarray:
    v, u = _position()
    row = np.floor(v * material.repeats).astype(int)
    board = np.floor(u * 2 + 0.37 * row).astype(int) % 2
    tint = rng.uniform(0.8, 1.1, (material.repeats, 2))[row, board]
    gap = ((v * material.repeats) % 1 < 0.05) | ((u * 2 + 0.37 * row) % 1
                                                 < 0.012)
    return _wood(material, rng) * (tint * np.where(gap, 0.55, 1))[..., None]


def _fabric(material: Material, rng: np.random.Generator) -> np.ndarray:
    weave = rng.random((TEXTURE_SIZE, TEXTURE_SIZE))
    folds = smooth_noise(rng, 5, 5)
    return _mix(material, 0.45 * weave) * (0.85 + 0.25 * folds)[..., None]


def _stripes(material: Material, rng: np.random.Generator) -> np.ndarray:
    _, u = _position()
    ratio = rng.uniform(0.3, 0.7)
    share = ((u * material.repeats) % 1 < ratio).astype(float)
    return _woven(material, share, rng)


def _checks(material: Material, rng: np.random.Generator) -> np.ndarray:
    v, u = _position()
    share = 0.5 * ((u * material.repeats) % 1 < 0.5) + 0.5 * (
        (v * material.repeats) % 1 < 0.5)
    return _woven(material, share, rng)


def _dots(material: Material, rng: np.random.Generator) -> np.ndarray:
    v, u = _position()
    radius = rng.uniform(0.2, 0.38)
    away = np.hypot((u * material.repeats) % 1 - 0.5,
                    (v * material.repeats) % 1 - 0.5)
    return _woven(material, (away < radius).astype(float), rng)


def _tiles(material: Material, rng: np.random.Generator) -> np.ndarray:
    v, u = _position()
    count = material.repeats
    row, column = (v * count).astype(int), (u * count).astype(int)
    tint = rng.uniform(0.9, 1.05, (count, count))[row, column]
    joint = ((u * count) % 1 < 0.05) | ((v * count) % 1 < 0.05)
    cloud = 0.96 + 0.08 * smooth_noise(rng, 24, 24)
    return _mix(material, joint.astype(float)) * (tint * cloud)[..., None]


def _stone(material: Material, rng: np.random.Generator) -> np.ndarray:
    speckle = rng.random((TEXTURE_SIZE, TEXTURE_SIZE))**2
    grains = smooth_noise(rng, 100, 100)
    return _mix(material, 0.5 * speckle + 0.5 * (grains > 0.62))


def _marble(material: Material, rng: np.random.Generator) -> np.ndarray:
    bend = smooth_noise(rng, 4, 4) + 0.5 * smooth_noise(rng, 9, 9)
    _, u = _position()
    veins = np.abs(np.sin(np.pi * (3 * u + 2.5 * bend)))
    return _mix(material, np.exp(-6 * veins))


def _leather(material: Material, rng: np.random.Generator) -> np.ndarray:
    share = 0.5 * smooth_noise(rng, 8, 8) + 0.5 * smooth_noise(rng, 90, 90)
    return _mix(material, 0.5 * share)


def _brushed(material: Material, rng: np.random.Generator) -> np.ndarray:
    streaks = smooth_noise(rng, 160, 3)
    sheen = smooth_noise(rng, 2, 3)
    return _mix(material, 0.35 * streaks + 0.4 * sheen)


def _carpet(material: Material, rng: np.random.Generator) -> np.ndarray:
    pile = rng.random((TEXTURE_SIZE, TEXTURE_SIZE))
    return _mix(material, 0.5 * pile + 0.3 * smooth_noise(rng, 7, 7))


def _books(material: Material, rng: np.random.Generator) -> np.ndarray:
    edges = np.cumsum(rng.uniform(0.5, 1.6, 4 * material.repeats))
    _, u = _position()
    book = np.searchsorted(edges / edges[-1], u, side='right')
    palette = rng.uniform(0.12, 0.85, (len(edges) + 1, 3))
    palette = 0.55 * palette + 0.45 * palette.mean(1, keepdims=True)
    return palette[book] * (0.9 + 0.15 * smooth_noise(rng, 9, 100))[..., None]


def _sky(material: Material, rng: np.random.Generator) -> np.ndarray:
    v, _ = _position()
    trees = 0.25 + 0.35 * smooth_noise(rng, 2, 9)
    leaves = smooth_noise(rng, 40, 40)[..., None]
    sky = _mix(material, 0.6 * smooth_noise(rng, 4, 6) * v)
    green = np.array([0.28, 0.36, 0.22]) * (0.5 + leaves)
    return np.where((v < trees)[..., None], green, sky)


def _picture(material: Material, rng: np.random.Generator) -> np.ndarray:
    """A landscape or overlapping shapes, as strangers hang them up."""
    v, u = _position()
    image = _mix(material, v)
    if rng.random() < 0.5:
        for height in (0.65, 0.45, 0.25):
            ridge = height + 0.3 * (smooth_noise(rng, 2, 7) - 0.5)
            image[v < ridge] = rng.uniform(0.05, 0.8, 3)
    else:
        for _ in range(7):
            x, y, radius = rng.random(3) * (1, 1, 0.35)
            near = np.hypot(u - x, v -
                            y) if rng.random() < 0.6 else (np.maximum(
                                np.abs(u - x), np.abs(v - y)))
            image[near < radius] = rng.uniform(0.05, 0.95, 3)
    return image * (0.9 + 0.15 * smooth_noise(rng, 40, 40))[..., None]


Pattern = Callable[[Material, np.random.Generator], np.ndarray]
PATTERNS: Dict[str, Pattern] = {
    pattern.__name__[1:]: pattern
    for pattern in (_plain, _wood, _planks, _fabric, _stripes, _checks, _dots,
                    _tiles, _stone, _marble, _leather, _brushed, _carpet,
                    _books, _sky, _picture)
}


def bake(material: Material) -> np.ndarray:
    """The texture of a material, (H, W, 3) uint8 sRGB; row 0 is the bottom."""
    rng = np.random.default_rng(material.seed)
    image = PATTERNS[material.kind](material, rng)
    return (image.clip(0, 1) * 255).round().astype(np.uint8)
