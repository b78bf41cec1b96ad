"""Tests of frames as training samples, from the store to the batch."""
import pickle

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATASETS
from mmdet3d.utils import register_all_modules
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from sam3d_plugin.datasets.frame_index import read_scan_names
from sam3d_plugin.datasets.seeding import SampleKey, seeded
from sam3d_plugin.store.errors import FrameError, StoreError
from sam3d_plugin.store.posed_images import encode_depth, encode_matrix
from tests.datasets import frame_store
from tests.datasets.frame_store import FRAMES, PIPELINE, SCANS

register_all_modules(init_default_scope=False)
ALL = [(scan, frame) for scan in SCANS for frame in FRAMES]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        yield


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A data set that tests only read."""
    return frame_store.write_data_set(tmp_path_factory.mktemp('frames'))


def build(root, **settings):
    settings.setdefault('pipeline', PIPELINE)
    return DATASETS.build(
        dict(type='RGBDFrameDataset', data_root=str(root), **settings))


def loader(root, num_workers=0, batch_size=3, seed=5, **settings):
    return Runner.build_dataloader(
        dict(
            dataset=dict(
                type='RGBDFrameDataset',
                data_root=str(root),
                pipeline=PIPELINE,
                **settings),
            sampler=dict(type='SeededSampler', shuffle=True),
            collate_fn=dict(type='collate_frames'),
            num_workers=num_workers,
            batch_size=batch_size),
        seed=seed)


def assert_matched(points, sample):
    """Every point's features are those of the region it was planted in."""
    scan, frame = sample.metainfo['scan'], sample.metainfo['frame']
    bands = frame_store.band_of_height(points[:, 2] /
                                       sample.metainfo['pcd_scale_factor'])
    ids = frame_store.ids_of_bands(scan, frame)[bands]
    np.testing.assert_array_equal(points[:, 3], ids)
    rows = torch.searchsorted(sample.regions.ids, points[:, 3].long())
    found = sample.regions.features[rows].numpy()
    place = [SCANS.index(scan) + 1, FRAMES.index(frame) + 1]
    np.testing.assert_array_equal(found[:, 2], ids)
    assert (found[:, :2] == place).all()
    np.testing.assert_array_equal(
        sample.regions.group_ids[rows],
        frame_store.planted_groups(scan, frame)[ids - 1])


@pytest.mark.parametrize('num_workers', [0, 2])
def test_points_keep_their_region_through_augmentation_and_batching(
        root, num_workers):
    seen = []
    batches = loader(root, num_workers)
    batches.sampler.set_epoch(3)
    for batch in batches:
        points = batch['inputs']['points']
        assert len(points) == len(batch['data_samples']) == 3
        for cloud, sample in zip(points, batch['data_samples']):
            assert cloud.shape == (500, 4) and cloud.dtype == torch.float32
            assert_matched(cloud, sample)
            seen.append((sample.metainfo['scan'], sample.metainfo['frame']))
    assert sorted(seen) == ALL


def test_types_of_a_sample(root):
    sample = build(root)[4]['data_samples']
    assert sample.regions.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert sample.regions.features.dtype == torch.float32
    assert sample.regions.group_ids.dtype == torch.int64
    assert sample.metainfo['sample_idx'] == 4
    assert (sample.metainfo['scan'], sample.metainfo['frame']) == ALL[4]


def all_points(batches, epoch):
    batches.sampler.set_epoch(epoch)
    return [p for b in batches for p in b['inputs']['points']]


def test_samples_depend_on_seed_epoch_and_index_alone(root):
    one, two = loader(root), loader(root, num_workers=2, batch_size=1)
    first = all_points(one, 1)
    np.random.seed(99)
    torch.manual_seed(99)
    for a, b in zip(first, all_points(two, 1)):
        assert torch.equal(a, b)
    dataset = one.dataset
    key = next(iter(one.sampler))
    base = dataset[key]['inputs']['points']
    assert torch.equal(base, first[0])
    for other in (key._replace(epoch=2), key._replace(seed=6)):
        assert not torch.equal(base, dataset[other]['inputs']['points'])
    assert torch.equal(dataset[0]['inputs']['points'],
                       dataset[SampleKey(0)]['inputs']['points'])


def test_order_and_a_pass_begun_in_the_middle(root):
    sampler = loader(root).sampler
    sampler.set_epoch(1)
    order = [key.idx for key in sampler]
    assert sorted(order) == list(range(6))
    sampler.skip(4)
    assert [key.idx for key in sampler] == order[4:]
    assert [key.idx for key in sampler] == order
    sampler.set_epoch(2)
    assert [key.idx for key in sampler] != order


def test_seeding_leaves_the_global_state_alone():
    np.random.seed(0)
    expected = np.random.rand(2)
    np.random.seed(0)
    values = [np.random.rand()]
    with seeded(SampleKey(1, 2, 3)):
        inside = np.random.rand(), torch.rand(1).item()
    values.append(np.random.rand())
    with seeded(SampleKey(1, 2, 3)):
        assert (np.random.rand(), torch.rand(1).item()) == inside
    np.testing.assert_array_equal(values, expected)


def test_dataset_is_small_to_send_and_its_copy_reads_the_same(root):
    dataset = build(root)
    before = dataset[2]['inputs']['points']
    content = pickle.dumps(dataset)
    assert len(content) < 20_000
    assert torch.equal(pickle.loads(content)[2]['inputs']['points'], before)


def test_scans_of_a_list_or_an_annotation_file(root, tmp_path):
    (tmp_path / 'list.txt').write_text('beta\nbeta\n')
    assert read_scan_names(str(tmp_path / 'list.txt')) == ['beta']
    infos = [dict(lidar_points=dict(lidar_path='points/beta.bin'))]
    path = tmp_path / 'infos.pkl'
    path.write_bytes(pickle.dumps(dict(metainfo={}, data_list=infos)))
    dataset = build(root, ann_file=str(path))
    assert len(dataset) == 3
    assert dataset[0]['data_samples'].metainfo['scan'] == 'beta'


def test_frames_without_regions_are_counted_and_named(tmp_path):
    frame_store.write_data_set(
        tmp_path, skipped=[('alpha', '00001'), ('beta', '00002')])
    (tmp_path / 'list.txt').write_text('alpha beta gamma')
    dataset = build(tmp_path, ann_file='list.txt')
    assert len(dataset) == 4
    assert dataset.skipped['alpha/00001'] == '00001 has no region'
    assert 'generate_regions.py' in dataset.skipped['gamma']
    assert len(dataset.skipped) == 3


def test_frames_with_poses_that_are_not_finite_are_left_out(tmp_path):
    frame_store.write_data_set(tmp_path)
    pose = np.full((4, 4), -np.inf)
    path = tmp_path / 'posed_images' / 'alpha' / '00002.txt'
    path.write_bytes(encode_matrix(pose))
    dataset = build(tmp_path)
    assert len(dataset) == 5
    assert 'not finite' in dataset.skipped['alpha/00002']


def test_a_frame_without_depth_is_replaced_by_another_and_named(
        tmp_path, monkeypatch):
    frame_store.write_data_set(tmp_path)
    empty = encode_depth(np.zeros((frame_store.HEIGHT, frame_store.WIDTH)))
    path = tmp_path / 'posed_images' / 'alpha' / '00000.png'
    path.write_bytes(empty)
    said = []
    monkeypatch.setattr('sam3d_plugin.datasets.transforms.base.print_log',
                        lambda text, **_: said.append(text))
    sample = build(tmp_path)[0]['data_samples']
    assert sample.metainfo['sample_idx'] != 0
    assert said[0].startswith('posed_images/alpha/00000.png has no pixel')


def test_the_pipeline_opens_what_it_reads(root):
    load, features, groups, *_, pack = PIPELINE
    dataset = build(root, pipeline=[load, pack])
    assert 'regions' not in dataset[0]['data_samples']
    assert dataset.metainfo == dict(point_columns=dict(region=3))
    dataset = build(root, pipeline=[load, features, pack])
    regions = dataset[0]['data_samples'].regions
    assert set(regions.keys()) == {'ids', 'features'}
    maximum = dict(features, key='maximum', column='max')
    dataset = build(root, pipeline=[load, maximum, groups, pack])
    regions = dataset[0]['data_samples'].regions
    assert set(regions.keys()) == {'ids', 'maximum', 'group_ids'}
    assert dataset.metainfo['group_counts'] == [1, 2, 3, 4]


def test_steps_inside_others_are_found(root):
    load, *others = PIPELINE
    nested = dict(type='RandomApply', transforms=others[:2], prob=1.0)
    dataset = build(root, pipeline=[load, nested, others[-1]])
    assert dataset.metainfo['group_counts'] == [1, 2, 3, 4]
    assert 'features' in dataset[0]['data_samples'].regions


def test_a_data_set_without_regions(tmp_path):
    frame_store.write_frames(tmp_path)
    load = dict(PIPELINE[0], columns=())
    dataset = build(tmp_path, pipeline=[load, PIPELINE[-1]])
    assert len(dataset) == 6 and dataset.metainfo['point_columns'] == {}
    sample = dataset[0]
    assert sample['inputs']['points'].shape == (500, 3)
    assert sample['data_samples'].metainfo['point_columns'] == {}
    with pytest.raises(ValueError, match="'region' into the columns"):
        frame_store.write_region_maps(tmp_path)
        frame_store.write_region_features(tmp_path)
        build(tmp_path, pipeline=[load, *PIPELINE[1:2]])[0]


def test_a_pipeline_without_frames_is_refused(root):
    with pytest.raises(ValueError, match='begin it with LoadRGBDPoints'):
        build(root, pipeline=PIPELINE[-1:])


def test_unknown_inputs_are_refused_by_name(root):
    load, *_, pack = PIPELINE
    dataset = build(root, pipeline=[load, dict(pack, keys=('points', 'uv'))])
    with pytest.raises(ValueError, match="'uv'.*one of points"):
        dataset[0]
    dataset = build(root, pipeline=[load, dict(pack, keys=('scan', ))])
    with pytest.raises(ValueError, match='scan is a str.*meta_keys'):
        dataset[0]


def test_frame_with_one_region(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_store, 'BANDS', 1)
    frame_store.write_data_set(tmp_path)
    sample = build(tmp_path)[0]
    assert (sample['inputs']['points'][:, 3] == 1).all()
    assert sample['data_samples'].regions.features.shape == (1, 3)
    with pytest.raises(StoreError, match='1 region.*min_regions is 2'):
        build(tmp_path, min_regions=2)


def test_nan_features_name_the_frame_in_workers_too(tmp_path):
    frame_store.write_frames(tmp_path)
    frame_store.write_region_maps(tmp_path)
    frame_store.write_region_features(
        tmp_path, change=lambda scan, frame, mean: mean * np.float16(np.nan))
    frame_store.write_region_groups(tmp_path)
    with pytest.raises(StoreError, match='alpha/00001 is NaN.*extract'):
        build(tmp_path)[1]


@pytest.mark.parametrize('change, part', [
    (lambda path: path.unlink(), 'is missing, though the manifest'),
    (lambda path: path.write_bytes(path.read_bytes()[:-9]), 'truncated'),
    (lambda path: path.write_bytes(encode_depth(np.ones((9, 9)))), '9, 9'),
])
@pytest.mark.parametrize('folder', ['posed_images', 'region_maps'])
def test_damaged_images(tmp_path, folder, change, part):
    frame_store.write_data_set(tmp_path)
    change(tmp_path / folder / 'alpha' / '00000.png')
    with pytest.raises((StoreError, FrameError), match=part):
        build(tmp_path)[0]


def test_other_number_of_regions_than_the_id_map(tmp_path):
    frame_store.write_data_set(tmp_path)
    path = tmp_path / 'region_maps' / 'alpha'
    ids = np.full((frame_store.HEIGHT, frame_store.WIDTH), 2)
    (path / '00000.png').write_bytes(encode_depth(ids))
    with pytest.raises(
            StoreError, match='alpha/00000 has 6 regions, its id map 2'):
        build(tmp_path)[0]


def test_manifest_is_enough_to_list_frames(root, monkeypatch):

    def refuse(*_):
        raise AssertionError('an image was read')

    monkeypatch.setattr(
        'sam3d_plugin.datasets.transforms.load_rgbd_points.read_bytes', refuse)
    assert len(build(root)) == 6


def test_lists_are_refused_in_a_sentence(root, tmp_path):
    with pytest.raises(StoreError, match='none.txt is missing'):
        build(root, ann_file=str(tmp_path / 'none.txt'))
    (tmp_path / 'empty.txt').write_text('\n')
    with pytest.raises(StoreError, match='names no scan'):
        build(root, ann_file=str(tmp_path / 'empty.txt'))
    (tmp_path / 'infos.pkl').write_bytes(b'no pickle')
    with pytest.raises(StoreError, match='infos.pkl cannot be read'):
        build(root, ann_file=str(tmp_path / 'infos.pkl'))
    (tmp_path / 'other.txt').write_text('gamma')
    with pytest.raises(StoreError, match='no frame of 1 scan.*gamma'):
        build(root, ann_file=str(tmp_path / 'other.txt'))
