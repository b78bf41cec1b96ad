"""From the release's meshes and annotations to mmdet3d's data."""
import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from plyfile import PlyData, PlyElement

from sam3d_plugin.preparation.sources.scannet import layout
from sam3d_plugin.preparation.sources.scannet.scans import (parse_alignment,
                                                            read_vertices)
from sam3d_plugin.preparation.sources.scans.scan import CLASS_NAMES
from sam3d_plugin.store.errors import FrameError

TOOL = Path(__file__).parents[4] / 'tools/preparation/prepare_scannet.py'
TRAIN, VAL, TEST = 'scene0000_00', 'scene0011_00', 'scene0707_00'


@pytest.fixture
def run(release, tmp_path, capsys):
    """Runs the tool on the release: exit status, output, errors."""
    spec = importlib.util.spec_from_file_location('prepare_scannet', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def main(*arguments):
        status = module.main([
            '--source',
            str(release), '--out',
            str(tmp_path / 'out'), '--lists',
            str(release), '--workers', '0', *arguments
        ])
        return status, *capsys.readouterr()

    return main


@pytest.fixture
def small_totals(monkeypatch):
    """ScanNet has as many scans as the release of the tests."""
    monkeypatch.setattr(layout, 'OFFICIAL_TOTALS',
                        dict(train=2, val=1, test=1))


def infos(tmp_path, split):
    path = tmp_path / 'out' / f'scannet_infos_{split}.pkl'
    return pickle.loads(path.read_bytes())['data_list']


def true_labels(raw, room):
    """Semantic and instance ids, vertex by vertex."""
    semantic, instance = [], []
    for segment in room.segments:
        group = next((g for g in room.groups if segment in g['segments']), {})
        semantic.append(raw.LABELS.get(group.get('label'), 0))
        instance.append(group.get('objectId', -1) + 1)
    return np.array(semantic), np.array(instance)


def true_boxes(raw, room):
    """Extents of the detected objects after alignment, and their classes."""
    semantic, instance = true_labels(raw, room)
    points = np.c_[room.xyz, np.ones(len(room.xyz))].astype(np.float64)
    aligned = (points @ raw.ALIGNMENT.T)[:, :3]
    boxes, names = [], []
    for number in range(1, instance.max() + 1):
        mask = instance == number
        if semantic[mask][0] in CLASS_NAMES:
            low, high = aligned[mask].min(0), aligned[mask].max(0)
            boxes.append([*(low + high) / 2, *(high - low)])
            names.append(CLASS_NAMES[semantic[mask][0]])
    return np.array(boxes), names


def test_arrays_are_the_mesh_and_its_labels(run, raw, tmp_path, small_totals):
    status, out, _ = run()
    assert status == 0
    room = raw.room(len('train') + 1)  # the second of the list
    out = tmp_path / 'out'
    points = np.fromfile(out / f'points/{TRAIN}.bin', '<f4').reshape(-1, 6)
    np.testing.assert_array_equal(points[:, :3], room.xyz)
    np.testing.assert_array_equal(points[:, 3:], room.rgb)
    semantic, instance = true_labels(raw, room)
    for folder, truth in (('semantic', semantic), ('instance', instance)):
        mask = np.fromfile(out / f'{folder}_mask/{TRAIN}.bin', '<i8')
        np.testing.assert_array_equal(mask, truth)
    info = infos(tmp_path, 'train')[1]
    assert info['lidar_points']['lidar_path'] == f'{TRAIN}.bin'
    assert info['axis_align_matrix'] == raw.ALIGNMENT.tolist()
    boxes, names = true_boxes(raw, room)
    np.testing.assert_allclose([i['bbox_3d'] for i in info['instances']],
                               boxes,
                               atol=1e-9)
    assert names == ['chair', 'chair', 'table']
    labels = [list(CLASS_NAMES.values()).index(name) for name in names]
    assert [i['bbox_label_3d'] for i in info['instances']] == labels


def test_detection_dataset_of_mmdet3d_loads_it(run, raw, tmp_path,
                                               small_totals):
    from mmdet3d.datasets import ScanNetDataset
    init_default_scope('mmdet3d')
    run()
    pipeline = [
        dict(
            type='LoadPointsFromFile',
            coord_type='DEPTH',
            shift_height=True,
            load_dim=6,
            use_dim=[0, 1, 2]),
        dict(type='GlobalAlignment', rotation_axis=2)
    ]
    for split, scan in (('train', TRAIN), ('val', VAL), ('test', TEST)):
        annotations = dict(
            type='LoadAnnotations3D', with_mask_3d=True, with_seg_3d=True)
        dataset = ScanNetDataset(
            str(tmp_path / 'out'),
            f'scannet_infos_{split}.pkl',
            pipeline=pipeline + [annotations] * (split != 'test'),
            filter_empty_gt=False,
            test_mode=split == 'test')
        sample = dataset[len(dataset) - 1]
        assert sample['lidar_path'].endswith(f'{scan}.bin')
        if split == 'test':
            assert not len(sample['eval_ann_info']['gt_labels_3d'])
            continue
        room = raw.room(len(split) + len(dataset) - 1)
        boxes, names = true_boxes(raw, room)
        truth = sample['gt_bboxes_3d']
        np.testing.assert_allclose(truth.gravity_center, boxes[:, :3], 1e-5)
        np.testing.assert_allclose(truth.dims, boxes[:, 3:], 1e-5)
        classes = dataset.metainfo['classes']
        assert [classes[i] for i in sample['gt_labels_3d']] == names
        # Every instance fills its box once mmdet3d has aligned the points.
        for number, box in zip((3, 4, 5), boxes):
            mask = sample['pts_instance_mask'] == number
            points = sample['points'].tensor[mask, :3].numpy()
            np.testing.assert_allclose(np.ptp(points, 0), box[3:], atol=1e-5)
            np.testing.assert_allclose(
                points.max(0), box[:3] + box[3:] / 2, atol=1e-5)


def test_segmentation_dataset_of_mmdet3d_loads_it(run, raw, tmp_path,
                                                  small_totals):
    from mmdet3d.datasets import ScanNetSegDataset
    init_default_scope('mmdet3d')
    run()
    pipeline = [
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
    for split in ('train', 'test'):
        dataset = ScanNetSegDataset(
            str(tmp_path / 'out'),
            f'scannet_infos_{split}.pkl',
            metainfo=dict(classes=ScanNetSegDataset.METAINFO['classes']),
            data_prefix=dict(
                pts='points',
                pts_instance_mask='instance_mask',
                pts_semantic_mask='semantic_mask'),
            pipeline=pipeline,
            scene_idxs=f'seg_info/{split}_resampled_scene_idxs.npy',
            test_mode=split == 'test')
        mask = dataset[0]['pts_semantic_mask']
        ignored = len(dataset.metainfo['classes'])
        if split == 'test':
            assert (mask == ignored).all()
            continue
        semantic, _ = true_labels(raw, raw.room(len(split)))
        expected = {0: ignored, 35: ignored, 1: 0, 2: 1, 5: 4, 7: 6}
        assert mask.tolist() == [expected[i] for i in semantic]


def test_unknown_labels_are_named(run, small_totals):
    _, out, _ = run()
    assert out.count("label 'flux capacitor' is not in the label map") == 2
    assert "flux capacitor' is not in the label map: 10 points" in out


def test_lists_must_be_scannets(run):
    status, _, err = run()
    assert status == 1
    assert 'list of train has 2 scans, but ScanNet v2 has 1,201' in err
    status, out, _ = run('--partial')
    assert status == 0
    assert 'scannet_infos_train.pkl: 2 of 2 scans' in out


def test_missing_scans_are_refused_unless_partial(run, release, tmp_path,
                                                  small_totals):
    shutil.rmtree(release / 'scans_test')
    shutil.rmtree(release / 'scans' / TRAIN)
    status, _, err = run()
    assert status == 1
    assert f'lacks 1 of the 2 scans of train, the first is {TRAIN}' in err
    assert run('--partial')[0] == 0
    assert len(infos(tmp_path, 'train')) == 1
    assert not (tmp_path / 'out/scannet_infos_test.pkl').exists()
    status, _, err = run('--splits', 'val', 'test')
    assert 'lacks 1 of the 1 scans of test' in err
    assert run('--splits', 'val')[0] == 0


def damage(folder, kind):
    """Break a scan in one way."""
    name = folder.name
    mesh = folder / f'{name}_vh_clean_2.ply'
    segments = folder / f'{name}_vh_clean_2.0.010000.segs.json'
    text = folder / f'{name}.txt'
    if kind in ('aggregation', 'segs', 'txt', 'mesh'):
        paths = dict(
            aggregation=folder / f'{name}.aggregation.json',
            segs=segments,
            txt=text,
            mesh=mesh)
        paths[kind].unlink()
    elif kind == 'other mesh':
        content = json.loads(segments.read_text())
        content['segIndices'].pop()
        segments.write_text(json.dumps(content))
    elif kind == 'cut mesh':
        mesh.write_bytes(mesh.read_bytes()[:-20])
    elif kind == 'no mesh':
        mesh.write_bytes(b'')
    elif kind == 'no alignment':
        text.write_text('colorHeight = 968\n')
    elif kind == 'skew':
        text.write_text(text.read_text().replace('0.8 0.6', '0.8 0.7'))
    elif kind == 'short':
        text.write_text('axisAlignment = 1 0 0')
    else:
        ply = PlyData.read(str(mesh))
        vertices = ply['vertex'].data.copy()
        vertices['y'][3] = np.nan
        PlyData([PlyElement.describe(vertices, 'vertex')]).write(str(mesh))


@pytest.mark.parametrize('kind, message', [
    ('aggregation', 'aggregation.json is missing; download it'),
    ('segs', 'segs.json is missing; download it'),
    ('txt', 'scene0000_00.txt is missing; download it'),
    ('mesh', 'vh_clean_2.ply is missing; download it'),
    ('other mesh', '158 segment ids, but the mesh has 159 vertices'),
    ('cut mesh', 'mesh'),
    ('no mesh', 'mesh'),
    ('no alignment', 'has no axisAlignment'),
    ('skew', 'the alignment must be a 4x4 rotation about z'),
    ('short', 'axisAlignment'),
    ('nan', '1 of 159 vertices are not finite'),
])
def test_a_bad_scan_is_named_and_others_go_on(run, release, tmp_path,
                                              small_totals, kind, message):
    damage(release / 'scans' / TRAIN, kind)
    status, out, err = run('--splits', 'train', 'val')
    assert status == 1
    assert f'1 of 2 scans of train failed, the first is {TRAIN}' in err
    assert message in out and message in err
    assert str(tmp_path) not in (tmp_path / 'out/manifest.json').read_text()
    assert not (tmp_path / 'out/scannet_infos_train.pkl').exists()
    assert len(infos(tmp_path, 'val')) == 1
    assert (tmp_path / 'out/points/scene0000_01.bin').exists()
    status, out, _ = run('--splits', 'train', '--partial')
    assert status == 0
    assert 'scannet_infos_train.pkl: 1 of 2 scans' in out


def test_a_mended_scan_is_the_only_one_made_again(run, raw, release, tmp_path,
                                                  small_totals):
    folder = release / 'scans' / TRAIN
    damage(folder, 'mesh')
    assert run()[0] == 1
    shutil.rmtree(folder)
    raw.write_scan(folder, raw.room(6))
    status, out, _ = run()
    assert status == 0 and '1 scans made' in out and '3 kept' in out
    names = [i['lidar_points']['lidar_path'] for i in infos(tmp_path, 'train')]
    assert names == ['scene0000_01.bin', f'{TRAIN}.bin']


def test_running_again_keeps_the_regions_in_use(run, tmp_path, small_totals):
    run()
    (tmp_path / 'out/regions').mkdir()
    (tmp_path / f'out/regions/{TRAIN}.npz').write_bytes(b'')
    run()
    named = [i.get('pts_region_path') for i in infos(tmp_path, 'train')]
    assert named == [None, f'{TRAIN}.npz']


def test_shards_leave_the_infos_to_the_last(run, tmp_path, small_totals):
    status, out, _ = run('--shard', '0/2')
    assert status == 0
    assert 'train: 1 of 2 scans are still to be prepared' in out
    assert not (tmp_path / 'out/scannet_infos_train.pkl').exists()
    status, out, _ = run('--shard', '1/2')
    assert status == 0
    assert len(list((tmp_path / 'out').glob('*.pkl'))) == 3


def test_infos_need_a_local_folder(run, small_totals):
    status, _, err = run('--out', 'http://host/data')
    assert status == 1 and 'local folder' in err


def test_a_scan_of_another_split_is_not_mixed_in(run, release, small_totals):
    run()
    for split, other in (('val', TEST), ('test', VAL)):
        (release / f'scannetv2_{split}.txt').write_text(other)
    status, _, err = run()
    assert status == 1
    assert 'was prepared for another split' in err


def test_the_aggregation_of_vh_clean_must_fit(run, release, small_totals):
    folder = release / 'scans' / TRAIN
    path = folder / f'{TRAIN}.aggregation.json'
    path = path.rename(folder / f'{TRAIN}_vh_clean.aggregation.json')
    assert run()[0] == 0
    content = json.loads(path.read_text())
    content['segGroups'][1]['segments'].append(77)
    path.write_text(json.dumps(content))
    status, _, err = run('--out', str(release / 'second'))
    assert status == 1
    assert 'object 1 has segment 77, which no vertex has' in err


def test_more_boxes_than_the_heads_take_are_refused(run, raw, release,
                                                    small_totals):
    room = raw.room()
    room.segments = list(range(len(room.xyz)))
    room.groups = [
        dict(objectId=i, segments=[i], label='chair') for i in range(65)
    ]
    shutil.rmtree(release / 'scans' / TRAIN)
    raw.write_scan(release / 'scans' / TRAIN, room)
    assert '65 objects of the detection classes' in run()[2]


def test_text_meshes_are_read_too(raw, tmp_path):
    room = raw.room()
    for text in (True, False):
        raw.write_mesh(tmp_path / 'a.ply', room.xyz, room.rgb, text)
        vertices = read_vertices(str(tmp_path / 'a.ply'))
        np.testing.assert_allclose(vertices[:, :3], room.xyz, rtol=1e-6)
        np.testing.assert_array_equal(vertices[:, 3:], room.rgb)


def test_test_scans_need_no_alignment():
    assert (parse_alignment('a = 1', 'b.txt', False) == np.eye(4)).all()
    with pytest.raises(FrameError, match='b.txt has no axisAlignment'):
        parse_alignment('a = 1', 'b.txt', True)
