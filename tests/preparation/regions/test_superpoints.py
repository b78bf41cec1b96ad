"""Superpoints of a corner, their store, and their names in the infos."""
import io
import pickle

import numpy as np
import pytest
from rich.console import Console

from sam3d_plugin.preparation.lifting.region_paths import name_region_files
from sam3d_plugin.preparation.regions.superpoint_step import (SuperpointStep,
                                                              make_regions)
from sam3d_plugin.preparation.regions.superpoints import (SuperpointOptions,
                                                          build_options,
                                                          make_superpoints,
                                                          point_normals)
from sam3d_plugin.preparation.running.runs import RunOptions
from sam3d_plugin.store import read_region_file
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.manifest import Store
from sam3d_plugin.store.shards import Shard

QUICK = SuperpointOptions(voxel=0.05, min_area=0.05)


def make_corner(seed=0, count=6000):
    """A floor, two walls and a red square on the floor, 1 m each."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 1, (count, 3))
    truth = rng.integers(0, 3, count)
    xyz[np.arange(count), truth] = rng.normal(0, 0.002, count)
    rgb = np.full((count, 3), 150.) + rng.normal(0, 2, (count, 3))
    is_red = (truth == 2) & (np.abs(xyz[:, :2] - 0.6) < 0.2).all(axis=1)
    rgb[is_red] = (200, 50, 50)
    truth[is_red] = 3
    return xyz.astype(np.float32), rgb, truth


def purity(ids, truth):
    counts = np.zeros((ids.max() + 1, truth.max() + 1), int)
    np.add.at(counts, (ids, truth), 1)
    return counts.max(axis=1).sum() / len(ids)


def test_faces_and_colours_become_regions():
    xyz, rgb, truth = make_corner()
    ids = make_superpoints(xyz, rgb, QUICK)
    assert set(ids) == set(range(1, ids.max() + 1))
    assert 4 <= ids.max() < 15
    assert purity(ids, truth) > 0.95
    assert purity(make_superpoints(xyz, 0 * rgb, QUICK), truth) < 0.95


def test_ids_are_in_the_order_of_the_points_and_repeat():
    xyz, rgb, _ = make_corner()
    ids = make_superpoints(xyz, rgb, QUICK)
    first = [np.flatnonzero(ids == i)[0] for i in range(1, ids.max() + 1)]
    assert first == sorted(first)
    assert (make_superpoints(xyz, rgb, QUICK) == ids).all()


def test_the_density_of_a_scan_hardly_matters():
    sparse, dense = (
        make_superpoints(*make_corner(count=count)[:2], QUICK).max()
        for count in (6000, 30000))
    assert abs(int(sparse) - int(dense)) < 6


def test_threshold_and_area_make_fewer_regions():
    xyz, rgb, _ = make_corner()
    counts = [
        make_superpoints(
            xyz, rgb,
            SuperpointOptions(voxel=0.05, threshold=threshold,
                              min_area=area)).max()
        for threshold, area in ((0, 0.01), (4, 0.01), (1e9, 0.01), (0, 9))
    ]
    assert counts[0] > counts[1] > counts[2]
    assert counts[2] == counts[3] == 1


def test_one_point_and_none():
    assert make_superpoints(np.zeros((1, 3)), np.zeros((1, 3))).tolist() == [1]
    for xyz in (np.zeros((0, 3)), np.full((2, 3), np.nan)):
        with pytest.raises(ValueError, match='finite'):
            make_superpoints(xyz, np.zeros_like(xyz))


def test_the_normal_of_a_plane():
    xyz = np.random.default_rng(0).uniform(0, 1, (40, 3))
    xyz[:, 2] = 0.5 * xyz[:, 0]
    normals = point_normals(xyz, np.tile(np.arange(40), (40, 1)))
    expected = np.array([-0.5, 0, 1]) / np.sqrt(1.25)
    np.testing.assert_allclose(np.abs(normals @ expected), 1)


def test_options_are_checked():
    assert build_options(dict(scale=7)).scale == 7
    for options, message in ((dict(size=1), 'no option size; its options'),
                             (dict(voxel=0), 'positive grid'),
                             (dict(scale='a'), "scale='a'")):
        with pytest.raises(StoreError, match=message):
            build_options(options)


@pytest.fixture
def data(tmp_path):
    """Two scans in mmdet3d's form."""
    (tmp_path / 'points').mkdir()
    for i, scan in enumerate('ab'):
        xyz, rgb, _ = make_corner(i, 600)
        np.hstack([xyz, rgb
                   ]).astype('f4').tofile(tmp_path / 'points' / f'{scan}.bin')
    infos = dict(
        metainfo={},
        data_list=[
            dict(lidar_points=dict(lidar_path=f'{scan}.bin')) for scan in 'abc'
        ])
    (tmp_path / 'x_infos_train.pkl').write_bytes(pickle.dumps(infos))
    return tmp_path


def run(step, data, **options):
    console = Console(file=io.StringIO(), width=200)
    make_regions(step, data, data / 'regions',
                 RunOptions(workers=0, **options), console)
    return console.file.getvalue()


def test_the_step_writes_region_files_and_names_them(data):
    text = run(SuperpointStep(data, QUICK), data)
    assert 'x_infos_train.pkl: 2 of 3 scans have regions' in text
    points = np.fromfile(data / 'points/a.bin', 'f4').reshape(-1, 6)
    ids = read_region_file(data / 'regions/a.npz', points[:, :3])
    np.testing.assert_array_equal(
        ids, make_superpoints(points[:, :3], points[:, 3:], QUICK))
    record = Store(data / 'regions').manifest()['a'].items['a']
    assert record.fields == dict(
        num_points=600, regions=int(ids.max()), covered=1.0)
    infos = pickle.loads((data / 'x_infos_train.pkl').read_bytes())
    assert [info.get('pts_region_path')
            for info in infos['data_list']] == ['a.npz', 'b.npz', None]


def test_colors_of_any_scale_give_the_same_regions(data):
    """SUN RGB-D stores 0 to 1."""
    step = SuperpointStep(data, QUICK)
    path = data / 'points/a.bin'
    before = step.make('a', 'a')
    points = np.fromfile(path, 'f4').reshape(-1, 6)
    (points / np.float32([1, 1, 1, 255, 255, 255])).tofile(path)
    assert step.make('a', 'a').fields == before.fields
    assert step.make('a', 'a').files == before.files
    points[:, 3:] = np.nan
    points.tofile(path)
    with pytest.raises(FrameError, match='a: colors reach from nan'):
        step.make('a', 'a')


def test_the_infos_wait_for_the_last_shard(data):
    step = SuperpointStep(data, QUICK)
    before = (data / 'x_infos_train.pkl').read_bytes()
    assert '1 scan(s) are left' in run(step, data, shard=Shard(0, 2))
    assert (data / 'x_infos_train.pkl').read_bytes() == before
    assert '2 of 3' in run(step, data, shard=Shard(1, 2))


def test_scans_that_cannot_be_used_are_skipped(data):
    step = SuperpointStep(data, QUICK, names=['a', 'b', 'gone'])
    (data / 'points/a.bin').write_bytes(b'12345')
    text = run(step, data)
    assert 'skipped a/a: ' in text and 'float32' in text
    assert 'gone.bin is missing' in text


def test_infos_are_written_only_when_they_change(data, tmp_path):
    run(SuperpointStep(data, QUICK), data)
    path = data / 'x_infos_train.pkl'
    stamp = path.stat().st_ino
    assert name_region_files(path, data / 'regions') == (2, 3)
    assert path.stat().st_ino == stamp
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(StoreError, match='infos'):
        name_region_files(path, data / 'regions')
