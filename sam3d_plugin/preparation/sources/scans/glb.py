"""Meshes in GLB files, read by trimesh where it follows glTF 2.0.

Shapes: F triangles, V vertices.
"""
import io
import json
import struct
from pathlib import Path
from typing import Iterator, Optional, Tuple

import numpy as np

from ....store.errors import UserError
from ....store.foreign_files import foreign_kind
from .file_content import import_optional
from .surface import MeshContent, Part

# Bytes before the first chunk of a GLB file, and those of a chunk's header.
_HEADER, _CHUNK = 12, 8
_COMPRESSIONS = ('KHR_draco_mesh_compression', 'EXT_meshopt_compression')
_FLOAT = 5126  # as a componentType
# The transform of a texture that leaves it in its place.
_IN_PLACE = dict(offset=[0, 0], rotation=0, scale=[1, 1], texCoord=0)


def read_glb(path: Path) -> MeshContent:
    """Read the default scene of a GLB file.

    The color is COLOR_0 x baseColorFactor x baseColorTexture, as glTF
    prescribes: the first two are linear, the texture is in sRGB.

    UserError when the file is compressed, quantized, truncated or of another
    kind. What trimesh would read wrongly of the colors is the content's
    ``color_problem``.
    """
    content = path.read_bytes()
    tree = _read_tree(content)
    _check_positions(tree)
    gltf = import_optional('trimesh.exchange.gltf', '.glb')
    trimesh = import_optional('trimesh', '.glb')
    loaded = gltf.load_glb(
        io.BytesIO(_with_numbered_materials(content, tree)),
        resolver=trimesh.resolvers.FilePathResolver(str(path)))
    scene = trimesh.Scene()
    for edge in loaded['graph']:
        scene.graph.update(**edge)
    scene.graph.base_frame = loaded['base_frame']
    parts = []
    problem = _color_problem(tree)
    for node in sorted(scene.graph.nodes_geometry):
        transform, name = scene.graph[node]
        shape = loaded['geometry'][name]
        part = _geometry(shape, transform)
        if not problem:
            problem = _add_colors(part, shape, tree)
        parts.append(part)
    notes = ['in meters with y up, as glTF prescribes']
    if any(part.colors is not None for part in parts):
        notes.append('vertex colors taken as linear, as glTF prescribes')
    return MeshContent(parts, notes, problem)


def _read_tree(content: bytes) -> dict:
    """The JSON of a GLB file; UserError for compressed meshes, which trimesh
    leaves out, and for what is not a GLB file."""
    if content[:4] != b'glTF':
        raise UserError(f'it is {foreign_kind(content) or "not a GLB file"}')
    try:
        end = _HEADER
        while end < len(content):
            end += _CHUNK + struct.unpack_from('<I', content, end)[0]
        if end > len(content):
            raise UserError(f'its chunks need {end} bytes, but it has '
                            f'{len(content)}: truncated')
        tree = json.loads(content[_HEADER + _CHUNK:_end_of_tree(content)])
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
    return tree


def _end_of_tree(content: bytes) -> int:
    """Where the first chunk, the JSON, ends."""
    return _HEADER + _CHUNK + struct.unpack_from('<I', content, _HEADER)[0]


def _with_numbered_materials(content: bytes, tree: dict) -> bytes:
    """The file with materials that are called by their index.

    Of a material, trimesh keeps the name and rounds the colors.
    """
    materials = [{
        **material, 'name': str(index)
    } for index, material in enumerate(tree.get('materials', []))]
    if not materials:
        return content
    text = json.dumps({**tree, 'materials': materials}).encode()
    text += b' ' * (-len(text) % 4)
    rest = content[_end_of_tree(content):]
    length = _HEADER + _CHUNK + len(text) + len(rest)
    return b''.join((content[:8], struct.pack('<II', length,
                                              len(text)), b'JSON', text, rest))


def _attributes(tree: dict) -> Iterator[Tuple[dict, dict]]:
    """Attributes of each primitive, and its base color texture or {}."""
    for mesh in tree.get('meshes', []):
        for primitive in mesh['primitives']:
            material = {}
            if 'material' in primitive:
                material = tree['materials'][primitive['material']]
            yield primitive['attributes'], _texture_of(material)


def _texture_of(material: dict) -> dict:
    """The base color texture of a material; {} without any."""
    return material.get('pbrMetallicRoughness', {}).get('baseColorTexture', {})


def _is_float(tree: dict, attributes: dict, name: str) -> bool:
    """Whether an attribute is of floats, or missing."""
    return (name not in attributes
            or tree['accessors'][attributes[name]]['componentType'] == _FLOAT)


def _check_positions(tree: dict) -> None:
    """UserError for integer positions, which trimesh takes as meters."""
    if not all(
            _is_float(tree, attributes, 'POSITION')
            for attributes, _ in _attributes(tree)):
        raise UserError('its positions are quantized (KHR_mesh_quantization); '
                        'export it again without quantization')


def _color_problem(tree: dict) -> str:
    """What trimesh would read wrongly of the textures; '' if nothing."""
    for attributes, texture in _attributes(tree):
        moved = texture.get('extensions', {}).get('KHR_texture_transform', {})
        if texture and not _is_float(tree, attributes, 'TEXCOORD_0'):
            return ('its texture coordinates are quantized; export it again '
                    'without quantization')
        if {**_IN_PLACE, **moved} != _IN_PLACE:
            return ('its textures are moved by KHR_texture_transform; export '
                    'it again without texture transforms')
        if texture.get('texCoord', 0):
            return (f'a texture uses TEXCOORD_{texture["texCoord"]}; export '
                    'it again with one set of texture coordinates')
    return ''


def _geometry(shape: dict, transform: np.ndarray) -> Part:
    """What trimesh read of a primitive, in the frame of the scene."""
    vertices = np.asarray(shape['vertices'], np.float64)
    faces = np.asarray(shape.get('faces', np.zeros((0, 3))), np.int64)
    return Part(vertices @ transform[:3, :3].T + transform[:3, 3], faces)


def _add_colors(part: Part, shape: dict, tree: dict) -> str:
    """Give a part its colors; returns what is wrong with them, or ''."""
    from trimesh.visual.color import to_float  # an optional library
    part.is_linear = True
    visual = shape.get('visual')
    colors = (
        shape.get('vertex_colors')
        if visual is None else visual.vertex_attributes.get('color'))
    if colors is not None and len(colors):
        part.colors = to_float(np.asarray(colors))[:, :3]
    if visual is None:
        return ''
    material = tree['materials'][int(visual.material.name)]
    part.factor = _factor(material, visual.material.baseColorFactor)
    part.image = visual.material.baseColorTexture
    if part.image is None and _texture_of(material):
        return ('a texture is missing or of an unknown format; export it '
                'again with PNG or JPEG textures inside the file')
    if visual.uv is not None and len(visual.uv):
        part.uv = np.asarray(visual.uv)[part.faces]
    return ''


def _factor(material: dict, converted: Optional[np.ndarray]) -> np.ndarray:
    """(3,) linear base color of a material.

    Args:
        material (dict): As in the file.
        converted (np.ndarray, optional): What trimesh made of the factor of
            this or another model of materials, 0 to 255.

    Returns:
        np.ndarray: 0 to 1; white where the file says nothing.
    """
    pbr = material.get('pbrMetallicRoughness', {})
    if 'baseColorFactor' in pbr:
        return np.asarray(pbr['baseColorFactor'], np.float64)[:3]
    if converted is not None:
        return np.asarray(converted, np.float64)[:3] / 255
    return np.ones(3)
