"""Points on the surface of meshes, and their colors.

Shapes: N points, F triangles, V vertices.
"""
from dataclasses import dataclass, field
from typing import Any, List, Optional, Tuple

import numpy as np

# Points, and their colors from 0 to 255 where there are any.
Piece = Tuple[np.ndarray, Optional[np.ndarray]]


@dataclass
class Part:
    """Triangles, or points without any, whose color is of one kind.

    The color is the product of all that is given of factor, colors and image;
    there is none where none of them is.
    """
    vertices: np.ndarray  # (V, 3) in the frame of the scene
    faces: np.ndarray  # (F, 3) vertices; (0, 3) for points
    factor: Optional[np.ndarray] = None  # (3,) 0 to 1
    colors: Optional[np.ndarray] = None  # (V, 3) 0 to 1
    uv: Optional[np.ndarray] = None  # (F, 3, 2) of corners, v upward
    image: Any = None  # PIL image in sRGB, for parts with ``uv``
    # Whether factor and colors are linear, not in sRGB
    is_linear: bool = False

    @property
    def areas(self) -> np.ndarray:
        """(F,) areas; NaN or infinite where vertices are."""
        a, b, c = self.vertices[self.faces].swapaxes(0, 1)
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


@dataclass
class MeshContent:
    """What a mesh file holds."""
    parts: List[Part]
    notes: List[str] = field(default_factory=list)
    # Why its colors cannot be read, and what to do; '' if they can
    color_problem: str = ''


def points_of(parts: List[Part], count: int) -> Tuple[List[Piece], str]:
    """Points of the parts, and a note on what they are.

    Args:
        parts (List[Part]): All of a file.
        count (int): Points on the surface. Without triangles, the vertices
            are the points.

    Returns:
        Tuple[List[Piece], str]: Points in the frame of the scene.
    """
    with np.errstate(invalid='ignore', over='ignore'):
        areas = [part.areas for part in parts]
    is_mesh = [bool((area > 0).any()) for area in areas]
    if not any(is_mesh):
        pieces = [(part.vertices, _vertex_colors(part)) for part in parts]
        return pieces, 'no faces: its vertices are the points'
    meshes = [part for part, used in zip(parts, is_mesh) if used]
    areas = [area for area, used in zip(areas, is_mesh) if used]
    note = (f'surface of {sum(map(len, areas)):,} triangles sampled at '
            f'{count:,} points')
    if len(meshes) < len(parts):
        note += f'; {len(parts) - len(meshes)} parts without not used'
    damaged = sum(int((~np.isfinite(area)).sum()) for area in areas)
    if damaged:
        note += f'; {damaged:,} with NaN or infinity not used'
    return _sample(meshes, areas, count), note


def _sample(parts: List[Part], areas: List[np.ndarray],
            count: int) -> List[Piece]:
    """``count`` points on parts, evenly by the (F,) areas of each.

    By hand, since trimesh's sampling does not give the place within a
    triangle, which the colors need.
    """
    rng = np.random.default_rng(0)
    total = np.concatenate(areas)
    total = np.where(np.isfinite(total), total, 0)
    drawn = np.sort(rng.choice(len(total), count, p=total / total.sum()))
    pieces = []
    for part, start in zip(parts, np.cumsum([0, *map(len, areas)])):
        of_part = (drawn >= start) & (drawn < start + len(part.faces))
        faces = drawn[of_part] - start
        share = rng.random((2, len(faces)))
        share = np.where(share.sum(0) > 1, 1 - share, share)
        weights = np.stack([1 - share.sum(0), *share], axis=1)[..., None]
        corners = part.vertices[part.faces[faces]]
        pieces.append(((corners * weights).sum(axis=1),
                       _surface_colors(part, faces, weights)))
    return pieces


def _surface_colors(part: Part, faces: np.ndarray,
                    weights: np.ndarray) -> Optional[np.ndarray]:
    """(N, 3) colors, 0 to 255, of points in triangles; None without any.

    Args:
        part (Part): With triangles.
        faces (np.ndarray): (N,) triangle of each point.
        weights (np.ndarray): (N, 3, 1) shares of its corners.
    """
    colors = texels = None
    if part.colors is not None:
        colors = (part.colors[part.faces[faces]] * weights).sum(axis=1)
    if part.image is not None and part.uv is not None:
        # An optional library
        from trimesh.visual.color import uv_to_color
        uv = (part.uv[faces] * weights).sum(axis=1)
        texels = uv_to_color(uv, part.image)[:, :3] / 255
        if part.is_linear:
            texels = to_linear(texels)
    return _product(part, len(faces), colors, texels)


def _vertex_colors(part: Part) -> Optional[np.ndarray]:
    """(V, 3) colors, 0 to 255, of a part that has no surface."""
    return _product(part, len(part.vertices), part.colors)


def _product(part: Part, count: int, *colors:
             Optional[np.ndarray]) -> Optional[np.ndarray]:
    """(N, 3) product of the factor of a part and (N, 3) colors, 0 to 255."""
    given = [values for values in colors if values is not None]
    if part.factor is not None:
        given.append(np.tile(part.factor, (count, 1)))
    if not given:
        return None
    product = np.prod(given, axis=0).clip(0, 1)
    return (to_srgb(product) if part.is_linear else product) * 255


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Decode sRGB colors, 0 to 1 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92,
                    ((srgb + 0.055) / 1.055)**2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear colors, 0 to 1, as sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92,
                    1.055 * linear**(1 / 2.4) - 0.055)
