"""Imports, read back by what mmdet3d ships for ScanNet."""
import importlib.util
import io
import pickle
from pathlib import Path

import mmdet3d
import numpy as np
import pytest
from mmdet3d.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console

from sam3d_plugin.preparation.sources.scans.import_scans import (ImportOptions,
                                                                 import_scans)
from sam3d_plugin.preparation.sources.scans.infos import (label_weights,
                                                          resampled_indices)
from sam3d_plugin.preparation.sources.scans.scan import (CLASS_NAMES,
                                                         DETECTION_CLASSES,
                                                         SEGMENTATION_IDS,
                                                         ScanError)
from sam3d_plugin.store import read_region_file

MIM = Path(mmdet3d.__file__).parent / '.mim'
DETECTION_CONFIGS = [
    'votenet/votenet_8xb8_scannet-3d.py',
    'groupfree3d/groupfree3d_head-L6-O256_4xb8_scannet-seg.py',
]
SEGMENTATION_CONFIG = (
    'pointnet2/pointnet2_ssg_2xb16-cosine-200e_scannet-seg.py')
REAL = Path(__file__).parents[4] / '../shared/data/scannet_scene0000'
ALIGN = np.array([[0, -1, 0, 2], [1, 0, 0, 3], [0, 0, 1, 0.5], [0, 0, 0, 1.]])


def run_import(source, out, **options):
    """Import a folder; returns what was said."""
    console = Console(file=io.StringIO(), soft_wrap=True)
    import_scans(ImportOptions(source, out, **options), console)
    return console.file.getvalue()


def read_infos(out, split='train'):
    return pickle.loads((out / f'scannet_infos_{split}.pkl').read_bytes())


def build_dataset(config, root, loader='train_dataloader', num_points=500):
    """A dataset of one of mmdet3d's own configs, with fewer points."""
    init_default_scope('mmdet3d')
    dataset = Config.fromfile(MIM / 'configs' / config)[loader].dataset
    inner = dataset.get('dataset', dataset)
    inner.data_root = f'{root}/'
    if 'scene_idxs' in inner:
        inner.scene_idxs = 'seg_info/train_resampled_scene_idxs.npy'
    for step in inner.pipeline:
        for part in (step, *step.get('transforms', ())):
            if part.type in ('PointSample', 'IndoorPatchPointSample'):
                part.num_points = num_points
    return DATASETS.build(dataset)


def align_back(xyz):
    """What ALIGN turns into xyz."""
    return (xyz - ALIGN[:3, 3]) @ ALIGN[:3, :3]


@pytest.fixture
def source(tmp_path, rooms, room):
    """One room per format: a, b and c labelled, d without labels."""
    folder = tmp_path / 'scans'
    folder.mkdir()
    boxes = rooms.boxes(room)
    np.savez(folder / 'a.npz', **room, bbox=boxes)
    rooms.write_ply(folder / 'b.ply', room, byte_order='>')
    bare = {key: room[key] for key in ('xyz', 'rgb')}
    rooms.write_ply(
        folder / 'c.ply', {
            **bare, 'xyz': align_back(room['xyz']).astype('f4')
        },
        text=True)
    rooms.write_json_boxes(folder / 'c.boxes.json', boxes)
    np.savetxt(folder / 'c_axis_align.txt', ALIGN)
    np.savez(folder / 'd.npz', **bare)
    return folder


@pytest.fixture
def imported(tmp_path, source):
    """Data set of these rooms."""
    run_import(
        source,
        tmp_path / 'data',
        splits=[{
            'train': ['a', 'b', 'c']
        }, {
            'val': ['b', 'd']
        }])
    return tmp_path / 'data'


def load_converter(name):
    """One of mmdet3d's converters, which are no package."""
    path = MIM / 'tools/dataset_converters' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert_with_mmdet3d(root, room, boxes):
    """What mmdet3d's ScanNet converter makes of the room as scan a."""
    raw = root / 'scannet_instance_data'
    raw.mkdir(parents=True)
    (root / 'meta_data').mkdir()
    (root / 'meta_data/scannetv2_train.txt').write_text('a\n')
    colored = np.hstack([room['xyz'], room['rgb']]).astype(np.float32)
    for name, array in (('vert', colored), ('ins_label', room['instance']),
                        ('sem_label', room['semantic']),
                        ('aligned_bbox', boxes), ('unaligned_bbox', boxes),
                        ('axis_align_matrix', np.eye(4))):
        np.save(raw / f'a_{name}.npy', array)
    converter = load_converter('scannet_data_utils')
    infos = converter.ScanNetData(str(root)).get_infos(num_workers=1)
    old, new = root / 'scannet_infos_train.pkl', root / 'v2'
    old.write_bytes(pickle.dumps(infos))
    converter.ScanNetSegData(str(root), str(old)).get_seg_infos()
    new.mkdir()
    load_converter('update_infos_to_v2').update_scannet_infos(
        str(old), str(new))
    return read_infos(new)


def test_same_as_mmdets_own_converter(tmp_path, source, rooms, room):
    expected = convert_with_mmdet3d(tmp_path / 'theirs', room,
                                    rooms.boxes(room))
    run_import(source, tmp_path / 'ours', splits=[{'train': ['a']}])
    found = read_infos(tmp_path / 'ours')
    assert found['data_list'][0].pop('pts_region_path') == 'a.npz'
    assert found == expected
    for folder in ('points', 'instance_mask', 'semantic_mask'):
        theirs, ours = (
            tmp_path / side / folder / 'a.bin' for side in ('theirs', 'ours'))
        assert ours.read_bytes() == theirs.read_bytes()
    theirs, ours = (
        np.load(tmp_path / side / 'seg_info/train_label_weight.npy')
        for side in ('theirs', 'ours'))
    assert np.allclose(ours, theirs) and ours.dtype == theirs.dtype


def test_class_tables_are_mmdets():
    meta = DATASETS.get('mmdet3d.ScanNetDataset').METAINFO
    assert tuple(DETECTION_CLASSES) == meta['classes']
    assert tuple(CLASS_NAMES) == meta['seg_valid_class_ids']
    meta = DATASETS.get('mmdet3d.ScanNetSegDataset').METAINFO
    assert SEGMENTATION_IDS == meta['seg_valid_class_ids']


@pytest.mark.parametrize('config', DETECTION_CONFIGS)
def test_stock_detection_configs_read_it(imported, rooms, room, config):
    dataset = build_dataset(config, imported).dataset
    assert len(dataset) == 3
    for index in range(3):
        annotations = dataset.get_ann_info(index)
        centers = annotations['gt_bboxes_3d'].gravity_center.numpy()
        assert np.allclose(centers, rooms.boxes(room)[:, :3], atol=1e-5)
        assert annotations['gt_labels_3d'].tolist() == [2, 4]
        sample = dataset[index]
        assert len(sample['inputs']['points']) == 500
        labels = sample['data_samples'].gt_pts_seg
        assert set(labels.pts_semantic_mask.tolist()) == {2, 4, 18}
        chair = labels.pts_semantic_mask == 2
        assert set(labels.pts_instance_mask[chair].tolist()) == {1}


def test_stock_test_pipeline_aligns_the_points(imported, room):
    dataset = build_dataset(DETECTION_CONFIGS[0], imported)
    dataset = dataset.dataset
    steps = dataset.pipeline.transforms
    names = [type(step).__name__ for step in steps]
    steps[names.index('GlobalAlignment') + 1:] = []
    points = dataset[2]['points'].tensor[:, :3].numpy()
    assert np.allclose(points, room['xyz'], atol=1e-5)


def test_unlabelled_scans_are_evaluated(imported):
    dataset = build_dataset(DETECTION_CONFIGS[0], imported, 'val_dataloader')
    sample = dataset[1]
    assert len(sample['data_samples'].eval_ann_info['gt_labels_3d']) == 0


def test_stock_segmentation_config_reads_it(imported, room):
    dataset = build_dataset(SEGMENTATION_CONFIG, imported)
    sample = dataset[0]
    assert sample['inputs']['points'].shape[0] == 500
    labels = sample['data_samples'].gt_pts_seg.pts_semantic_mask
    assert set(labels.tolist()) <= {0, 1, 4, 6}
    dataset = build_dataset(SEGMENTATION_CONFIG, imported, 'val_dataloader')
    truth = dataset[0]['data_samples'].eval_ann_info['pts_semantic_mask']
    assert np.array_equal(truth, room['semantic'])


def test_regions_belong_to_the_stored_points(imported, room):
    points = np.fromfile(imported / 'points/b.bin', np.float32).reshape(-1, 6)
    regions = read_region_file(imported / 'regions/b.npz', points[:, :3])
    assert np.array_equal(regions, room['region'])
    infos = read_infos(imported)['data_list']
    assert [info.get('pts_region_path')
            for info in infos] == ['a.npz', 'b.npz', None]


def test_the_log_says_what_was_done(tmp_path, source):
    text = run_import(
        source,
        tmp_path / 'data',
        splits=[{
            'train': ['c']
        }, {
            'val': ['b', 'd']
        }])
    for part in ('c: 2,900 points', '2 boxes: 1 chair, 1 table',
                 'masks from boxes', 'alignment from c_axis_align.txt',
                 'boxes from masks', '8 regions',
                 'val.pkl: 2 scan(s), 1 of them without boxes',
                 '1 scans are in no list'):
        assert part in text
    assert '\x1b' not in text


def test_label_weights_follow_their_formula():
    counts = np.zeros(20)
    assert np.allclose(label_weights(counts), 1 / np.log(1.2))
    counts[3] = 7
    assert np.isclose(label_weights(counts)[3], 1 / np.log(2.2))


def test_large_scans_are_drawn_more_often():
    indices = resampled_indices([100, 3 * 8192, 8192])
    assert indices.tolist() == [0, 1, 1, 1, 2]
    assert indices.dtype == np.int32


def test_an_import_replaces_nothing_unasked(tmp_path, source):
    out = tmp_path / 'data'
    run_import(source, out)
    with pytest.raises(ScanError, match='data already holds scannet_infos_tr'):
        run_import(source, out)
    run_import(source, out, overwrite=True)


def test_scans_may_join_frames(tmp_path, source):
    frame = tmp_path / 'data/posed_images/a/00000.txt'
    frame.parent.mkdir(parents=True)
    frame.write_text('pose')
    run_import(source, tmp_path / 'data')
    assert frame.read_text() == 'pose'


def test_a_failed_import_can_be_run_again(tmp_path, source):
    (source / 'e.npz').write_bytes(b'')
    out = tmp_path / 'data'
    with pytest.raises(ScanError, match='e.npz cannot be read'):
        run_import(source, out)
    assert (out / 'points/a.bin').is_file()
    assert not list(out.glob('*.pkl'))
    (source / 'e.npz').unlink()
    run_import(source, out)
    assert len(read_infos(out)['data_list']) == 4


def test_unusable_folders_are_named(tmp_path, source, monkeypatch):
    (tmp_path / 'file').touch()
    with pytest.raises(ScanError, match='file/data cannot be made'):
        run_import(source, tmp_path / 'file/data')
    monkeypatch.setattr('os.access', lambda *_: False)
    with pytest.raises(ScanError, match='data is read-only'):
        run_import(source, tmp_path / 'data')


def test_units_and_axes_may_be_confirmed(tmp_path, source, room):
    room['xyz'] *= 1000
    np.savez(source / 'a.npz', **room)
    with pytest.raises(ScanError, match='a.npz: .*millimeters'):
        run_import(source, tmp_path / 'data')
    run_import(source, tmp_path / 'data', scale=1.0, overwrite=True)


def test_a_region_key_that_no_scan_has(tmp_path, source):
    with pytest.raises(ScanError, match="'mine', which --region-key names"):
        run_import(source, tmp_path / 'data', region_key='mine')


@pytest.mark.skipif(not REAL.is_dir(), reason='the real scan is not here')
def test_the_real_room(tmp_path):
    text = run_import(
        REAL,
        tmp_path,
        splits=[{
            'train': ['scene0000_00']
        }, {
            'val': ['scene0000_00', 'scene0000_01']
        }])
    assert '27 boxes' in text and '174 regions' in text
    raw = np.load(REAL / 'scene0000_00_labelled.npz')
    instances = read_infos(tmp_path)['data_list'][0]['instances']
    found = [[*i['bbox_3d'],
              list(CLASS_NAMES)[i['bbox_label_3d']]] for i in instances]
    assert np.array_equal(found, raw['bbox'])
    mask = np.fromfile(tmp_path / 'instance_mask/scene0000_00.bin', np.int64)
    for row, number in zip(raw['bbox'], raw['bbox_instance_id']):
        extent = np.ptp(raw['xyz_aligned'][mask == number], axis=0)
        assert np.allclose(extent, row[3:6], atol=1e-5)
    dataset = build_dataset(DETECTION_CONFIGS[0], tmp_path, num_points=4000)
    assert dataset[0]['inputs']['points'].shape == (4000, 4)
