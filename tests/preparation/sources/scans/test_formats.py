"""Scans in the formats of other programs: PCD, LAS, GLB, OBJ and BIN."""
import laspy
import numpy as np
import pytest
import trimesh
from PIL import Image

from sam3d_plugin.preparation.sources.scans import file_content, meshes
from sam3d_plugin.preparation.sources.scans.frames import (TO_Z_UP,
                                                           check_up_axis)
from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 prepare_scan)
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 find_scans,
                                                                 read_scan)
from tests.preparation.box_room import cloud
from tests.preparation.sources.scans.scan_files import pack, write_pcd
from tests.preparation.sources.scans.test_scan_readers import (PLAIN,
                                                               check_equals)

UTM = np.array([451234., 5411876., 312.])
FOOT = 0.3048


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(meshes, 'NUM_POINTS', 20_000)


def columns_of(room, rgb=None):
    """The room as columns of a PCD file, with one of several values."""
    return [
        *zip('xyz', room['xyz'].T),
        ('rgb', pack(room['rgb']) if rgb is None else rgb),
        ('_', np.zeros((len(room['xyz']), 3), np.uint8)),
        ('fpfh', np.ones((len(room['xyz']), 3), np.float32)),
        ('instance', room['instance']), ('region', room['region']),
        ('semantic', room['semantic'])
    ]


@pytest.mark.parametrize('storage', ['ascii', 'binary', 'binary_compressed'])
@pytest.mark.parametrize('kind', ['integer', 'float'])
def test_pcd_gives_the_room_back(tmp_path, room, storage, kind):
    rgb = pack(room['rgb'])
    if kind == 'float':
        rgb = rgb.view(np.float32)
    path = write_pcd(tmp_path / 'a.pcd', columns_of(room, rgb), storage)
    scan = read_scan(path, PLAIN)
    check_equals(scan, room)
    assert 'not used: fpfh' in scan.notes


def test_pcd_text_with_packed_colors_of_float_type(tmp_path, room):
    """The library writes them as integers, though their TYPE is F."""
    path = write_pcd(tmp_path / 'a.pcd', columns_of(room), 'ascii')
    content = path.read_bytes().replace(b'TYPE F F F U', b'TYPE F F F F')
    path.write_bytes(content)
    check_equals(read_scan(path, PLAIN), room)


def test_pcd_viewpoint_is_said(tmp_path, room):
    path = write_pcd(
        tmp_path / 'a.pcd', columns_of(room), viewpoint='1 0 0 1 0 0 0')
    scan = read_scan(path, PLAIN)
    np.testing.assert_array_equal(scan.xyz, room['xyz'])
    assert any('VIEWPOINT 1 0 0' in note for note in scan.notes)


def test_organized_pcd_has_points_without_measurement(tmp_path, room):
    room['xyz'][5:9] = np.nan
    path = write_pcd(tmp_path / 'a.pcd', columns_of(room))
    with pytest.raises(ScanError, match='drop-invalid'):
        read_scan(path, PLAIN)
    scan = read_scan(path, ReadOptions(drop_invalid=True))
    assert len(scan.xyz) == len(room['xyz']) - 4


@pytest.mark.parametrize('old, new, message', [
    (b'binary\n', b'zipped\n', 'zipped'),
    (b'WIDTH 2900', b'WIDTH 2901', '2901 x 1'),
    (b'TYPE F', b'TYPE X', 'TYPE X'),
    (b'SIZE 4 4', b'SIZE 4', 'one SIZE'),
    (b'COUNT 1', b'COUNT 0', 'not positive'),
    (b'WIDTH 2900', b'WIDTH many', 'many'),
    (b'DATA binary\n', b'', 'no DATA'),
])
def test_damaged_pcd_headers(tmp_path, room, old, new, message):
    path = write_pcd(tmp_path / 'a.pcd', columns_of(room))
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(ScanError, match=f'a.pcd cannot be read.*{message}'):
        read_scan(path, PLAIN)


@pytest.mark.parametrize('storage', ['ascii', 'binary', 'binary_compressed'])
@pytest.mark.parametrize('share', [0.1, 0.9])
def test_truncated_pcd(tmp_path, room, storage, share):
    path = write_pcd(tmp_path / 'a.pcd', columns_of(room), storage)
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(ScanError, match='truncated'):
        read_scan(path, PLAIN)


def write_las(path, room, offset=UTM, scale=0.001, wkt='', colors=True):
    las = laspy.create(point_format=7, file_version='1.4')
    las.header.scales, las.header.offsets = [scale] * 3, offset
    las.x, las.y, las.z = (room['xyz'].astype(np.float64) + offset).T
    if colors:
        for name, values in zip(('red', 'green', 'blue'), room['rgb'].T):
            las[name] = values.astype(np.uint16) * 257
    for name in ('instance', 'region', 'semantic'):
        las.add_extra_dim(laspy.ExtraBytesParams(name, 'int32'))
        las[name] = room[name].astype(np.int32)
    las.classification[:] = 6  # a building, not a NYU40 id
    if wkt:
        las.header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(wkt))
        las.header.global_encoding.wkt = True
    las.write(str(path))
    return path


@pytest.mark.parametrize('ending', ['las', 'laz'])
def test_las_keeps_large_coordinates(tmp_path, room, ending):
    path = write_las(tmp_path / f'a.{ending}', room)
    scan = read_scan(path, PLAIN)
    np.testing.assert_allclose(
        scan.xyz, room['xyz'] + UTM, rtol=0, atol=5.1e-4)
    np.testing.assert_allclose(scan.rgb, room['rgb'], atol=1e-3)
    for name in ('instance', 'semantic'):
        np.testing.assert_array_equal(getattr(scan, name), room[name])
    assert 'not used: classification' in scan.notes
    imported = prepare_scan(path, ImportOptions(tmp_path, tmp_path))
    stored = imported.xyz.astype(np.float32) + imported.offset
    np.testing.assert_allclose(stored, scan.xyz, rtol=0, atol=1e-6)


def test_las_without_colors(tmp_path, room):
    scan = read_scan(write_las(tmp_path / 'a.las', room, colors=False), PLAIN)
    assert (scan.rgb == 128).all()
    assert any('no colors' in note for note in scan.notes)


PROJECTION = ('PROJCS["x",GEOGCS["g",UNIT["degree",0.0174532925199433]],'
              'UNIT["{}",{}]]')


def test_las_in_feet(tmp_path, room):
    feet = dict(room, xyz=room['xyz'] / FOOT)
    path = write_las(
        tmp_path / 'a.las', feet, wkt=PROJECTION.format('foot', FOOT))
    scan = read_scan(path, PLAIN)
    np.testing.assert_allclose(
        scan.xyz, room['xyz'] + FOOT * UTM, rtol=0, atol=1e-3)
    assert scan.scale == FOOT and any('units of' in n for n in scan.notes)
    # What the user says counts.
    scan = read_scan(path, ReadOptions(scale=1.))
    np.testing.assert_allclose(scan.xyz, feet['xyz'] + UTM, atol=1e-3)


def test_las_with_two_units_is_refused(tmp_path, room):
    wkt = ('COMPD_CS["c",' + PROJECTION.format('metre', 1) +
           ',VERT_CS["h",UNIT["US survey foot",0.304800609601219]]]')
    path = write_las(tmp_path / 'a.las', room, wkt=wkt)
    with pytest.raises(ScanError, match='several units'):
        read_scan(path, PLAIN)


@pytest.mark.parametrize('ending', ['las', 'laz'])
@pytest.mark.parametrize('size', [3, 200, 0.5, 0.99])
def test_truncated_las(tmp_path, room, ending, size):
    path = write_las(tmp_path / f'a.{ending}', room)
    content = path.read_bytes()
    size = size if size > 1 else int(size * len(content))
    path.write_bytes(content[:size])
    with pytest.raises(ScanError, match=f'a.{ending} cannot be read'):
        read_scan(path, PLAIN)


def room_mesh(colors=None):
    """A floor of 4 x 3 m, two walls and a table, z up."""
    parts = [((4, 3, .02), (2, 1.5, 0)), ((4, .02, 2.6), (2, 0, 1.3)),
             ((.02, 3, 2.6), (0, 1.5, 1.3)), ((1.6, .9, .7), (2.5, 1.5, .45))]
    boxes = []
    for size, center in parts:
        box = trimesh.creation.box(size)
        box.apply_translation(center)
        boxes.append(box)
    mesh = trimesh.util.concatenate(boxes)
    if colors is not None:
        mesh.visual.vertex_colors = np.tile([*colors, 255],
                                            (len(mesh.vertices), 1))
    return mesh


def turned(mesh, up, scale=1.):
    """A mesh with z up in the frame of a file."""
    matrix = np.eye(4)
    matrix[:3, :3] = TO_Z_UP[up].T / scale
    return mesh.copy().apply_transform(matrix)


def assert_room(xyz, atol=0.03):
    """Points cover the room of :func:`room_mesh` evenly."""
    np.testing.assert_allclose(xyz.min(axis=0), [-.01, -.01, -.01], atol=atol)
    np.testing.assert_allclose(xyz.max(axis=0), [4, 3, 2.6], atol=atol)
    floor = (np.abs(xyz[:, 2]) < .0101).mean()
    assert abs(floor - 24.28 / room_mesh().area) < 0.02  # two sides, edges


@pytest.mark.parametrize('ending', ['glb', 'obj'])
def test_mesh_surface_is_sampled(tmp_path, ending):
    path = tmp_path / f'a.{ending}'
    up = 'y' if ending == 'glb' else 'z'
    turned(room_mesh((10, 200, 30)), up).export(str(path))
    scan = read_scan(path, PLAIN)
    assert_room(scan.xyz)
    # glTF's vertex colors are linear
    color = [56, 229, 96] if ending == 'glb' else [10, 200, 30]
    np.testing.assert_allclose(scan.rgb, np.tile(color, (len(scan.xyz), 1)))
    assert scan.up == up and len(scan.xyz) == 20_000
    assert any('48 triangles sampled' in note for note in scan.notes)
    again = read_scan(path, PLAIN)
    np.testing.assert_array_equal(again.xyz, scan.xyz)
    check_up_axis(scan)


def test_obj_in_millimeters_with_y_up_is_said(tmp_path):
    path = tmp_path / 'a.obj'
    turned(room_mesh(), 'y', .001).export(str(path))
    with pytest.raises(ScanError, match='--scale 0.001'):
        prepare_scan(path, ImportOptions(tmp_path, tmp_path))
    scan = prepare_scan(path,
                        ImportOptions(tmp_path, tmp_path, scale=.001, up='y'))
    assert_room(scan.xyz)


def test_wrong_axis_of_a_glb_is_named_in_its_own_axes(tmp_path):
    """Exported with z up, against the rules of glTF."""
    points = trimesh.PointCloud(cloud())
    trimesh.Scene(points).export(str(tmp_path / 'a.glb'))
    scan = read_scan(tmp_path / 'a.glb', PLAIN)
    with pytest.raises(ScanError, match=r'--up=z \(--up=y if y'):
        check_up_axis(scan)


def test_triangles_without_a_place_are_said(tmp_path):
    text = trimesh.exchange.obj.export_obj(room_mesh())
    (tmp_path /
     'a.obj').write_text(text + '\nv nan 0 0\nv 1 0 0\nv 0 1 0\nf 33 34 35\n')
    scan = read_scan(tmp_path / 'a.obj', PLAIN)
    assert_room(scan.xyz)
    assert any('1 with NaN' in note for note in scan.notes)


def test_nodes_of_a_glb_are_placed(tmp_path):
    scene = trimesh.Scene()
    for x in (0, 3):
        matrix = trimesh.transformations.translation_matrix([x, 0, 0])
        scene.add_geometry(trimesh.creation.box((1, 1, 1)), transform=matrix)
    scene.export(str(tmp_path / 'a.glb'))
    xyz = read_scan(tmp_path / 'a.glb', PLAIN).xyz
    assert abs(np.ptp(xyz[:, 0]) - 4) < .01
    assert abs((xyz[:, 0] > 1.5).mean() - .5) < .02


def test_texture_colors(tmp_path):
    """A quad whose image is red left and blue right, as OBJ and as GLB."""
    image = np.zeros((8, 64, 3), np.uint8)
    image[:, :32, 0], image[:, 32:, 2] = 255, 255
    for ending, material in (('glb',
                              trimesh.visual.material.PBRMaterial(
                                  baseColorTexture=Image.fromarray(image))),
                             ('obj',
                              trimesh.visual.material.SimpleMaterial(
                                  image=Image.fromarray(image)))):
        mesh = trimesh.Trimesh([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]],
                               [[0, 1, 2], [0, 2, 3]],
                               process=False)
        mesh.visual = trimesh.visual.TextureVisuals(
            uv=[[0, 0], [1, 0], [1, 1], [0, 1]], material=material)
        path = tmp_path / ending / f'a.{ending}'
        path.parent.mkdir()
        mesh.export(str(path))
        scan = read_scan(path, PLAIN)
        left = scan.xyz[:, 0] < 1.9
        right = scan.xyz[:, 0] > 2.1
        assert (scan.rgb[left] == [255, 0, 0]).all()
        assert (scan.rgb[right] == [0, 0, 255]).all()


def test_parts_without_color_are_gray_and_said(tmp_path):
    scene = trimesh.Scene([
        room_mesh((250, 0, 0)),
        trimesh.PointCloud(np.random.default_rng(0).random((9, 3)))
    ])
    scene.export(str(tmp_path / 'a.glb'))
    scan = read_scan(tmp_path / 'a.glb', PLAIN)
    assert any('1 parts without' in note for note in scan.notes)


def test_mesh_without_faces_gives_its_vertices(tmp_path, room):
    lines = [
        f'v {" ".join(map(repr, map(float, xyz)))} '
        f'{" ".join(repr(c / 255) for c in rgb.tolist())}\n'
        for xyz, rgb in zip(room['xyz'], room['rgb'])
    ]
    (tmp_path / 'a.obj').write_text(''.join(lines))
    scan = read_scan(tmp_path / 'a.obj', PLAIN)
    np.testing.assert_allclose(scan.xyz, room['xyz'], atol=1e-6)
    np.testing.assert_allclose(scan.rgb, room['rgb'], atol=1)
    assert any('no faces' in note for note in scan.notes)


@pytest.mark.parametrize('name, content, message', [
    ('a.obj', b'', 'no mesh and no points'),
    ('a.obj', b'version https://git-lfs.github.com\n', 'git-lfs|no mesh'),
    ('a.glb', b'', 'empty'),
    ('a.glb', b'glTF' + bytes(30), 'truncated'),
    ('a.glb', b'ply\nformat', 'PLY file'),
    ('a.bin', bytes(25), 'empty or all zeros'),
    ('a.bin', b'\x01' * 25, 'not x, y, z'),
    ('a.bin', np.full((9, 6), -1, '<f4').tobytes(), 'not colors'),
    ('a.las', b'<!doctype html>', 'not a LAS|web page'),
    ('a.pcd', b'PK\x03\x04 a zip', 'zip'),
])
def test_files_that_are_something_else(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError, match=f'{name} cannot be read.*{message}'):
        read_scan(tmp_path / name, PLAIN)


def test_compressed_glb_is_named(tmp_path):
    path = tmp_path / 'a.glb'
    text = b'{"extensionsRequired":["KHR_draco_mesh_compression"]}'
    size = np.array([2, 20 + len(text), len(text)], '<u4').tobytes()
    path.write_bytes(b'glTF' + size + b'JSON' + text)
    with pytest.raises(ScanError, match='without compression'):
        read_scan(path, PLAIN)


def test_bin_of_scannet(tmp_path, room):
    points = np.hstack([room['xyz'], room['rgb']]).astype('<f4')
    points.tofile(tmp_path / 'scene0000_00.bin')
    scan = read_scan(tmp_path / 'scene0000_00.bin', PLAIN)
    np.testing.assert_array_equal(scan.xyz, room['xyz'])
    np.testing.assert_array_equal(scan.rgb, room['rgb'])


@pytest.mark.parametrize('name, ending', [('laspy', 'las'), ('lazrs', 'laz'),
                                          ('trimesh', 'glb')])
def test_missing_libraries_are_named(tmp_path, room, monkeypatch, name,
                                     ending):
    path = tmp_path / f'a.{ending}'
    if ending == 'glb':
        room_mesh().export(str(path))
    else:
        write_las(path, room)
    real = file_content.importlib.import_module

    def fail(module):
        if module == name:
            raise ImportError(f"No module named '{name}'")
        return real(module)

    monkeypatch.setattr(file_content.importlib, 'import_module', fail)
    with pytest.raises(ScanError, match=rf"{name}.*'.\[scans\]'"):
        read_scan(path, PLAIN)


def test_a_folder_of_all_kinds(tmp_path, rooms, room):
    rooms.write_ply(tmp_path / 'a.ply', room)
    write_pcd(tmp_path / 'b.pcd', columns_of(room))
    write_las(tmp_path / 'c.LAS', room)
    room_mesh().export(str(tmp_path / 'd.obj'))
    (tmp_path / 'material.mtl').write_text('')
    assert list(find_scans(tmp_path)) == ['a', 'b', 'c', 'd']
