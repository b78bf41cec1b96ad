"""The region column through every stock indoor pipeline of mmdet3d."""
import copy
import pickle
from pathlib import Path

import mmdet3d
import numpy as np
import pytest
from mmdet3d.registry import DATASETS, TRANSFORMS
from mmdet3d.structures import DepthPoints
from mmengine.config import Config
from mmengine.registry import init_default_scope

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.store import write_region_file

MODEL_ZOO = Path(mmdet3d.__file__).parent / '.mim' / 'configs'
STOCK = [
    'votenet/votenet_8xb8_scannet-3d.py',
    'votenet/votenet_8xb16_sunrgbd-3d.py',
    'groupfree3d/groupfree3d_head-L6-O256_4xb8_scannet-seg.py',
    'fcaf3d/fcaf3d_2xb8_scannet-3d-18class.py',
    'fcaf3d/fcaf3d_2xb8_sunrgbd-3d-10class.py',
    'fcaf3d/fcaf3d_2xb8_s3dis-3d-5class.py',
    'imvotenet/imvotenet_stage2_8xb16_sunrgbd-3d.py',
    'pointnet2/pointnet2_ssg_2xb16-cosine-200e_scannet-seg-xyz-only.py',
    'pointnet2/pointnet2_ssg_2xb16-cosine-200e_scannet-seg.py',
    'pointnet2/pointnet2_ssg_2xb16-cosine-50e_s3dis-seg.py',
    'paconv/paconv_ssg_8xb8-cosine-150e_s3dis-seg.py',
]
NUM_POINTS = 3000
LOAD = dict(
    type='LoadPointsFromFile',
    coord_type='DEPTH',
    load_dim=6,
    use_dim=[0, 1, 2])


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    """One scan in which every point is a region of its own: id = row + 1."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    points = np.concatenate(
        (rng.uniform(-2, 2,
                     (NUM_POINTS, 3)), rng.integers(0, 256,
                                                    (NUM_POINTS, 3))), 1)
    for folder in ('points', 'instance_mask', 'semantic_mask'):
        (root / folder).mkdir()
    points.astype('float32').tofile(root / 'points' / 'scan.bin')
    np.ones(NUM_POINTS, np.int64).tofile(root / 'instance_mask' / 'scan.bin')
    np.full(NUM_POINTS, 4).tofile(root / 'semantic_mask' / 'scan.bin')
    write_region_file(root / 'regions' / 'scan.npz',
                      np.arange(NUM_POINTS) + 1, points[:, :3], 'scan')
    info = dict(
        lidar_points=dict(num_pts_feats=6, lidar_path='scan.bin'),
        pts_instance_mask_path='scan.bin',
        pts_semantic_mask_path='scan.bin',
        pts_region_path='scan.npz',
        axis_align_matrix=np.eye(4),
        instances=[dict(bbox_3d=[0., 0, 0, 1, 1, 1, 0], bbox_label_3d=0)])
    write_infos(root / 'infos_rotated.pkl', info)
    info['instances'][0]['bbox_3d'].pop()
    write_infos(root / 'infos.pkl', info)
    return root


def write_infos(path, info):
    with open(path, 'wb') as file:
        pickle.dump(dict(metainfo=dict(categories={}), data_list=[info]), file)


def stock_dataset(name, part, root):
    """The innermost stock data set, reading our scan with region ids."""
    config = Config.fromfile(MODEL_ZOO / name)
    dataset = config[f'{part}_dataloader'].dataset
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.get('dataset') or dataset.datasets[0]
    dataset = copy.deepcopy(dataset)
    dataset.update(data_root=str(root))
    if 'Seg' in dataset.type:
        dataset.scene_idxs = np.array([0])
    dataset['ann_files' if dataset.type ==
            'S3DISSegDataset' else 'ann_file'] = ('infos_rotated.pkl'
                                                  if 'SUNRGBD' in dataset.type
                                                  else 'infos.pkl')
    dataset.modality = dict(use_camera=False, use_lidar=True)
    dataset.data_prefix = dict(
        pts='points',
        pts_instance_mask='instance_mask',
        pts_semantic_mask='semantic_mask')
    dataset.pipeline = [
        step for step in dataset.pipeline
        if 'Image' not in step.type and step.type != 'Resize'
    ]
    for step in dataset.pipeline:
        if step.type == 'LoadAnnotations3D':
            step.update(with_bbox=False, with_label=False)  # of images
    dataset.pipeline.insert(1, dict(type='LoadRegionIds'))
    return dataset


def affine_residuals(before, after):
    """How far (N,) each point is from the best affine map of all."""
    ones = np.concatenate((before, np.ones((len(before), 1))), axis=1)
    solution = np.linalg.lstsq(ones, after, rcond=None)[0]
    return np.abs(ones @ solution - after).max(axis=1)


@pytest.mark.parametrize('part', ['train', 'test'])
@pytest.mark.parametrize('name', STOCK)
def test_every_point_arrives_with_its_own_id(name, part, data_root):
    init_default_scope('mmdet3d')
    np.random.seed(0)
    dataset = DATASETS.build(stock_dataset(name, part, data_root))
    packed = dataset[0]['inputs']['points']
    for points in packed if isinstance(packed, list) else [packed]:
        points = points.numpy()
        raw = np.fromfile(data_root / 'points' / 'scan.bin', np.float32)
        raw = raw.reshape(-1, 6)[:, :3]
        column = find_column(dataset, points)
        rows = points[:, column].astype(int) - 1
        assert len(np.unique(rows)) > 100
        assert affine_residuals(raw[rows], points[:, :3]).max() < 0.15


def find_column(dataset, points):
    """The column of the ids: last, unless patch sampling appended three."""
    patches = [
        step for step in dataset.pipeline.transforms
        if getattr(step, 'use_normalized_coord', False)
    ]
    return points.shape[1] - 1 - 3 * len(patches)


def make_results(root, **changes):
    results = dict(
        lidar_points=dict(lidar_path=str(root / 'points' / 'scan.bin')),
        pts_region_path='scan.npz',
        **changes)
    return TRANSFORMS.build(LOAD)(results)


def test_attribute_dims_name_the_column(data_root):
    results = TRANSFORMS.build(dict(type='LoadRegionIds'))(
        make_results(data_root))
    points = results['points']
    assert isinstance(points, DepthPoints)
    assert points.attribute_dims['region'] == 3
    assert points.tensor[:, 3].tolist() == list(range(1, NUM_POINTS + 1))


def test_scan_without_region_file_gets_minus_one(data_root):
    results = make_results(data_root)
    del results['pts_region_path']
    points = TRANSFORMS.build(dict(type='LoadRegionIds'))(results)['points']
    assert (points.tensor[:, 3] == -1).all()


def test_missing_region_file_is_named(data_root):
    results = make_results(data_root)
    results['pts_region_path'] = 'other.npz'
    with pytest.raises(FileNotFoundError, match='other.npz is missing'):
        TRANSFORMS.build(dict(type='LoadRegionIds'))(results)


def test_region_file_of_other_points_is_refused(data_root):
    results = make_results(data_root)
    results['points'].tensor[:, 0] += 1
    with pytest.raises(ValueError, match='belongs to other points'):
        TRANSFORMS.build(dict(type='LoadRegionIds'))(results)
    results['points'] = results['points'][:10]
    with pytest.raises(ValueError, match='3000 region ids.*has 10 points'):
        TRANSFORMS.build(dict(type='LoadRegionIds'))(results)


def test_seeded_sampling_is_the_same_every_time(data_root):
    sample = TRANSFORMS.build(dict(type='SeededPointSample', num_points=50))
    first = sample(make_results(data_root))['points'].tensor
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    assert sample(make_results(data_root))['points'].tensor.equal(first)
    assert (np.random.get_state()[1] == state).all()
    assert len(np.unique(first, axis=0)) == 50
    copy = make_results(data_root)
    copy['lidar_points'] = dict(lidar_path='points/copy.bin')
    assert sample(copy)['points'].tensor.equal(first)
    other = TRANSFORMS.build(
        dict(type='SeededPointSample', num_points=50, seed=1))
    assert not other(make_results(data_root))['points'].tensor.equal(first)


def test_check_points_names_the_scan(data_root):
    results = make_results(data_root)
    check = TRANSFORMS.build(dict(type='CheckPoints', min_points=3000))
    assert check(results) is results
    results['points'].tensor[5, 1] = float('inf')
    with pytest.raises(ValueError, match='scan.bin: 1 of 3000 points'):
        check(results)
    results['points'] = results['points'][:10]
    with pytest.raises(ValueError, match='scan.bin holds 10 points'):
        check(results)
