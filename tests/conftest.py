"""Small data sets and configs that several tests share."""
import pickle

import numpy as np
import pytest
from hypothesis import settings

from sam3d_plugin.store import write_region_file
from tests.short_runs import short_start

# The same examples at each run; others: pytest --hypothesis-profile=default.
settings.register_profile(
    'fixed', derandomize=True, database=None, deadline=None, max_examples=60)
settings.load_profile('fixed')

CLASSES = ('cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window',
           'bookshelf', 'picture', 'counter', 'desk', 'curtain',
           'refrigerator', 'showercurtrain', 'toilet', 'sink', 'bathtub',
           'garbagebin')
SUN_CLASSES = ('bed', 'table', 'sofa', 'chair', 'toilet', 'desk', 'dresser',
               'night_stand', 'bookshelf', 'bathtub')
CHAIR, TABLE = 2, 4
NYU40_CHAIR, NYU40_TABLE = 5, 7


def write_scannet(root, scenes=('a', 'b'), num_points=2048):
    """Rooms with one chair and one table, in mmdet3d's ScanNet form.

    Every octant of a room is a region.

    Args:
        root (Path): Folder to write.
        scenes (tuple): Names of the scenes, all in train and val.
        num_points (int): Points of each scene.

    Returns:
        list[dict]: The scenes' infos.
    """
    rng = np.random.default_rng(0)
    boxes = np.array([[1, 1, .5, .6, .6, 1], [3, 2, .4, 1.2, .8, .8]])
    kinds = ((CHAIR, NYU40_CHAIR), (TABLE, NYU40_TABLE))
    for folder in ('points', 'instance_mask', 'semantic_mask'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    infos = []
    for scene in scenes:
        xyz = rng.uniform((0, 0, 0), (4, 3, 2), (num_points, 3))
        instance = np.zeros(num_points, np.int64)
        semantic = np.ones(num_points, np.int64)
        for i, (box, (_, nyu40)) in enumerate(zip(boxes, kinds)):
            part = slice(i * num_points // 4, (i + 1) * num_points // 4)
            xyz[part] = box[:3] + rng.uniform(-.5, .5, xyz[part].shape) * (
                box[3:])
            instance[part], semantic[part] = i + 1, nyu40
        points = np.hstack([xyz, rng.uniform(0, 255, xyz.shape)])
        name = f'{scene}.bin'
        points.astype(np.float32).tofile(root / 'points' / name)
        instance.tofile(root / 'instance_mask' / name)
        semantic.tofile(root / 'semantic_mask' / name)
        octants = (xyz > np.median(xyz, axis=0)) @ np.array([1, 2, 4])
        write_region_file(root / 'regions' / f'{scene}.npz', octants,
                          points[:, :3], scene)
        infos.append(
            dict(
                lidar_points=dict(num_pts_feats=6, lidar_path=name),
                pts_instance_mask_path=name,
                pts_semantic_mask_path=name,
                pts_region_path=f'{scene}.npz',
                axis_align_matrix=np.eye(4),
                instances=[
                    dict(bbox_3d=box.tolist(), bbox_label_3d=label)
                    for box, (label, _) in zip(boxes, kinds)
                ]))
    for split in ('train', 'val'):
        write_infos(root / f'scannet_infos_{split}.pkl', infos)
    return infos


def write_sunrgbd(root, scenes=('000001', '000002'), num_points=2048):
    """Rooms with a turned bed and a turned desk, in mmdet3d's SUN form.

    Every octant of a room is a region; v1 and v2 boxes are the same.

    Args:
        root (Path): Folder to write.
        scenes (tuple): Names of the scenes, all in train and val.
        num_points (int): Points of each scene.

    Returns:
        list[dict]: The scenes' infos.
    """
    rng = np.random.default_rng(0)
    boxes = np.array([[-.5, 2, -.5, 1.6, 2, 1, .4],
                      [1.2, 2.5, -.6, .7, 1.3, .8, -1.2]])
    labels = [SUN_CLASSES.index(name) for name in ('bed', 'desk')]
    (root / 'points').mkdir(parents=True, exist_ok=True)
    infos = []
    for scene in scenes:
        xyz = rng.uniform((-2, 1, -1.2), (2, 4, 1), (num_points, 3))
        for i, box in enumerate(boxes):
            part = slice(i * num_points // 4, (i + 1) * num_points // 4)
            local = rng.uniform(-.49, .49, xyz[part].shape) * box[3:6]
            cos, sin = np.cos(box[6]), np.sin(box[6])
            turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
            xyz[part] = local @ turn.T + box[:3]
        points = np.hstack([xyz, rng.uniform(0, 1, xyz.shape)])
        points = points.astype(np.float32)
        points.tofile(root / 'points' / f'{scene}.bin')
        octants = (xyz > np.median(xyz, axis=0)) @ np.array([1, 2, 4])
        write_region_file(root / 'regions' / f'{scene}.npz', octants,
                          points[:, :3], scene)
        infos.append(
            dict(
                lidar_points=dict(num_pts_feats=6, lidar_path=f'{scene}.bin'),
                pts_region_path=f'{scene}.npz',
                images=dict(),
                instances=[
                    dict(bbox_3d=box.tolist(), bbox_label_3d=label)
                    for box, label in zip(boxes, labels)
                ]))
    for version in ('', 'v1_'):
        for split in ('train', 'val'):
            write_infos(root / f'sunrgbd_{version}infos_{split}.pkl', infos,
                        SUN_CLASSES, 'sunrgbd')
    return infos


def write_infos(path, infos, classes=CLASSES, dataset='scannet'):
    """Write an annotation file of mmdet3d 1.1."""
    metainfo = dict(
        categories={
            name: i
            for i, name in enumerate(classes)
        },
        dataset=dataset,
        info_version='1.1')
    with open(path, 'wb') as file:
        pickle.dump(dict(metainfo=metainfo, data_list=infos), file)


def pytest_addoption(parser):
    parser.addoption(
        '--write-golden',
        action='store_true',
        help='write the losses that tests/test_golden.py compares with')


def pytest_terminal_summary(terminalreporter, config):
    """Say how to repeat the order of the tests; -q hides the header."""
    seed = config.getoption('randomly_seed', None)
    if seed is not None:
        terminalreporter.write_line(f'same order: --randomly-seed={seed}')


@pytest.fixture(autouse=True)
def short_runs():
    """No training of a test needs what :func:`short_start` leaves out."""
    with short_start():
        yield


@pytest.fixture
def scannet_root(tmp_path):
    """Data root with two small rooms."""
    write_scannet(tmp_path / 'scannet')
    return tmp_path / 'scannet'


@pytest.fixture
def sunrgbd_root(tmp_path):
    """Data root with two small rooms and rotated boxes."""
    write_sunrgbd(tmp_path / 'sunrgbd')
    return tmp_path / 'sunrgbd'
