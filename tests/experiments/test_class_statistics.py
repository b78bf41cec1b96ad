"""Classes are counted, and told apart by what was planted."""
import pickle

import numpy as np
import pytest

from sam3d_plugin.experiments import class_statistics as module
from sam3d_plugin.experiments.result_tables import classes_table

CHAIR, TABLE = 5, 7  # NYU40
SIZES = {CHAIR: (.4, .4, .9), TABLE: (1.6, .8, .7)}


def write_room(root, name, rng):
    """Five chairs and two tables of any color, and unlabeled points."""
    points, semantic, instance = [], [], []
    for number, kind in enumerate([CHAIR] * 5 + [TABLE] * 2, 1):
        xyz = rng.uniform(size=(60, 3)) * SIZES[kind] + [
            *rng.uniform(0, 4, 2), 0
        ]
        points.append(
            np.hstack([xyz, np.tile(rng.uniform(0, 255, 3), (60, 1))]))
        semantic += [kind] * 60
        instance += [number] * 60
    points.append(np.zeros((20, 6)))
    np.vstack(points).astype(np.float32).tofile(root / 'points' / name)
    for folder, values in (('semantic_mask', semantic + [0] * 20),
                           ('instance_mask', instance + [0] * 20)):
        np.array(values, np.int64).tofile(root / folder / name)
    return dict(
        lidar_points=dict(lidar_path=name, num_pts_feats=6),
        pts_semantic_mask_path=name,
        pts_instance_mask_path=name)


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ('points', 'semantic_mask', 'instance_mask'):
        (tmp_path / folder).mkdir()
    for split, count in (('train', 12), ('val', 4)):
        infos = [
            write_room(tmp_path, f'{split}{i}.bin', rng) for i in range(count)
        ]
        (tmp_path / f'scannet_infos_{split}.pkl').write_bytes(
            pickle.dumps(dict(data_list=infos)))
    return tmp_path


def test_shape_tells_what_color_does_not(root):
    found = module.study(root)
    train, val = found['counts']['train'], found['counts']['val']
    assert train['chair'] == dict(points=3600, objects=60, rooms=12)
    assert val['table'] == dict(points=480, objects=8, rooms=4)
    assert val['bed'] == dict(points=0, objects=0, rooms=0)
    accuracy = found['balanced_accuracy']
    assert accuracy['chance'] == .5
    assert accuracy['geometry'] > .9 > .8 > accuracy['color']
    table = classes_table(dict(found, segmentor=dict(chair=.5, miou=.4)))
    chair = next(row for row in table.splitlines() if '| chair' in row)
    assert '| 71.4% | 60 | 12 | 20 |' in chair and chair.endswith('50.0% |')
    assert 'By chance: 50%' in table


def test_objects_know_where_they_stand():
    """A box in a corner of a room, and one in the middle."""
    corner = np.random.default_rng(0).uniform(0, 1, (50, 3))
    room = module.Room(
        np.vstack([corner, corner + [4, 4, 0], [[9, 9, 0]]]), np.zeros(
            (101, 3)), np.repeat([2, 3, -1], [50, 50, 1]),
        np.repeat([4, 8, 0], [50, 50, 1]))
    found = module.find_objects([room])
    assert list(found.classes) == [2, 3]
    assert found.geometry[:, -1] == pytest.approx([.5, 4.5], abs=.1)
