"""Tests of the checks that run before a training."""
import pickle
import re

import numpy as np
import pytest
from mmdet3d.datasets import ScanNetSegDataset
from mmdet3d.utils import register_all_modules

from sam3d_plugin.datasets import preflight
from sam3d_plugin.datasets.preflight import SceneLimits, check_datasets
from tests.conftest import CLASSES, write_infos, write_sunrgbd
from tests.segmentation_stores import write_scannet_seg

register_all_modules(init_default_scope=False)


@pytest.fixture
def dataset(scannet_root):
    """Settings of a training set that has nothing wrong."""
    return dict(
        type='ScanNetDataset',
        data_root=str(scannet_root),
        ann_file='scannet_infos_train.pkl',
        pipeline=[
            dict(type='LoadPointsFromFile', coord_type='DEPTH', load_dim=6),
            dict(type='LoadRegionIds'),
            dict(
                type='LoadAnnotations3D', with_mask_3d=True, with_seg_3d=True)
        ],
        metainfo=dict(classes=('chair', 'table')))


def assert_refused(dataset, error, *parts, **options):
    wrapped = dict(type='RepeatDataset', times=2, dataset=dataset)
    with pytest.raises(error, match='.*'.join(map(re.escape, parts))) as info:
        check_datasets([wrapped], **options)
    assert '\n' not in str(info.value)


def _edit_infos(root, change):
    path = root / 'scannet_infos_train.pkl'
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(change(content)))


def test_good_data_passes(dataset):
    check_datasets([dataset, dict(dataset=dataset)],
                   SceneLimits(
                       max_boxes=2, min_points=2048, needs_regions=True))
    check_datasets([dict(type='ConcatDataset', datasets=[dataset])])


def test_missing_data_root_names_the_command(dataset):
    dataset['data_root'] = 'data/nowhere'
    assert_refused(dataset, FileNotFoundError,
                   'data root data/nowhere is missing', 'import_scans.py',
                   'data_root=PATH')


@pytest.mark.parametrize('root, name, command', [
    ('data/sunrgbd', 'sunrgbd_v1_infos_train.pkl', 'prepare_sunrgbd.py'),
    ('data/s3dis', 's3dis_infos_Area_1.pkl', 'prepare_s3dis.py'),
    ('data/synthrooms', 'scannet_infos_train_10.pkl', 'make_synthrooms.py'),
    ('data/scannet', 'scannet_infos_train.pkl', 'prepare_scannet.py'),
])
def test_command_is_that_of_the_data_set(dataset, tmp_path, monkeypatch, root,
                                         name, command):
    monkeypatch.chdir(tmp_path)
    dataset.update(data_root=root, ann_file=name)
    assert_refused(dataset, FileNotFoundError, f'data root {root} is missing',
                   command, f'--out {root}')
    (tmp_path / root).mkdir(parents=True)
    if '_10' not in name:
        assert_refused(dataset, FileNotFoundError, f'{name} is missing',
                       command)


def test_missing_annotation_file(dataset):
    dataset['ann_file'] = 'other.pkl'
    assert_refused(dataset, FileNotFoundError, 'other.pkl is missing')


@pytest.mark.parametrize('end, options', [
    ('_10', '--percentages 10 --seeds 0'),
    ('_0.5', '--percentages 0.5 --seeds 0'),
    ('_1_seed2', '--percentages 1 --seeds 2'),
])
def test_missing_list_of_few_labels_names_the_command(dataset, end, options):
    dataset['ann_file'] = f'scannet_infos_train{end}.pkl'
    assert_refused(dataset, FileNotFoundError, f'train{end}.pkl is missing',
                   'make_few_label_lists.py ',
                   f'/scannet_infos_train.pkl {options},')


@pytest.mark.parametrize('change, part', [
    (lambda content: content['data_list'], 'update_infos_to_v2.py'),
    (lambda content: dict(infos=[]), 'no metainfo and data_list'),
])
def test_wrong_pkl_version(dataset, scannet_root, change, part):
    _edit_infos(scannet_root, change)
    assert_refused(dataset, ValueError, 'scannet_infos_train.pkl', part)


def test_truncated_pkl(dataset, scannet_root):
    path = scannet_root / 'scannet_infos_train.pkl'
    path.write_bytes(path.read_bytes()[:-20])
    assert_refused(dataset, ValueError, 'scannet_infos_train.pkl is truncated')


@pytest.mark.parametrize('folder',
                         ['points', 'instance_mask', 'semantic_mask'])
def test_missing_and_truncated_files(dataset, scannet_root, folder):
    path = scannet_root / folder / 'b.bin'
    path.write_bytes(path.read_bytes()[:-2])
    assert_refused(dataset, ValueError, f'{folder}/b.bin has', 'truncated')
    path.unlink()
    assert_refused(dataset, FileNotFoundError, f'{folder}/b.bin',
                   'scannet_infos_train.pkl')


def test_mask_of_another_scan(dataset, scannet_root):
    np.zeros(7, np.int64).tofile(scannet_root / 'instance_mask' / 'a.bin')
    assert_refused(dataset, ValueError, 'instance_mask/a.bin has 56 bytes',
                   '2048')


def test_missing_region_file(dataset, scannet_root):
    (scannet_root / 'regions' / 'a.npz').unlink()
    assert_refused(dataset, FileNotFoundError, 'regions/a.npz')
    dataset['pipeline'].pop(1)
    check_datasets([dataset])


def test_unread_files_are_not_asked_for(dataset, scannet_root):
    (scannet_root / 'instance_mask' / 'a.bin').unlink()
    dataset['pipeline'].pop()
    check_datasets([dataset])


def test_unknown_class(dataset, scannet_root):
    dataset['metainfo'] = dict(classes=('chair', 'tabel'))
    assert_refused(dataset, ValueError, 'class tabel', 'ScanNetDataset',
                   'table')
    dataset['metainfo'] = dict(classes=('chair', ))

    def drop(content):
        content['metainfo']['categories'].pop('chair')
        return content

    _edit_infos(scannet_root, drop)
    assert_refused(dataset, ValueError, 'class chair',
                   'scannet_infos_train.pkl')


def test_too_many_boxes_only_matter_in_training(dataset, scannet_root):

    def repeat(content):
        content['data_list'][1]['instances'] *= 33
        return content

    _edit_infos(scannet_root, repeat)
    check_datasets([dataset])
    limits = SceneLimits(max_boxes=64)
    check_datasets([dict(dataset, test_mode=True)], limits)
    assert_refused(
        dataset, ValueError, 'b.bin has 66 boxes', '64', limits=limits)


def test_scan_with_fewer_points_than_tokens(dataset):
    assert_refused(
        dataset,
        ValueError,
        'a.bin has 2048 points',
        '2049 tokens',
        limits=SceneLimits(min_points=2049))


def test_scan_without_the_regions_that_tokens_need(dataset, scannet_root):
    limits = SceneLimits(needs_regions=True)

    def drop(content):
        del content['data_list'][1]['pts_region_path']
        return content

    _edit_infos(scannet_root, drop)
    check_datasets([dataset])
    assert_refused(
        dataset, ValueError, 'names no region file', 'b.bin', limits=limits)
    del dataset['pipeline'][1]
    assert_refused(dataset, ValueError, 'has no LoadRegionIds', limits=limits)


@pytest.mark.parametrize('loaded, column', [
    (dict(use_dim=[0, 1, 2, 3, 4, 5]), 6),
    (dict(use_dim=4), 4),
    (dict(use_dim=[0, 1, 2], shift_height=True), 4),
])
def test_region_ids_in_another_column_than_the_model_reads(
        dataset, loaded, column):
    """Colors are integers too, and would be taken for ids."""
    dataset['pipeline'][0].update(loaded)
    limits = SceneLimits(needs_regions=True, region_column=column)
    check_datasets([dataset], limits)
    limits = SceneLimits(needs_regions=True, region_column=3)
    assert_refused(
        dataset, ValueError, f'region_column={column}', limits=limits)


@pytest.mark.parametrize('box', [[0, 0, 0, 1, 0, 1], [0, 0, np.nan, 1, 1, 1]])
def test_box_without_a_size(dataset, scannet_root, box):

    def change(content):
        content['data_list'][1]['instances'][0]['bbox_3d'] = box
        return content

    _edit_infos(scannet_root, change)
    assert_refused(dataset, ValueError, 'b.bin has the box', 'no size')


def test_split_without_any_box(dataset, scannet_root):

    def clear(content):
        for info in content['data_list']:
            info['instances'] = []
        return content

    _edit_infos(scannet_root, clear)
    assert_refused(dataset, ValueError, 'scannet_infos_train.pkl holds no box')


def test_infos_of_another_kind(dataset, scannet_root):

    def change(content):
        content['data_list'] = [dict(image='a.png')]
        return content

    _edit_infos(scannet_root, change)
    assert_refused(dataset, ValueError, 'names no lidar_points.lidar_path')


def test_unknown_dataset_type_is_left_to_building(dataset):
    check_datasets([dict(dataset, type='ScanNetDatast')])


def test_remote_data_is_left_out_and_said(dataset, monkeypatch):
    said = []
    monkeypatch.setattr(preflight, 'print_log',
                        lambda text, **_: said.append(text))
    dataset['data_root'] = 's3://bucket/scannet'
    check_datasets([dataset])
    assert said[0].startswith('s3://bucket/scannet is remote')


def _read_masks(dataset, classes):
    dataset['metainfo'] = dict(classes=classes)
    dataset['pipeline'] += [
        dict(type='PointSegClassMapping'),
        dict(type='Pack3DDetInputs', keys=['points', 'pts_semantic_mask']),
    ]


@pytest.mark.parametrize('classes', [('chair', 'table'), CLASSES[::-1]])
def test_masks_do_not_follow_chosen_classes(dataset, classes):
    _read_masks(dataset, classes)
    assert_refused(dataset, ValueError, 'metainfo.classes chooses',
                   'PointSegClassMapping', '18 of ScanNetDataset')
    dataset['metainfo'] = dict(classes=CLASSES)
    check_datasets([dataset])


def test_masks_that_no_model_reads_may_differ(dataset):
    _read_masks(dataset, ('chair', 'table'))
    dataset['pipeline'][-1]['keys'].pop()
    check_datasets([dataset])


@pytest.fixture
def segmentation_set(tmp_path):
    write_scannet_seg(tmp_path)
    return dict(
        type='ScanNetSegDataset',
        data_root=str(tmp_path),
        ann_file='scannet_infos_train.pkl',
        scene_idxs='seg_info/train_resampled_scene_idxs.npy',
        pipeline=[dict(type='PointSegClassMapping')],
        metainfo=dict(classes=ScanNetSegDataset.METAINFO['classes']))


def test_classes_of_a_segmentation_set(segmentation_set):
    check_datasets([segmentation_set])
    classes = segmentation_set['metainfo']['classes']
    segmentation_set['metainfo'] = dict(classes=classes[::-1])
    assert_refused(segmentation_set, ValueError, 'metainfo.classes chooses 20')


def test_scans_drawn_by_the_list_of_another_file(segmentation_set,
                                                 monkeypatch):
    said = []
    monkeypatch.setattr(preflight, 'print_log',
                        lambda text, **_: said.append(text))
    check_datasets([segmentation_set])
    assert not said
    few = 'seg_info/train_10_resampled_scene_idxs.npy'
    check_datasets([dict(segmentation_set, scene_idxs=few)])
    assert '1 of 2 scans' in said[0] and f'{few} does not draw' in said[0]
    segmentation_set['ann_file'] = 'scannet_infos_train_10.pkl'
    assert_refused(segmentation_set, ValueError, 'draws scan 1',
                   'train_10.pkl has 1 scans')
    check_datasets([dict(segmentation_set, test_mode=True)])


@pytest.mark.parametrize('label, part', [(4, 'reads it as table'),
                                         (30, 'reads it as unknown')])
def test_labels_in_another_order(dataset, scannet_root, label, part):

    def count_anew(content):
        content['metainfo']['categories']['chair'] = label
        return content

    _edit_infos(scannet_root, count_anew)
    assert_refused(dataset, ValueError, 'scannet_infos_train.pkl',
                   f'label {label} is chair', part)


def test_ignored_categories_have_no_order(dataset, scannet_root):

    def ignore(content):
        content['metainfo']['categories']['lamp'] = -1
        return content

    _edit_infos(scannet_root, ignore)
    check_datasets([dataset])


def test_turned_boxes_where_nobody_reads_the_yaw(tmp_path):
    infos = write_sunrgbd(tmp_path)
    settings = dict(
        type='SUNRGBDDataset',
        data_root=str(tmp_path),
        ann_file='sunrgbd_infos_train.pkl')
    check_datasets([settings])
    assert_refused(
        settings,
        ValueError,
        '000001.bin has a box with yaw 0.4',
        'axis-aligned',
        limits=SceneLimits(is_axis_aligned=True))
    write_infos(tmp_path / 'scannet.pkl', infos)
    settings.update(type='ScanNetDataset', ann_file='scannet.pkl')
    assert_refused(settings, ValueError, 'yaw 0.4')
