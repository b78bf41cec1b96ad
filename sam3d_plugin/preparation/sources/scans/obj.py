"""Meshes in OBJ files, with the materials and textures beside them.

By hand, since trimesh takes negative indices, vertex colors from 0 to 255 and
missing files for something else.

Shapes: F triangles, V vertices.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ....store.errors import UserError
from ....store.foreign_files import decode_text
from ....store.image_files import decode_color
from .colors import scale_colors
from .surface import MeshContent, Part

# A vertex and its texture coordinates, -1 for none.
_Corner = Tuple[int, int]
# Options of a texture that move it, and the value that does not.
_MOVES = {'-s': 1., '-o': 0., '-t': 0.}


@dataclass
class _Lines:
    """What the lines of an OBJ file say."""
    vertices: List[List[float]] = field(default_factory=list)
    uv: List[List[float]] = field(default_factory=list)
    # Corners of triangles by material, and whether they have a texture
    triangles: Dict[Tuple[str, bool],
                    List[Tuple[_Corner, ...]]] = field(default_factory=dict)
    libraries: List[str] = field(default_factory=list)


@dataclass
class _Material:
    """A material of an MTL file."""
    color: Optional[np.ndarray] = None  # (3,) Kd, 0 to 1
    texture: str = ''  # What follows map_Kd
    folder: Path = Path()  # Where the texture is looked for


def read_obj(path: Path) -> MeshContent:
    """Read an OBJ file and the MTL files and textures beside it.

    The color is that of the texture alone, else of the vertices, else of the
    material; all are taken as sRGB. A missing MTL file is a note.

    UserError when the file is damaged or of another kind. A missing texture,
    or vertex colors of no known scale, are the content's ``color_problem``.
    """
    text = decode_text(path.read_bytes()).replace('\r\n', '\n')
    lines = _parse(text.replace('\\\n', ' '))
    content = MeshContent([])
    if not lines.vertices:
        return content
    if min(map(len, lines.vertices)) < 3:
        raise UserError('a vertex has fewer than three coordinates; it may be '
                        'truncated: copy it again')
    vertices = np.array([row[:3] for row in lines.vertices])
    colors = _vertex_colors(lines.vertices, content)
    materials = _read_materials(path.parent, lines.libraries, content.notes)
    for (name, has_uv), corners in lines.triangles.items():
        part = _geometry(vertices, np.array(corners), has_uv, lines.uv)
        _add_colors(part, colors, materials.get(name, _Material()), content)
        content.parts.append(part)
    if not content.parts:
        content.parts.append(
            Part(vertices, np.zeros((0, 3), int), colors=_complete(colors)))
    return content


def _parse(text: str) -> _Lines:
    lines, material = _Lines(), ''
    for line in text.split('\n'):
        key, _, rest = line.strip().replace('\t', ' ').partition(' ')
        words = rest.partition('#')[0].split()
        if key == 'v':
            lines.vertices.append([float(word) for word in words])
        elif key == 'vt':
            lines.uv.append([float(word) for word in words])
        elif key == 'f':
            corners = [
                _corner(word, len(lines.vertices), len(lines.uv))
                for word in words
            ]
            has_uv = all(texture >= 0 for _, texture in corners)
            lines.triangles.setdefault((material, has_uv), []).extend(
                (corners[0], *pair) for pair in zip(corners[1:], corners[2:]))
        elif key == 'usemtl':
            material = rest.strip()
        elif key == 'mtllib':
            lines.libraries.append(rest.strip())
    lines.triangles = {key: x for key, x in lines.triangles.items() if x}
    return lines


def _corner(word: str, vertices: int, textures: int) -> _Corner:
    """A corner v, v/vt, v//vn or v/vt/vn, counted from 0.

    Negative numbers count from the last of the vertices and texture
    coordinates so far.
    """
    vertex, texture = (word.split('/') + [''])[:2]
    return (_absolute(int(vertex), vertices),
            _absolute(int(texture), textures) if texture else -1)


def _absolute(index: int, count: int) -> int:
    """An index from 0; -1 where there is no such element."""
    if index > 0:
        return index - 1
    return max(count + index, -1) if index < 0 else -1


def _vertex_colors(rows: List[List[float]],
                   content: MeshContent) -> Optional[np.ndarray]:
    """(V, 3) colors, 0 to 1, NaN where a vertex has none; None without any.

    What is wrong with them goes into the content.
    """
    colors = np.array(
        [row[3:6] if len(row) >= 6 else [np.nan] * 3 for row in rows])
    has_color = np.isfinite(colors).all(axis=1)
    if not has_color.any():
        return None
    try:
        scaled, note = scale_colors(colors[has_color])
    except ValueError as error:
        content.color_problem = str(error)
        return None
    content.notes += [note] if note else []
    colors[has_color] = scaled / 255
    return colors


def _complete(colors: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Colors of a part; None unless all vertices have one."""
    is_complete = colors is not None and bool(np.isfinite(colors).all())
    return colors if is_complete else None


def _geometry(vertices: np.ndarray, corners: np.ndarray, has_uv: bool,
              uv: List[List[float]]) -> Part:
    """Triangles of one material; ``corners`` are (F, 3, 2) indices."""
    faces, textures = corners[..., 0], corners[..., 1]
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise UserError(f'a face names a vertex that is not among the '
                        f'{len(vertices):,}; it may be truncated: copy it '
                        'again')
    if not has_uv:
        return Part(vertices, faces)
    if textures.max() >= len(uv) or min(map(len, uv)) < 2:
        raise UserError('a face names texture coordinates that are missing; '
                        'it may be truncated: copy it again')
    return Part(
        vertices, faces, uv=np.array([row[:2] for row in uv])[textures])


def _add_colors(part: Part, colors: Optional[np.ndarray], material: _Material,
                content: MeshContent) -> None:
    """Give a part the colors of its texture, vertices or material.

    A texture that cannot be read goes into the notes where vertices have
    colors, else into the problem of the content.
    """
    used = np.unique(part.faces)
    has_colors = _complete(None if colors is None else colors[used])
    problem = ''
    if material.texture and part.uv is not None:
        part.image, problem = _read_texture(material)
    if part.image is not None:
        return
    if has_colors is not None:
        part.colors = colors
        content.notes += [f'{problem}: vertex colors used'] * bool(problem)
    else:
        part.factor = material.color
        content.color_problem = content.color_problem or problem


def _read_texture(material: _Material) -> Tuple[Optional[Image.Image], str]:
    """The texture of a material, or what is wrong with it.

    The name may hold blanks and follows options, which may hold blanks, too:
    it is the longest end of the line that is a file.
    """
    words = material.texture.split()
    for start in range(len(words)):
        path = _find(material.folder, ' '.join(words[start:]))
        if path is None:
            continue
        if _is_moved(words[:start]):
            return None, (f'texture {path.name} is scaled or shifted by its '
                          'MTL file; export the mesh again without this')
        try:
            pixels = decode_color(path.read_bytes(), f'texture {path.name}')
        except UserError as error:
            return None, str(error)
        return Image.fromarray(pixels), ''
    return None, (f'texture {material.texture} is missing; put it beside the '
                  'OBJ file')


def _is_moved(options: Sequence[str]) -> bool:
    """Whether options of a texture, such as -s 2 2 1, move it."""
    unmoved: Optional[float] = None
    for word in options:
        if re.fullmatch(r'-[a-zA-Z]\w*', word):
            unmoved = _MOVES.get(word)
        elif unmoved is not None and float(word) != unmoved:
            return True
    return False


def _read_materials(folder: Path, libraries: List[str],
                    notes: List[str]) -> Dict[str, _Material]:
    """Materials of MTL files by name; those that are missing are noted."""
    materials: Dict[str, _Material] = {}
    for line in dict.fromkeys(libraries):
        several = [name for name in line.split() if _find(folder, name)]
        is_one = bool(_find(folder, line)) or not several
        for name in [line] if is_one else line.split():
            path = _find(folder, name)
            if path is None:
                notes.append(f'{name} is missing: no colors of materials and '
                             'textures')
            else:
                materials.update(_parse_materials(path))
    return materials


def _parse_materials(path: Path) -> Dict[str, _Material]:
    materials: Dict[str, _Material] = {}
    material = _Material()
    for line in decode_text(path.read_bytes()).splitlines():
        key, _, rest = line.strip().replace('\t', ' ').partition(' ')
        key = key.lower()
        if key == 'newmtl':
            material = _Material(folder=path.parent)
            materials[rest.strip()] = material
        elif key == 'kd' and re.match(r'[-+.\d]', rest.strip()):
            numbers = [float(word) for word in rest.split()[:3]]
            material.color = np.resize(numbers, 3)
        elif key == 'map_kd':
            material.texture = rest.strip()
    return materials


def _find(folder: Path, name: str) -> Optional[Path]:
    """A file that another one names, in a folder.

    Of paths in other folders or of Windows the name alone counts. The case is
    ignored where no file has the same.
    """
    names = [x for x in re.split(r'[/\\]', name) if x not in ('', '.')]
    return _walk(folder, names) or _walk(folder, names[-1:])


def _walk(place: Path, names: List[str]) -> Optional[Path]:
    """The file at the end of a path, in any case."""
    if not names:
        return place if place.is_file() else None
    if not place.is_dir():
        return None
    same = [
        path for path in sorted(place.iterdir())
        if path.name.lower() == names[0].lower()
    ]
    same.sort(key=lambda path: path.name != names[0])
    return _walk(same[0], names[1:]) if same else None
