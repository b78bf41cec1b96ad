"""Triangle meshes of parametric furniture, part by part.

Local frame of a piece: x to its right seen from behind, y to its back, z up;
it faces -y and stands on z = 0. Meters. Shapes: V vertices, F faces,
P parts.
"""
from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np

Vector = Sequence[float]

_BOX_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1)
                         for z in (0, 1)], float)
_BOX_FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5],
                       [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
                       [1, 5, 7], [1, 7, 3]])


@dataclass(frozen=True)
class Mesh:
    """A mesh whose faces know their material."""
    vertices: np.ndarray  # (V, 3) meters, local frame
    faces: np.ndarray  # (F, 3) indices of vertices
    slots: np.ndarray  # (F,) index of the face's material
    # (P, 2, 3) lowest and highest corner of the boxes that hold the solid
    # parts; collisions are tested with them
    parts: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """(2, 3) lowest and highest coordinates, meters."""
        return np.stack([self.vertices.min(0), self.vertices.max(0)])


class MeshBuilder:
    """Collects parts; the current slot is the material of what follows."""

    def __init__(self) -> None:
        self.slot = 0
        self._vertices: List[np.ndarray] = []
        self._faces: List[np.ndarray] = []
        self._slots: List[np.ndarray] = []
        self._parts: List[np.ndarray] = []
        self._count = 0

    def use(self, slot: int) -> 'MeshBuilder':
        """Choose the material of the parts that follow."""
        self.slot = slot
        return self

    def add(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Add a part: vertices (V, 3) in meters, faces (F, 3) of them."""
        self._vertices.append(vertices)
        self._faces.append(faces + self._count)
        self._slots.append(np.full(len(faces), self.slot))
        self._parts.append(np.stack([vertices.min(0), vertices.max(0)]))
        self._count += len(vertices)

    def box(self, low: Vector, high: Vector) -> None:
        """A box between two opposite corners."""
        corner = np.minimum(low, high)
        size = np.maximum(low, high) - corner
        self.add(corner + _BOX_CORNERS * size, _BOX_FACES)

    def slab(self, center: Vector, size: Vector) -> None:
        """A box of a size whose bottom's middle is at ``center``."""
        x, y, z = center
        a, b, c = size
        self.box((x - a / 2, y - b / 2, z), (x + a / 2, y + b / 2, z + c))

    def legs(self, width: float, depth: float, height: float, thick: float,
             is_round: bool) -> None:
        """Four legs in the corners of a rectangle about the origin."""
        for x in (-1, 1):
            for y in (-1, 1):
                center = (x * (width - thick) / 2, y * (depth - thick) / 2, 0.)
                if is_round:
                    self.cylinder(center, (thick / 3, thick / 2), height, 8)
                else:
                    self.slab(center, (thick, thick, height))

    def cylinder(self,
                 center: Vector,
                 radii: Tuple[float, float],
                 height: float,
                 sections: int = 14,
                 squash: float = 1.0) -> None:
        """A frustum whose bottom's middle is at ``center``.

        ``radii`` are at the bottom and at the top; ``squash`` is a factor of
        its extent along y.
        """
        profile = [(0.0, 0.0), (radii[0], 0.0), (radii[1], height),
                   (0.0, height)]
        self.lathe(center, profile, sections, squash)

    def lathe(self,
              center: Vector,
              profile: Sequence[Tuple[float, float]],
              sections: int = 18,
              squash: float = 1.0) -> None:
        """A profile of radii and heights, turned about a vertical axis."""
        angle = np.arange(sections) * (2 * np.pi / sections)
        ring = np.stack([np.cos(angle), np.sin(angle) * squash], 1)
        radii, heights = np.array(profile).T
        rings = np.concatenate([
            ring[None] * radii[:, None, None],
            np.broadcast_to(heights[:, None, None], (len(radii), sections, 1))
        ], 2)
        faces = _grid_faces(len(radii), sections, is_closed=True)
        self.add(rings.reshape(-1, 3) + np.asarray(center, float), faces)

    def sheet(self, grid: np.ndarray) -> None:
        """A surface through a grid (H, W, 3) of points, meters."""
        rows, columns = grid.shape[:2]
        self.add(grid.reshape(-1, 3), _grid_faces(rows, columns, False))

    def cushion(self, low: Vector, high: Vector, radius: float) -> None:
        """A box with rounded edges: mattresses, pillows, upholstery."""
        lowest, highest = np.minimum(low, high), np.maximum(low, high)
        half = (highest - lowest) / 2
        radius = min(radius, float(half.min()) * 0.999)
        sphere, faces = _cube_sphere()
        core = np.sign(sphere) * (half - radius)
        rounded = core + sphere * radius
        self.add(rounded + (lowest + highest) / 2, faces)

    def build(self) -> Mesh:
        """All parts as one mesh."""
        return Mesh(
            np.concatenate(self._vertices), np.concatenate(self._faces),
            np.concatenate(self._slots), np.stack(self._parts))


def _grid_faces(rows: int, columns: int, is_closed: bool) -> np.ndarray:
    """Two triangles per cell of a grid; closed: the last column meets the
    first."""
    row, column = np.mgrid[:rows - 1, :columns - (not is_closed)]
    following = (column + 1) % columns
    a, b = row * columns + column, row * columns + following
    quads = np.stack([a, b, b + columns, a, b + columns, a + columns], -1)
    return quads.reshape(-1, 3)


def _cube_sphere() -> Tuple[np.ndarray, np.ndarray]:
    """A unit sphere made of the six sides of a cube, none at 0 exactly."""
    steps = np.tan(np.array([-1, -0.5, -0.02, 0.02, 0.5, 1]) * np.pi / 4)
    count = len(steps)
    a, b = np.meshgrid(steps, steps, indexing='ij')
    vertices: List[np.ndarray] = []
    faces: List[np.ndarray] = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            grid = np.insert(
                np.stack([a, b], -1).reshape(-1, 2), axis, side, axis=1)
            faces.append(
                _grid_faces(count, count, False) + len(vertices) * count**2)
            vertices.append(grid)
    points = np.concatenate(vertices)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points, np.concatenate(faces)
