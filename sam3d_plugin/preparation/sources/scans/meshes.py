"""Meshes in GLB and OBJ files, whose surface is sampled.

Shapes: N points, F triangles, V vertices.
"""
import json
import struct
from pathlib import Path
from typing import Any, List, Optional, Tuple

import numpy as np

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind
from .file_content import FileContent, import_optional

# Points of a surface: 2.5 cm apart in a room of 60 square meters.
NUM_POINTS = 200_000
_GRAY = 128
# Bytes before the first chunk of a GLB file.
_HEADER = 12
_COMPRESSIONS = ('KHR_draco_mesh_compression', 'EXT_meshopt_compression')
# Points, and their colors where there are any.
_Piece = Tuple[np.ndarray, Optional[np.ndarray]]


def read_mesh(path: Path) -> FileContent:
    """Sample the surface of a ``.glb`` or ``.obj`` file, evenly by area.

    Colors are those of textures, vertices or faces. A file without faces gives
    its vertices. The same file gives the same points. glTF prescribes meters
    with y up; OBJ files say neither.

    ValueError when it is damaged, of another kind or empty.
    """
    trimesh = import_optional('trimesh', path.suffix)
    is_glb = path.suffix.lower() == '.glb'
    if is_glb:
        _check_glb(path.read_bytes())
    try:
        pieces, note = _read_surface(
            trimesh.load_scene(str(path), process=False))
    except UserError:
        raise
    except Exception as error:
        with open(path, 'rb') as file:
            kind = foreign_kind(file.read(1000))
        raise UserError(f'it is {kind}' if kind else 'it is not a readable '
                        f'mesh ({type(error).__name__}: {error})') from error
    notes = [note]
    if is_glb:
        notes.append('in meters with y up, as glTF prescribes')
    arrays = _joined(pieces, notes)
    return FileContent(arrays, [], notes, 1. if is_glb else None,
                       'y' if is_glb else None)


def _read_surface(scene: Any) -> Tuple[List[_Piece], str]:
    """Points of a trimesh.Scene, and a note on what they are."""
    shapes = [
        _placed(scene, node) for node in sorted(scene.graph.nodes_geometry)
    ]
    meshes = [shape for shape in shapes if len(_faces(shape))]
    if not meshes:
        pieces = [_vertices(s) for s in shapes if hasattr(s, 'vertices')]
        return pieces, 'no faces: its vertices are the points'
    count = sum(len(mesh.faces) for mesh in meshes)
    note = f'surface of {count:,} triangles sampled at {NUM_POINTS:,} points'
    if len(meshes) < len(shapes):
        note += f'; {len(shapes) - len(meshes)} parts without not used'
    damaged = sum(int((~np.isfinite(m.area_faces)).sum()) for m in meshes)
    if damaged:
        note += f'; {damaged:,} with NaN or infinity not used'
    return _sample(meshes), note


def _check_glb(content: bytes) -> None:
    """UserError for compressed meshes, which trimesh leaves out, and for what
    is not a GLB file."""
    if content[:4] != b'glTF':
        raise UserError(f'it is {foreign_kind(content) or "not a GLB file"}')
    try:
        end = _HEADER
        while end < len(content):
            end += 8 + struct.unpack_from('<I', content, end)[0]
        if end > len(content):
            raise UserError(f'its chunks need {end} bytes, but it has '
                            f'{len(content)}: truncated')
        length, = struct.unpack_from('<I', content, _HEADER)
        tree = json.loads(content[_HEADER + 8:_HEADER + 8 + length])
        required = tree.get('extensionsRequired', [])
        found = [name for name in _COMPRESSIONS if name in required]
    except UserError:
        raise
    except (struct.error, ValueError, TypeError, AttributeError,
            RecursionError) as error:
        raise UserError('its header is damaged or truncated '
                        f'({type(error).__name__}); copy it again') from error
    if found:
        raise UserError(f'it is compressed by {found[0]}; export it without '
                        'compression')


def _placed(scene: Any, node: str) -> Any:
    """A copy of the geometry of a node, in the frame of the scene."""
    transform, name = scene.graph[node]
    return scene.geometry[name].copy().apply_transform(transform)


def _faces(shape: Any) -> np.ndarray:
    """(F, 3) triangles with an area; none of points and lines."""
    faces = getattr(shape, 'faces', None)
    if faces is None or not (shape.area_faces > 0).any():
        return np.zeros((0, 3), int)
    return faces


def _vertices(shape: Any) -> _Piece:
    """Points of a geometry without faces."""
    colors = getattr(shape, 'colors', None)
    if colors is None or len(colors) != len(shape.vertices):
        colors = None
    return np.asarray(
        shape.vertices,
        np.float64), (None if colors is None else np.asarray(colors)[:, :3])


def _sample(meshes: List[Any]) -> List[_Piece]:
    """``NUM_POINTS`` points on meshes, evenly by area.

    By hand, since trimesh's sampling does not give the place within a
    triangle, which the colors need.
    """
    rng = np.random.default_rng(0)
    areas = [
        np.where(np.isfinite(m.area_faces), m.area_faces, 0) for m in meshes
    ]
    total = np.concatenate(areas)
    drawn = np.sort(rng.choice(len(total), NUM_POINTS, p=total / total.sum()))
    pieces = []
    for mesh, start in zip(meshes, np.cumsum([0, *map(len, areas)])):
        of_mesh = (drawn >= start) & (drawn < start + len(mesh.faces))
        faces = drawn[of_mesh] - start
        share = rng.random((2, len(faces)))
        share = np.where(share.sum(0) > 1, 1 - share, share)
        weights = np.stack([1 - share.sum(0), *share], axis=1)[..., None]
        pieces.append(((mesh.triangles[faces] * weights).sum(axis=1),
                       _colors(mesh, faces, weights)))
    return pieces


def _colors(mesh: Any, faces: np.ndarray,
            weights: np.ndarray) -> Optional[np.ndarray]:
    """(N, 3) colors, 0 to 255, of points in triangles.

    Args:
        mesh (Any): A trimesh.Trimesh.
        faces (np.ndarray): (N,) triangle of each point.
        weights (np.ndarray): (N, 3, 1) shares of its corners.

    Returns:
        Optional[np.ndarray]: None for a mesh without colors.
    """
    visual, corners = mesh.visual, mesh.faces[faces]
    if visual.kind == 'texture':
        material = visual.material
        has_image = any(
            getattr(material, name, None) is not None
            for name in ('image', 'baseColorTexture'))
        if has_image and visual.uv is not None:
            uv = (visual.uv[corners] * weights).sum(axis=1)
            colors = material.to_color(uv)[:, :3].astype(np.float64)
            factor = getattr(material, 'baseColorFactor', None)
            return colors if factor is None else colors * factor[:3] / 255
        vertex = getattr(visual, 'vertex_attributes', {}).get('color')
        if vertex is not None and len(vertex) == len(mesh.vertices):
            return (vertex[corners] * weights).sum(axis=1)[:, :3]
        color = np.asarray(material.main_color, np.float64)[:3]
        return np.tile(color, (len(faces), 1))
    if visual.kind == 'vertex':
        return (visual.vertex_colors[corners] * weights).sum(axis=1)[:, :3]
    if visual.kind == 'face':
        return visual.face_colors[faces][:, :3].astype(np.float64)
    return None


def _joined(pieces: List[_Piece], notes: List[str]) -> dict:
    """Arrays of all pieces; gray where some have colors and others none."""
    pieces = [piece for piece in pieces if len(piece[0])]
    if not pieces:
        raise UserError('it holds no mesh and no points; export it again')
    arrays = {'xyz': np.concatenate([xyz for xyz, _ in pieces])}
    if any(colors is not None for _, colors in pieces):
        gray = [len(xyz) for xyz, colors in pieces if colors is None]
        if gray:
            notes.append(f'{sum(gray):,} points of parts without colors are '
                         'gray')
        arrays['rgb'] = np.concatenate([
            np.full(xyz.shape, float(_GRAY)) if colors is None else colors
            for xyz, colors in pieces
        ]).round().astype(np.uint8)
    return arrays
