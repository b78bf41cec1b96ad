"""Valid files of every format, and what reads damaged copies of them."""
import io
import json
import pickle
from functools import partial

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from PIL import Image
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
from sam3d_plugin.preparation.sources.scans.few_labels import write_infos
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
from tests.damaged_scans import IDS, RGB, RNG, SCANS, XYZ, content_of
from tests.datasets.frame_store import write_boxes, write_frames
from tests.preparation.sources.scannet.conftest import (make_frames, make_room,
                                                        write_mesh, write_sens)
from tests.preparation.sources.sunrgbd.conftest import (make_scan,
                                                        write_official,
                                                        write_trainval)


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


def read_file(read, folder, content):
    path = folder / 'damaged'
    path.write_bytes(content)
    read(path)


def sunrgbd_file(folder, name, write, source_class):
    """A reader of a file of SUN RGB-D, as released or as VoteNet has it."""
    write(folder, [make_scan(1), make_scan(2)], ('000001', ))

    def read(_, damaged):
        (folder / name).write_bytes(damaged)
        source = source_class(folder, ('v1', 'v2'))
        source.splits()
        source.frame('000002')
        source.labels('000002')

    return (folder / name).read_bytes(), read


def trainval_file(folder, name):
    return sunrgbd_file(folder / 'trainval', name, write_trainval,
                        TrainvalSource)


def official_file(folder, name):
    return sunrgbd_file(folder / 'official', name, write_official,
                        OfficialSource)


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


# A valid file and what reads a damaged one in a folder, made in that folder.
READERS = dict(
    **SCANS,
    sens=lambda folder:
    (content_of(folder / 'a.sens', lambda path: write_sens(
        path, make_frames(3))), read_recording),
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
     content: parse_label_map(content, 'a')),
)
