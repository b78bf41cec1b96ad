"""Colors and geometry of OBJ and GLB files that are written here by hand."""
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from sam3d_plugin.preparation.sources.scans import meshes
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from sam3d_plugin.preparation.sources.scans.surface import to_linear, to_srgb
from tests.preparation.sources.scans.test_scan_readers import PLAIN

GRAY = ReadOptions(without_color=True)
CORNERS = np.array([[0, 0, 0], [4, 0, 0], [4, 0, 3], [0, 0, 3]], '<f4')
UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], '<f4')
COLOR = (.2, .4, .6)
# COLOR, linear, in sRGB: 255 * (1.055 x^(1 / 2.4) - 0.055)
COLOR_SRGB = (124, 170, 203)
TEXEL = (250, 100, 20)
COMPONENTS = {'f4': 5126, 'u1': 5121, 'u2': 5123, 'i2': 5122, 'u4': 5125}
UNITS = {'f4': 1, 'u1': 255, 'u2': 65535}
TEXTURED = dict(pbrMetallicRoughness=dict(baseColorTexture=dict(index=0)))


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(meshes, 'NUM_POINTS', 500)


def png():
    file = io.BytesIO()
    Image.new('RGB', (4, 4), TEXEL).save(file, 'PNG')
    return file.getvalue()


def write_glb(path, attributes, material=None, mode=4, **tree):
    """A quad of two triangles, or its corners; attributes replace POSITION."""
    arrays = dict(POSITION=CORNERS) | attributes
    faces = np.array([0, 1, 2, 0, 2, 3], '<u4')
    blobs = [*arrays.values(), faces, np.frombuffer(png(), 'u1')]
    body, views = b'', []
    for blob in blobs:
        views.append(
            dict(buffer=0, byteOffset=len(body), byteLength=blob.nbytes))
        body += blob.tobytes() + b'\0' * (-blob.nbytes % 4)
    accessors = [
        dict(
            bufferView=index,
            componentType=COMPONENTS[array.dtype.str[1:]],
            normalized=array.dtype.kind != 'f' and array is not faces,
            count=len(array),
            type=f'VEC{array.shape[1]}' if array.ndim == 2 else 'SCALAR')
        for index, array in enumerate(blobs[:-1])
    ]
    primitive = dict(
        attributes={
            name: i
            for i, name in enumerate(arrays)
        }, mode=mode)
    if mode == 4:
        primitive['indices'] = len(arrays)
    if material is not None:
        primitive['material'] = 0
        tree['materials'] = [material]
    tree = dict(
        asset=dict(version='2.0'),
        scenes=[dict(nodes=[0])],
        nodes=[dict(mesh=0)],
        meshes=[dict(primitives=[primitive])],
        accessors=accessors,
        bufferViews=views,
        buffers=[dict(byteLength=len(body))],
        images=[dict(bufferView=len(views) - 1, mimeType='image/png')],
        textures=[dict(source=0)]) | tree
    text = json.dumps(tree).encode()
    text += b' ' * (-len(text) % 4)
    path.write_bytes(b'glTF' + struct.pack('<III', 2, 28 + len(text) +
                                           len(body), len(text)) + b'JSON' +
                     text + struct.pack('<I', len(body)) + b'BIN\0' + body)
    return path


def vertex_colors(kind, channels=4):
    colors = np.array([*COLOR, 1.])[:channels] * UNITS[kind]
    colors = colors if kind == 'f4' else colors.round()
    return dict(COLOR_0=np.tile(colors, (4, 1)).astype(f'<{kind}'))


def check_color(scan, color, atol=1.):
    np.testing.assert_allclose(
        scan.rgb, np.tile(color, (len(scan.rgb), 1)), atol=atol)


def test_srgb_and_back():
    values = np.linspace(0, 1, 99)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-7)
    assert abs(to_srgb(np.array(.5)) - .735357) < 1e-5


@pytest.mark.parametrize('mode', [0, 4])
@pytest.mark.parametrize('material', [None, dict(name='m')])
@pytest.mark.parametrize('kind', UNITS)
def test_glb_vertex_colors_are_linear(tmp_path, kind, material, mode):
    path = write_glb(tmp_path / 'a.glb', vertex_colors(kind), material, mode)
    scan = read_scan(path, PLAIN)
    check_color(scan, COLOR_SRGB)
    assert any('taken as linear' in note for note in scan.notes)


def test_glb_color_is_the_product(tmp_path):
    """In linear space: COLOR_0 x factor x texture."""
    factor = np.array([.5, .25, .01])
    material = dict(pbrMetallicRoughness=dict(baseColorFactor=[*factor, 1.]))
    path = write_glb(tmp_path / 'a.glb', {}, material)
    check_color(read_scan(path, PLAIN), [188, 137, 25])
    path = write_glb(tmp_path / 'b.glb', vertex_colors('f4', 3), material)
    expected = to_srgb(np.array(COLOR) * factor) * 255
    check_color(read_scan(path, PLAIN), expected)
    material['pbrMetallicRoughness']['baseColorTexture'] = dict(index=0)
    attributes = dict(vertex_colors('u2'), TEXCOORD_0=UV)
    path = write_glb(tmp_path / 'c.glb', attributes, material)
    texel = to_linear(np.array(TEXEL) / 255)
    expected = to_srgb(texel * COLOR * factor) * 255
    check_color(read_scan(path, PLAIN), expected)


def test_glb_texture_alone_is_unchanged(tmp_path):
    path = write_glb(tmp_path / 'a.glb', dict(TEXCOORD_0=UV), TEXTURED)
    check_color(read_scan(path, PLAIN), TEXEL, atol=0)


def test_quantized_positions_are_refused(tmp_path):
    positions = (CORNERS * 8000).astype('<i2')
    path = write_glb(tmp_path / 'a.glb', dict(POSITION=positions))
    for options in (PLAIN, GRAY):
        with pytest.raises(ScanError, match='without quantization'):
            read_scan(path, options)


def textured(**info):
    return dict(
        pbrMetallicRoughness=dict(baseColorTexture=dict(index=0, **info)))


@pytest.mark.parametrize('material, uv, tree, message', [
    (TEXTURED, (UV * 65535).astype('<u2'), {}, 'without quantization'),
    (textured(texCoord=1), UV, {}, 'TEXCOORD_1'),
    (textured(extensions=dict(KHR_texture_transform=dict(offset=[.5, 0]))), UV,
     {}, 'KHR_texture_transform'),
    (TEXTURED, UV,
     dict(textures=[dict(extensions=dict(KHR_texture_basisu=dict(source=0)))]),
     'unknown format'),
    (TEXTURED, UV, dict(images=[dict(uri='gone.png')]), 'missing'),
])
def test_textures_that_cannot_be_read(tmp_path, material, uv, tree, message):
    attributes = dict(TEXCOORD_0=uv, TEXCOORD_1=UV)
    path = write_glb(tmp_path / 'a.glb', attributes, material, **tree)
    with pytest.raises(ScanError, match=f'{message}.*--without-color'):
        read_scan(path, PLAIN)
    scan = read_scan(path, GRAY)
    check_color(scan, [128] * 3)
    assert any(message in note for note in scan.notes)


def obj(folder, colors='', head='', uv=True, material='a'):
    """A quad of 4 x 3 m with the same colors at all corners."""
    lines = [head] + [
        f'v {x} {y} 0 {colors}' for x, y in ((0, 0), (4, 0), (4, 3), (0, 3))
    ]
    lines += [f'vt {u} {v}' for u, v in UV] if uv else []
    face = 'f 1/1 2/2 3/3 4/4' if uv else 'f 1 2 3 4'
    path = folder / 'a.obj'
    path.write_text('\n'.join([*lines, f'usemtl {material}', face]) + '\n')
    return path


@pytest.mark.parametrize('faces', [
    ('f -4 -3 -2 -1', 'f -4 -3 -2 -1'),
    ('f -4/-4 -3/-3 -2/-2 -1/-1', 'f -4/-4 -3/-3 -2/-2 -1/-1'),
    ('f -4//-1 -3//-1 -2//-1 -1//-1', 'f 5//2 6//2 -2//-1 -1//-1'),
])
def test_negative_indices_count_from_the_line(tmp_path, faces):
    """Two quads of 12 square meters, at z = 0 and 2."""
    text = ''
    for z, face in zip((0, 2), faces):
        for (x, y), (u, v) in zip(((0, 0), (4, 0), (4, 3), (0, 3)), UV):
            text += f'v {x} {y} {z}\nvt {u} {v}\n'
        text += f'vn 0 0 1\n{face}\n'
    (tmp_path / 'a.obj').write_text(text)
    scan = read_scan(tmp_path / 'a.obj', PLAIN)
    assert set(scan.xyz[:, 2].round(6)) == {0, 2}
    assert abs((scan.xyz[:, 2] > 1).mean() - .5) < .1
    assert np.ptp(scan.xyz[scan.xyz[:, 2] > 1, 0]) > 3.5


@pytest.mark.parametrize('face', ['f 1 2 9', 'f 0 1 2', 'f -9 1 2'])
def test_faces_of_missing_vertices_are_refused(tmp_path, face):
    (tmp_path / 'a.obj').write_text(f'v 0 0 0\nv 1 0 0\nv 0 1 0\n{face}\n')
    with pytest.raises(ScanError, match='not among the 3'):
        read_scan(tmp_path / 'a.obj', PLAIN)


@pytest.mark.parametrize('colors, expected', [
    ('200 100 50', (200, 100, 50)),
    ('0.2 0.4 0.6', (51, 102, 153)),
    ('0.2 0.4 0.6 1', (51, 102, 153)),
])
@pytest.mark.parametrize('head, uv', [('', False), ('', True),
                                      ('mtllib a.mtl', True),
                                      ('mtllib gone.mtl', True)])
def test_obj_vertex_colors(tmp_path, colors, expected, head, uv):
    """A material without a texture does not hide them."""
    (tmp_path / 'a.mtl').write_text('newmtl a\nKd 1 1 1\n')
    check_color(read_scan(obj(tmp_path, colors, head, uv), PLAIN), expected)


def test_obj_vertex_colors_of_no_scale(tmp_path):
    path = obj(tmp_path, '-1 0.5 1', uv=False)
    with pytest.raises(ScanError, match='from -1 to 1.*--without-color'):
        read_scan(path, PLAIN)
    check_color(read_scan(path, GRAY), [128] * 3)


def test_obj_alone_is_gray_and_said(tmp_path):
    scan = read_scan(obj(tmp_path, head='mtllib my room.mtl'), PLAIN)
    check_color(scan, [128] * 3)
    assert any('my room.mtl is missing' in note for note in scan.notes)


def test_obj_material_color(tmp_path):
    (tmp_path / 'a.mtl').write_text('newmtl a\nKd 0.2 0.4 0.6\n')
    path = obj(tmp_path, head='mtllib a.mtl')
    check_color(read_scan(path, PLAIN), [51, 102, 153])


@pytest.mark.parametrize('line', [
    'map_Kd t.png', 'map_kd T.PNG', '\tmap_Kd ./t.png',
    r'map_Kd sub\in it.png', r'map_Kd C:\scan\t.png',
    'map_Kd -s 1 1 1 -clamp on t.png', 'map_Kd -o 0 0 sub/in it.png'
])
def test_obj_textures_are_found(tmp_path, line):
    (tmp_path / 'sub').mkdir()
    for name in ('t.png', 'sub/in it.png'):
        (tmp_path / name).write_bytes(png())
    (tmp_path / 'my room.mtl').write_text(f'newmtl a b\nKd 1 1 1\n{line}\n')
    path = obj(tmp_path, '1 0 0', head='mtllib My room.mtl', material='a b')
    check_color(read_scan(path, PLAIN), TEXEL, atol=0)


@pytest.mark.parametrize('line, message', [
    ('map_Kd my gone.png', 'my gone.png is missing'),
    ('map_Kd -s 2 2 1 t.png', 't.png is scaled or shifted'),
    ('map_Kd no.png', 'no.png is not a readable image'),
])
def test_obj_textures_that_cannot_be_read(tmp_path, line, message):
    (tmp_path / 't.png').write_bytes(png())
    (tmp_path / 'no.png').write_bytes(b'no image')
    (tmp_path / 'a.mtl').write_text(f'newmtl a\nKd 1 1 1\n{line}\n')
    path = obj(tmp_path, head='mtllib a.mtl')
    with pytest.raises(ScanError, match=f'{message}.*--without-color'):
        read_scan(path, PLAIN)
    scan = read_scan(path, GRAY)
    check_color(scan, [128] * 3)
    assert any(message in note for note in scan.notes)
    scan = read_scan(obj(tmp_path, '10 20 200', 'mtllib a.mtl'), PLAIN)
    check_color(scan, (10, 20, 200))
    assert any(message in note for note in scan.notes)
