"""From raw rooms to data that mmdet3d's own datasets load."""
import importlib.util
import pickle
from io import BytesIO
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from sam3d_plugin.preparation.sources.s3dis import rooms
from sam3d_plugin.preparation.sources.s3dis.area_infos import area_files
from sam3d_plugin.preparation.sources.s3dis.raw import CLASSES, RELEASE
from sam3d_plugin.store import read_region_file
from sam3d_plugin.store.manifest import Store

TOOL = Path(__file__).parents[4] / 'tools/preparation/prepare_s3dis.py'
LOW = np.array([-3., 10, 1])
QUICK = ['-O', 'voxel=0.1', 'min_area=0.2']


def load_tool():
    spec = importlib.util.spec_from_file_location('prepare_s3dis', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_points(path, low, size, color, count, rng):
    """A box of points in the release's text form, its corners included."""
    xyz = low + size * np.vstack([[0, 0, 0], [1, 1, 1],
                                  rng.uniform(0, 1, (count - 2, 3))])
    lines = [
        ' '.join(f'{x:.3f}' for x in p) + f' {color} {color} 9\n' for p in xyz
    ]
    path.write_text(''.join(lines))


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Two rooms, the second with a flaw."""
    root = tmp_path_factory.mktemp('raw')
    rng = np.random.default_rng(0)
    for room in ('Area_1/office_1', 'Area_5/hallway_6'):
        folder = root / RELEASE / room / 'Annotations'
        folder.mkdir(parents=True)
        for name, low, size, color in (('floor_1', [0, 0, 0], [3, 4, 0], 90),
                                       ('table_1', [1, 1, .7], [1, 1,
                                                                .1], 200),
                                       ('chair_1', [2, 2, 0], [.5, .5, 1],
                                        30), ('stairs_1', [0, 3,
                                                           0], [.5, .5,
                                                                1], 60)):
            write_points(folder / f'{name}.txt', LOW + low, np.array(size),
                         color, 1500, rng)
    path = root / RELEASE / 'Area_5/hallway_6/Annotations/floor_1.txt'
    path.write_bytes(path.read_bytes().replace(b' 90', b'\x1090', 1))
    return root


@pytest.fixture(scope='module')
def data(source, tmp_path_factory):
    out = tmp_path_factory.mktemp('s3dis')
    argv = ['--source', str(source), '--out', str(out), '--workers', '0']
    assert load_tool().main(argv + ['--partial'] + QUICK) == 0
    return out


def read(data, folder, dtype, name='Area_5_hallway_6'):
    return np.fromfile(data / folder / f'{name}.bin', dtype)


def test_arrays_have_mmdet3ds_form(data):
    points = read(data, 'points', 'f4').reshape(-1, 6)
    assert points.shape == (6000, 6)
    np.testing.assert_array_equal(points[:, :3].min(0), 0)
    np.testing.assert_allclose(points[:, :3].max(0), [3, 4, 1], atol=1e-6)
    instance = read(data, 'instance_mask', 'i8')
    semantic = read(data, 'semantic_mask', 'i8')
    # Files in the order of their names: chair, floor, stairs, table.
    assert instance.tolist() == np.repeat([1, 2, 3, 4], 1500).tolist()
    names = [CLASSES[i] for i in semantic[::1500]]
    assert names == ['chair', 'floor', 'clutter', 'table']
    assert points[0, 3:].tolist() == [30, 30, 9]


def test_flaws_are_in_the_manifest(data):
    manifest = Store(data).manifest()
    flaws = {
        name: record.items[name].fields['flaws']
        for name, record in manifest.items()
    }
    assert flaws == {
        'Area_1_office_1': {},
        'Area_5_hallway_6': dict(control_characters=1)
    }


def test_regions_are_superpoints_of_the_stored_points(data):
    points = read(data, 'points', 'f4').reshape(-1, 6)
    ids = read_region_file(data / 'regions/Area_5_hallway_6.npz',
                           points[:, :3])
    assert ids.min() == 1 and 3 < ids.max() < 100


def test_mmdet3ds_datasets_load_everything(data):
    from mmdet3d.datasets import S3DISDataset, S3DISSegDataset
    from mmdet3d.utils import register_all_modules
    register_all_modules()
    assert S3DISSegDataset.METAINFO['classes'] == CLASSES
    assert S3DISDataset.METAINFO['classes'] == rooms.DETECTION_CLASSES
    loading = [
        dict(
            type='LoadPointsFromFile',
            coord_type='DEPTH',
            use_color=True,
            load_dim=6,
            use_dim=[0, 1, 2, 3, 4, 5]),
        dict(
            type='LoadAnnotations3D',
            with_bbox_3d=False,
            with_label_3d=False,
            with_seg_3d=True),
        dict(type='PointSegClassMapping')
    ]
    prefix = dict(
        pts='points',
        pts_instance_mask='instance_mask',
        pts_semantic_mask='semantic_mask')
    areas = ('Area_1', 'Area_5')
    seg = S3DISSegDataset(
        data_root=str(data),
        ann_files=[f's3dis_infos_{area}.pkl' for area in areas],
        metainfo=dict(classes=CLASSES),
        data_prefix=prefix,
        pipeline=loading,
        ignore_index=13,
        scene_idxs=[
            f'seg_info/{area}_resampled_scene_idxs.npy' for area in areas
        ])
    assert len(seg) == 2
    assert seg.get_data_info(1)['pts_region_path'] == 'Area_5_hallway_6.npz'
    sample = seg[1]
    np.testing.assert_array_equal(sample['pts_semantic_mask'],
                                  read(data, 'semantic_mask', 'i8'))
    np.testing.assert_array_equal(sample['points'].tensor,
                                  read(data, 'points', 'f4').reshape(-1, 6))
    det = S3DISDataset(
        data_root=str(data),
        ann_file='s3dis_infos_Area_5.pkl',
        metainfo=dict(classes=rooms.DETECTION_CLASSES),
        pipeline=[])
    truth = det.get_data_info(0)['ann_info']
    assert truth['gt_labels_3d'].tolist() == [1, 0]
    np.testing.assert_allclose(
        truth['gt_bboxes_3d'].gravity_center,
        [[2.25, 2.25, .5], [1.5, 1.5, .75]],
        atol=1e-3)
    np.testing.assert_allclose(
        truth['gt_bboxes_3d'].dims, [[.5, .5, 1], [1, 1, .1]], atol=1e-3)


def test_rooms_are_drawn_by_their_points():
    fields = [
        dict(num_points=n, class_counts=[n] + 12 * [0], info={})
        for n in (100, 9000, 20000)
    ]
    files = area_files('Area_2', fields)
    path = 'seg_info/Area_2_resampled_scene_idxs.npy'
    indices = np.load(BytesIO(files[path]))
    assert indices.tolist() == [0, 1, 1, 2, 2, 2, 2, 2]
    assert indices.dtype == np.int32
    weights = np.load(BytesIO(files['seg_info/Area_2_label_weight.npy']))
    np.testing.assert_allclose(
        weights[:2], [1 / np.log(2.2), 1 / np.log(1.2)], rtol=1e-5)
    infos = pickle.loads(files['s3dis_infos_Area_2.pkl'])
    assert [info['sample_idx'] for info in infos['data_list']] == [0, 1, 2]


def test_a_part_of_the_release_needs_partial(source, tmp_path, capsys):
    argv = ['--source', str(source), '--out', str(tmp_path / 'x')]
    assert load_tool().main(argv) == 1
    assert 'S3DIS has 272' in capsys.readouterr().err
    assert not (tmp_path / 'x').exists()


def test_shards_write_the_same_store(source, data, tmp_path, capsys):
    argv = ['--source', str(source), '--out', str(tmp_path), '--partial']
    for shard in ('1/2', '0/2', '1/2'):
        assert load_tool().main(argv + ['--workers', '0', '--shard', shard] +
                                QUICK) == 0
    assert '0 rooms made, 1 kept' in capsys.readouterr().out
    for path in data.rglob('*'):
        if path.is_file() and '.locks' not in path.parts:
            other = tmp_path / path.relative_to(data)
            assert other.read_bytes() == path.read_bytes(), path


def test_a_bad_room_is_skipped_and_left_out(source, tmp_path, capsys):
    copytree(source, tmp_path / 'raw')
    for area, room in ((1, 'office_1'), (1, 'office_2')):
        folder = tmp_path / f'raw/{RELEASE}/Area_{area}/{room}/Annotations'
        folder.mkdir(parents=True, exist_ok=True)
        if room == 'office_2':
            (folder / 'wall_1.txt').write_text('<html>\n<body>\n')
    argv = [
        '--source', f'{tmp_path}/raw', '--out', f'{tmp_path}/out', '--partial',
        '--without-superpoints', '--workers', '0'
    ]
    assert load_tool().main(argv) == 0
    assert 'wall_1.txt is a web page' in capsys.readouterr().out
    infos = pickle.loads(
        (tmp_path / 'out/s3dis_infos_Area_1.pkl').read_bytes())
    assert len(infos['data_list']) == 1
    assert 'pts_region_path' not in infos['data_list'][0]
