"""Damaged files end in a sentence: no crash, no hang, no memory without end.

The copies are the same at each run. To see what a failure was read from, call
``mutated(content, index, other)`` with the index that it names.
"""
import io
import json
import pickle
import zipfile
from functools import partial
from pathlib import Path
from unittest import mock

import laspy
import numpy as np
import pytest
import torch
import trimesh
from mmengine.logging import HistoryBuffer
from PIL import Image
from plyfile import PlyData, PlyElement
from pycocotools import mask as coco

from sam3d_plugin.datasets.frame_index import read_scan_names
from sam3d_plugin.datasets.preflight import read_infos as check_infos
from sam3d_plugin.preparation.regions.generators.mask_lists import \
    decode_mask_list
from sam3d_plugin.preparation.regions.generators.precomputed import \
    decode_labels
from sam3d_plugin.preparation.sources.s3dis.raw import Flaws, parse_points
from sam3d_plugin.preparation.sources.scannet.annotations import (
    parse_groups, parse_label_map, parse_segments)
from sam3d_plugin.preparation.sources.scannet.scans import read_vertices
from sam3d_plugin.preparation.sources.scannet.sens import (SensFile,
                                                           decode_depth)
from sam3d_plugin.preparation.sources.scans import meshes
from sam3d_plugin.preparation.sources.scans.few_labels import write_infos
from sam3d_plugin.preparation.sources.scans.scan import ScanError
from sam3d_plugin.preparation.sources.scans.scan_readers import (ReadOptions,
                                                                 read_scan)
from sam3d_plugin.preparation.sources.sunrgbd.official import OfficialSource
from sam3d_plugin.preparation.sources.sunrgbd.trainval import TrainvalSource
from sam3d_plugin.store import encode_region_file
from sam3d_plugin.store.checkpoint import read_checkpoint
from sam3d_plugin.store.class_embeddings import (ClassEmbeddings,
                                                 read_class_embeddings,
                                                 write_class_embeddings)
from sam3d_plugin.store.object_library import read_objects
from sam3d_plugin.store.posed_images import PosedImages, decode_color
from sam3d_plugin.store.region_features import (RegionFeatureArrays,
                                                RegionFeatures, pack_features,
                                                unpack_features)
from sam3d_plugin.store.region_file import decode_region_file
from sam3d_plugin.store.region_groups import (Groups, decode_groups,
                                              encode_groups)
from sam3d_plugin.store.region_maps import decode_region_map, encode_region_map
from sam3d_plugin.store.state_names import extract_state_dict
from tests import processes
from tests.datasets.frame_store import write_boxes, write_frames
from tests.fuzzing import read_damaged
from tests.preparation.sources.scannet.conftest import (make_frames, make_room,
                                                        write_mesh, write_sens)
from tests.preparation.sources.scans.scan_files import pack, write_pcd
from tests.preparation.sources.sunrgbd.conftest import (make_scan,
                                                        write_official,
                                                        write_trainval)

COUNT = 400
pytestmark = pytest.mark.timeout(900)  # all readers are in a fixture
RNG = np.random.default_rng(0)
XYZ = RNG.uniform(0, 4, (60, 3)).astype(np.float32)
RGB = RNG.integers(0, 256, (60, 3)).astype(np.uint8)
IDS = RNG.integers(0, 5, 60)


def content_of(path, write):
    write(path)
    return Path(path).read_bytes()


def read_recording(folder, content):
    path = folder / 'a.sens'
    path.write_bytes(content)
    file = SensFile(str(path))
    try:
        for index in range(min(file.header.num_frames, 9)):
            frame = file.frame(index)
            decode_depth(frame.depth, file.header, 'frame')
            decode_color(frame.color, 'frame')
    finally:
        file.close()


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


def read_file(read, folder, content):
    path = folder / 'damaged'
    path.write_bytes(content)
    read(path)


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


def trainval_file(folder, name):
    """A reader of a file of SUN RGB-D as VoteNet has it."""
    root = folder / 'trainval'
    write_trainval(root, [make_scan(1), make_scan(2)], ('000001', ))

    def read(_, damaged):
        (root / name).write_bytes(damaged)
        source = TrainvalSource(root, ('v1', 'v2'))
        source.splits()
        source.frame('000002')
        source.labels('000002')

    return (root / name).read_bytes(), read


def official_file(folder, name):
    """A reader of a file of SUN RGB-D as it is released."""
    root = folder / 'official'
    write_official(root, [make_scan(1), make_scan(2)], ('000001', ))

    def read(_, damaged):
        (root / name).write_bytes(damaged)
        source = OfficialSource(root, ('v1', 'v2'))
        source.splits()
        source.frame('000002')
        source.labels('000002')

    return (root / name).read_bytes(), read


def posed_file(folder, name):
    """A reader of a file of a scan's posed images."""
    write_frames(folder)
    path = folder / 'posed_images' / 'alpha' / name

    def read(_, damaged):
        path.write_bytes(damaged)
        PosedImages(folder / 'posed_images').read('alpha', '00000')

    return path.read_bytes(), read


def masks():
    """A JSON of run lengths, as text and as numbers."""
    inside = np.zeros((20, 30), np.uint8, order='F')
    inside[3:9, 4:20] = 1
    text = coco.encode(inside)
    return json.dumps([
        dict(
            segmentation=dict(size=[20, 30], counts=text['counts'].decode()),
            predicted_iou=.9),
        dict(
            segmentation=dict(size=[20, 30], counts=[100, 250, 250]),
            predicted_iou=.5)
    ]).encode()


def feature_file():
    frames = {}
    for i in range(3):
        mean = RNG.normal(size=(4 + i, 6)).astype(np.float16)
        frames[f'{i:05}'] = RegionFeatureArrays(mean, mean,
                                                np.ones(4 + i, np.int32))
    return pack_features(frames)


def read_feature_folder(folder, content):
    (folder / 'a.safetensors').write_bytes(content)
    features = RegionFeatures(folder)
    for frame in features.frames('a'):
        features.read('a', frame)


def write_checkpoint(path, zipped=True):
    history = HistoryBuffer()
    history.update(3.)
    torch.save(
        dict(
            state_dict=dict(a=torch.randn(4, 3), b=torch.arange(5)),
            message_hub=dict(log_scalars=dict(loss=history)),
            meta=dict(epoch=3, iter=7, seed=0, cfg='model = dict()')),
        path,
        _use_new_zipfile_serialization=zipped)


def read_saved(folder, content):
    path = folder / 'a.pth'
    path.write_bytes(content)
    extract_state_dict(read_checkpoint(path), 'a.pth')


def label_image():
    buffer = io.BytesIO()
    Image.fromarray(IDS.astype(np.uint8).reshape(6, 10)).save(buffer, 'PNG')
    return buffer.getvalue()


def read_infos(folder, content):
    path = folder / 'infos.pkl'
    path.write_bytes(content)
    read_scan_names(str(path))


def read_for_few_labels(folder, content):
    """As the check before a training and the maker of lists do."""
    path = folder / 'infos.pkl'
    path.write_bytes(content)
    check_infos(str(path))
    write_infos(path, 50, 0)
    for part in folder.glob('infos_*.pkl'):
        part.unlink()


def read_mesh(folder, content):
    (folder / 'm.ply').write_bytes(content)
    read_vertices(str(folder / 'm.ply'))


def infos():
    entries = [dict(lidar_points=dict(lidar_path=f'{c}.bin')) for c in 'abc']
    return pickle.dumps(dict(metainfo={}, data_list=entries))


def segments(room):
    content = json.dumps(dict(params={}, segIndices=room.segments)).encode()
    return content, lambda _, damaged: parse_segments(damaged,
                                                      len(room.segments), 'a')


def region_reader(_, content):
    decode_region_file(content, 'a.npz', XYZ)


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
READERS = dict(
    sens=lambda folder:
    (content_of(folder / 'a.sens', lambda path: write_sens(
        path, make_frames(3))), read_recording),
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
    mat=lambda folder: trainval_file(folder, 'depth/000002.mat'),
    sunrgbd_label=lambda folder: trainval_file(folder, 'label/000002.txt'),
    sunrgbd_calibration=lambda folder: trainval_file(folder, 'calib/000002.txt'
                                                     ),
    mat_boxes=lambda folder: official_file(folder, 'SUNRGBDMeta3DBB_v2.mat'),
    mat_split=lambda folder: official_file(
        folder, 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'),
    rle=lambda _:
    (masks(), lambda _, content: decode_mask_list(content, 'a.json', True)),
    labels=lambda _:
    (label_image(), lambda _, content: decode_labels(content, 'a.png')),
    region_map=lambda _: (encode_region_map(np.arange(60).reshape(
        6, 10) + 1), lambda _, content: decode_region_map(content, 'a.png')),
    region_file=lambda _: (encode_region_file(IDS, XYZ, 'a'), region_reader),
    color=lambda folder: posed_file(folder, '00000.jpg'),
    depth=lambda folder: posed_file(folder, '00000.png'),
    pose=lambda folder: posed_file(folder, '00000.txt'),
    intrinsics=lambda folder: posed_file(folder, 'intrinsic.txt'),
    features=lambda _:
    (feature_file(), lambda _, content: unpack_features(content, 'a')),
    features_mapped=lambda _: (feature_file(), read_feature_folder),
    groups=lambda _: (encode_groups(
        Groups(np.ones((4, 3), np.float32), np.arange(4), np.ones(4))), lambda
                      _, content: decode_groups(content, 'a')),
    checkpoint=lambda folder:
    (content_of(folder / 'a.pth', write_checkpoint), read_saved),
    checkpoint_legacy=lambda folder:
    (content_of(folder / 'a.pth', lambda path: write_checkpoint(path, False)),
     read_saved),
    class_embeddings=lambda folder: (content_of(
        folder / 'a.npz', lambda path: write_class_embeddings(
            path, ClassEmbeddings(['wall', 'bed'], np.eye(2), 'clip', ['{}']))
    ), partial(read_file, read_class_embeddings)),
    objects=lambda folder:
    (content_of(folder / 'objects.npz', lambda path: write_boxes(path.parent)),
     partial(read_file, read_objects)),
    infos=lambda _: (infos(), read_infos),
    few_labels=lambda _: (infos(), read_for_few_labels),
    mesh=lambda folder: (content_of(folder / 'm.ply', lambda path: write_mesh(
        path, XYZ, RGB)), read_mesh),
    s3dis=lambda _: (b'-22.350 6.692 3.048 185 187 182\n' * 30, lambda _,
                     content: parse_points(content, 'a', Flaws())),
    segments=lambda _: segments(make_room()),
    aggregation=lambda _: (json.dumps(dict(segGroups=make_room(
    ).groups)).encode(), lambda _, content: parse_groups(content, 'a')),
    label_map=lambda _:
    (b'id\traw_category\tnyu40id\n1\twall\t1\n2\tchair\t5\n', lambda _,
     content: parse_label_map(content, 'a')))


def fuzz(names, folder):
    """What a process does: one reader after the other."""
    for name in names:
        own = folder / name
        own.mkdir()
        content, read = READERS[name](own)
        read(own, content)
        other = b'PK\x03\x04' if name != 'npz' else b'ply\nformat ascii 1.0\n'
        read_damaged(partial(read, own), content, other, COUNT, own)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What became of each reader; one that ends the process is left there."""
    folder = tmp_path_factory.mktemp('fuzz')
    names = list(READERS)
    while names:
        process = processes.start(fuzz, names, folder)
        process.join(600)
        process.kill()
        started = [name for name in names if (folder / name).is_dir()]
        assert started, 'no reader started'
        names = names[len(started):]
    return folder


@pytest.mark.parametrize('name', READERS)
def test_damage_is_told_in_a_sentence(name, folder):
    index, refused = json.loads((folder / name / 'reached.json').read_text())
    assert index == COUNT, f'the process ended at copy {index}'
    escapes = (folder / name / 'escapes.txt').read_text()
    assert not escapes, escapes
    assert refused > COUNT // 10  # the damage was real


def test_a_trillion_points_are_refused_before_they_are_allocated(tmp_path):
    """PLY as text, where nothing but our check counts, and an archive."""
    ascii_mesh(tmp_path / 'a.ply')
    content = (tmp_path / 'a.ply').read_bytes()
    (tmp_path / 'a.ply').write_bytes(
        content.replace(b'vertex 60\n', b'vertex 1000000000000\n'))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, dict(descr='<f4', fortran_order=False, shape=(10**12, 3)))
    with zipfile.ZipFile(tmp_path / 'b.npz', 'w') as archive:
        archive.writestr('xyz.npy', header.getvalue())
    for name in ('a.ply', 'b.npz'):
        with pytest.raises(ScanError, match='not fit into'):
            read_scan(tmp_path / name, ReadOptions())
