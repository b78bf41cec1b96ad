"""Rooms with furniture as one textured mesh of triangles.

Frame of reference: axis-aligned. Shapes: F faces, I instances.
"""
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from .furniture import NYU40_IDS
from .layout import OPENING, WALL_THICKNESS, Room
from .materials import draw_material
from .meshes import MeshBuilder
from .placing import Placed
from .textures import Material

WALL, FLOOR, CEILING = 1, 2, 22


@dataclass(frozen=True)
class SceneMesh:
    """All surfaces of a scene."""
    triangles: np.ndarray  # (F, 3, 3) float32 corners, meters
    # (F, 3, 2) float32 place of each corner in the texture, in textures;
    # integers are repeats
    texture: np.ndarray
    instance: np.ndarray  # (F,) int32 ids from 1
    material: np.ndarray  # (F,) int32 index into ``materials``
    materials: Tuple[Material, ...]  # Of the surfaces
    classes: np.ndarray  # (I + 1,) NYU40 id of each instance id
    lamps: np.ndarray  # (R, 3) a lamp below the ceiling of each room
    borders: np.ndarray  # (R - 1,) x that separates the rooms

    @property
    def normals(self) -> np.ndarray:
        """(F, 3) float32 unit normals of either side."""
        corner = self.triangles
        normal = np.cross(corner[:, 1] - corner[:, 0],
                          corner[:, 2] - corner[:, 0])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        return (normal / np.maximum(length, 1e-12)).astype(np.float32)


class _Collector:
    """Gathers faces and numbers instances and materials."""

    def __init__(self) -> None:
        self.triangles: List[np.ndarray] = []
        self.texture: List[np.ndarray] = []
        self.instance: List[np.ndarray] = []
        self.material: List[np.ndarray] = []
        self.materials: Dict[Material, int] = {}
        self.classes: List[int] = [0]

    def start(self, nyu40: int) -> None:
        """Start a new instance of a class."""
        self.classes.append(nyu40)

    def add(self, local: np.ndarray, world: np.ndarray,
            materials: List[Material]) -> None:
        """Add (F, 3, 3) triangles, given in both frames."""
        index = [
            self.materials.setdefault(m, len(self.materials))
            for m in materials
        ]
        sizes = np.array([m.size for m in materials])
        self.triangles.append(world)
        self.texture.append(_project(local) / sizes[:, None])
        self.material.append(np.array(index))
        self.instance.append(np.full(len(world), len(self.classes) - 1))


def _project(local: np.ndarray) -> np.ndarray:
    """(F, 3, 2) texture coordinates, meters, along the face's main plane.

    The middle of a piece is the middle of its texture, its bottom is the
    texture's lower edge.
    """
    normal = np.abs(
        np.cross(local[:, 1] - local[:, 0], local[:, 2] - local[:, 0]))
    axis = normal.argmax(1)
    u = np.where(axis == 0, 1, 0)
    v = np.where(axis == 2, 1, 2)
    columns = np.stack([u, v], 1)[:, None]
    return np.take_along_axis(local,
                              np.broadcast_to(columns, (*local.shape[:2], 2)),
                              2)


def _centered(local: np.ndarray, materials: List[Material]) -> np.ndarray:
    """Shift x by half a texture, so that pictures fill their frames."""
    shifted = local.copy()
    shifted[:, :, 0] += np.array([m.size[0] for m in materials])[:, None] / 2
    return shifted


def build_mesh(rng: np.random.Generator, rooms: List[Room]) -> SceneMesh:
    """The mesh of a scene.

    Instance ids follow the order of the furniture, then come each room's
    floor, walls and ceiling, whose materials ``rng`` draws.
    """
    collector = _Collector()
    for placed in (p for room in rooms for p in room.pieces):
        collector.start(NYU40_IDS[placed.piece.name])
        _add_piece(collector, placed)
    for index, room in enumerate(rooms):
        _add_shell(rng, collector, room, index > 0)
    lamps = [[*room.center, room.height - 0.12] for room in rooms]
    borders = [room.rectangle[2] + WALL_THICKNESS / 2 for room in rooms[:-1]]
    return SceneMesh(
        np.concatenate(collector.triangles).astype(np.float32),
        np.concatenate(collector.texture).astype(np.float32),
        np.concatenate(collector.instance).astype(np.int32),
        np.concatenate(collector.material).astype(np.int32),
        tuple(collector.materials), np.array(collector.classes),
        np.array(lamps), np.array(borders))


def _add_piece(collector: _Collector, placed: Placed) -> None:
    mesh = placed.piece.mesh
    materials = [placed.piece.materials[slot] for slot in mesh.slots]
    local = mesh.vertices[mesh.faces]
    collector.add(
        _centered(local, materials),
        placed.vertices()[mesh.faces], materials)


def _add_shell(rng: np.random.Generator, collector: _Collector, room: Room,
               has_west: bool) -> None:
    """Floor, walls, ceiling with its lamp, and the passage to the west."""
    x0, y0, x1, y1 = room.rectangle
    wet = 'wet' if room.is_wet else 'dry'
    floor = draw_material(rng, 'floor', wet)
    wall = draw_material(rng, 'wall', wet)
    ceiling = draw_material(rng, 'ceiling')
    collector.start(FLOOR)
    rectangles = [(x0, y0, x1, y1)]
    middle = dict(room.openings).get(3, 0.0)
    low, high = middle - OPENING[0] / 2, middle + OPENING[0] / 2
    if has_west:
        rectangles.append((x0 - WALL_THICKNESS, low, x0, high))
    for rectangle in rectangles:
        _add_faces(collector, _level(rectangle, 0.0), floor)
    for index in range(4):
        collector.start(WALL)
        _add_faces(collector, _wall(room, index), wall)
        if index == 3 and has_west:
            _add_faces(collector, _passage(x0, low, high), wall)
    collector.start(CEILING)
    _add_faces(collector, _level((x0, y0, x1, y1), room.height), ceiling)
    _add_faces(collector, _lamp(room),
               Material('plain', (1.0, 1.0, 0.95), emission=1.0))


def _add_faces(collector: _Collector, triangles: np.ndarray,
               material: Material) -> None:
    collector.add(triangles, triangles, [material] * len(triangles))


def _quad(corners: List[Tuple[float, float, float]]) -> np.ndarray:
    a, b, c, d = np.array(corners)
    return np.stack([[a, b, c], [a, c, d]])


def _level(rectangle: Tuple[float, float, float, float],
           z: float) -> np.ndarray:
    x0, y0, x1, y1 = rectangle
    return _quad([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)])


def _wall(room: Room, index: int) -> np.ndarray:
    """Triangles of a wall, around its opening if it has one."""
    x0, y0, x1, y1 = room.rectangle
    along = (x0, x1) if index % 2 == 0 else (y0, y1)
    fixed = (y0, x1, y1, x0)[index]
    spans = [(along[0], along[1], 0.0, room.height)]
    for wall, middle in room.openings:
        if wall == index:
            low, high = middle - OPENING[0] / 2, middle + OPENING[0] / 2
            spans = [(along[0], low, 0.0, room.height),
                     (high, along[1], 0.0, room.height),
                     (low, high, OPENING[1], room.height)]
    quads = []
    for low, high, bottom, top in spans:
        flat = [(low, bottom), (high, bottom), (high, top), (low, top)]
        quads.append(
            _quad([(a, fixed, z) if index % 2 == 0 else (fixed, a, z)
                   for a, z in flat]))
    return np.concatenate(quads)


def _passage(x: float, low: float, high: float) -> np.ndarray:
    """Both sides and the top of an opening in the wall before x."""
    far = x - WALL_THICKNESS
    top = OPENING[1]
    quads = [
        _quad([(far, y, 0), (x, y, 0), (x, y, top), (far, y, top)])
        for y in (low, high)
    ]
    quads.append(
        _quad([(far, low, top), (x, low, top), (x, high, top),
               (far, high, top)]))
    return np.concatenate(quads)


def _lamp(room: Room) -> np.ndarray:
    """A flat lamp on the ceiling."""
    x, y = room.center
    builder = MeshBuilder()
    builder.slab((x, y, room.height - 0.05), (0.5, 0.5, 0.045))
    mesh = builder.build()
    return mesh.vertices[mesh.faces]
