"""Valid scans of every format, and what reads damaged copies of them."""
from functools import partial
from pathlib import Path
from unittest import mock

import laspy
import numpy as np
import trimesh
from plyfile import PlyData, PlyElement

from sam3d_plugin.preparation.sources.scans import meshes
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from tests.preparation.sources.scannet.conftest import write_mesh
from tests.preparation.sources.scans.scan_files import pack, write_pcd

RNG = np.random.default_rng(0)
XYZ = RNG.uniform(0, 4, (60, 3)).astype(np.float32)
RGB = RNG.integers(0, 256, (60, 3)).astype(np.uint8)
IDS = RNG.integers(0, 5, 60)


def content_of(path, write):
    write(path)
    return Path(path).read_bytes()


def a_scan(name, content):
    """A reader of whole scans, whose file has a name."""

    def read(folder, damaged):
        for key, options in ((None, {}), ('instance',
                                          dict(drop_invalid=True))):
            path = folder / name
            path.write_bytes(damaged)
            read_scan(path, ReadOptions(region_key=key, **options))

    return content, read


def write_npz(path, save=np.savez):
    save(
        path,
        xyz=XYZ,
        rgb=RGB,
        instance=IDS,
        region=IDS,
        semantic=IDS,
        bbox=np.array([[1., 1, 1, 2, 2, 2, 5]]),
        axis_align_matrix=np.eye(4))


def ascii_mesh(path):
    write_mesh(path, XYZ, RGB, text=True)


def labelled_vertices(path):
    columns = [('x', '<f8'), ('y', '<f8'), ('z', '<f8'), ('instance', '<i4')]
    vertices = np.zeros(len(XYZ), dtype=columns)
    for i, name in enumerate('xyz'):
        vertices[name] = XYZ[:, i]
    PlyData([PlyElement.describe(vertices, 'vertex')]).write(str(path))


def read_uncolored(folder, content):
    path = folder / 'uncolored.ply'
    path.write_bytes(content)
    read_scan(path, ReadOptions(without_color=True))


def beside_a_scan(name, content):
    """A reader of a text file beside a scan."""

    def read(folder, damaged):
        np.savez(folder / 'beside.npz', xyz=XYZ, rgb=RGB)
        (folder / name).write_bytes(damaged)
        read_scan(folder / 'beside.npz', ReadOptions())

    return content, read


def point_file(name, write):
    """A reader of scans in the format of another program."""
    return lambda folder: a_scan(name, content_of(folder / name, write))


def mesh_file(name):
    """The same of meshes, of whose surface few points are sampled."""

    def make(folder):
        content, read = point_file(name, write_box)(folder)

        def read_few(folder, damaged):
            with mock.patch.object(meshes, 'NUM_POINTS', 500):
                read(folder, damaged)

        return content, read_few

    return make


def write_columns(path, storage):
    write_pcd(path,
              [*zip('xyz', XYZ.T), ('rgb', pack(RGB)),
               ('instance', IDS)], storage)


def write_las(path):
    las = laspy.create(point_format=2)
    las.header.scales = [0.001] * 3
    las.x, las.y, las.z = XYZ.T
    las.red, las.green, las.blue = RGB.T.astype(np.uint16) * 257
    las.write(str(path))


def write_box(path):
    """A box of four meters in three colors."""
    box = trimesh.creation.box((4, 3, 2))
    box.visual.vertex_colors = RGB[:8]
    box.export(str(path))


# A valid file and what reads a damaged one in a folder, made in that folder.
SCANS = dict(
    ply=lambda folder: a_scan(
        'a.ply',
        content_of(folder / 'a.ply', lambda path: write_mesh(path, XYZ, RGB))),
    ply_ascii=lambda folder: a_scan('a.ply',
                                    content_of(folder / 'a.ply', ascii_mesh)),
    ply_labels=lambda folder:
    (content_of(folder / 'a.ply', labelled_vertices), read_uncolored),
    npz=lambda folder: a_scan('a.npz', content_of(folder / 'a.npz', write_npz)
                              ),
    npz_compressed=lambda folder: a_scan(
        'a.npz',
        content_of(folder / 'a.npz', lambda path: write_npz(
            path, np.savez_compressed))),
    pcd=point_file('a.pcd', partial(write_columns, storage='binary')),
    pcd_ascii=point_file('a.pcd', partial(write_columns, storage='ascii')),
    pcd_compressed=point_file(
        'a.pcd', partial(write_columns, storage='binary_compressed')),
    las=point_file('a.las', write_las),
    laz=point_file('a.laz', write_las),
    glb=mesh_file('a.glb'),
    obj=mesh_file('a.obj'),
    boxes=lambda _: beside_a_scan(
        'beside.boxes.json',
        b'{"boxes": [{"class": "chair", "center": [1, 2, 0.5], '
        b'"size": [0.5, 0.5, 1]}, {"label": 7, "bbox": [1,2,3,4,5,6,0]}]}'),
    alignment=lambda _: beside_a_scan(
        'beside_axis_align.txt', b'axisAlignment = 0.8 0.6 0 -1.5 -0.6 0.8 0 '
        b'0.25 0 0 1 -0.125 0 0 0 1'),
)
