"""Meshes in GLB and OBJ files, whose surface is sampled.

Shapes: N points.
"""
from pathlib import Path
from typing import List

import numpy as np

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind
from .file_content import FileContent, import_optional
from .glb import read_glb
from .obj import read_obj
from .surface import Piece, points_of

# Points of a surface: 2.5 cm apart in a room of 60 square meters.
NUM_POINTS = 200_000
_GRAY = 128


def read_mesh(path: Path) -> FileContent:
    """Sample the surface of a ``.glb`` or ``.obj`` file, evenly by area.

    Colors are those of textures, vertices or materials, in sRGB: of glTF's
    linear factors and vertex colors, too. A file without faces gives its
    vertices. The same file gives the same points. glTF prescribes meters
    with y up; OBJ files say neither.

    ValueError when it is damaged, of another kind or empty.
    """
    import_optional('trimesh', path.suffix)
    is_glb = path.suffix.lower() == '.glb'
    try:
        content = read_glb(path) if is_glb else read_obj(path)
        pieces, note = points_of(content.parts, NUM_POINTS)
    except UserError:
        raise
    except Exception as error:
        with open(path, 'rb') as file:
            kind = foreign_kind(file.read(1000))
        raise UserError(f'it is {kind}' if kind else 'it is not a readable '
                        f'mesh ({type(error).__name__}: {error})') from error
    notes = [note, *content.notes]
    arrays = _joined(pieces, notes)
    return FileContent(arrays, [], notes, 1. if is_glb else None,
                       'y' if is_glb else None, content.color_problem)


def _joined(pieces: List[Piece], notes: List[str]) -> dict:
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
