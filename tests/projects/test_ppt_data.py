"""The data sets of PPT, and where it is listed."""
import argparse

import numpy as np
import pytest
import torch
from mmdet3d.registry import DATA_SAMPLERS, DATASETS
from mmengine.registry import init_default_scope

import projects.ppt  # noqa: F401 (registers)
from projects.ppt.domains import DomainSampler
from sam3d_plugin.datasets.preflight import check_frame_loader
from sam3d_plugin.datasets.seeding import SampleKey
from sam3d_plugin.engine.export import read_encoder
from sam3d_plugin.engine.options import load_config, read_config
from sam3d_plugin.experiments import arms, ladder
from sam3d_plugin.experiments.methods import read_methods, short_table
from sam3d_plugin.store.errors import UserError
from tests.datasets.frame_store import write_data_set
from tests.evaluation.labelled_store import LABELS, write_labels
from tests.segmentation_stores import write_scannet_seg
from tests.test_golden import shrink_data

MINI = 'projects/ppt/configs/ppt_mini.py'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    init_default_scope('mmdet3d')
    folder = tmp_path_factory.mktemp('labeled')
    write_data_set(folder)
    write_labels(folder)
    write_scannet_seg(folder)
    return folder


def mini_data(root, **changes):
    dataset = read_config(MINI,
                          dict(data_root=f'{root}/')).train_dataloader.dataset
    shrink_data(dataset)
    dataset.update(changes)
    return dataset


def test_samples_say_which_data_set_they_are_of(root):
    """Frames with the classes of their rows, then scans."""
    dataset = DATASETS.build(mini_data(root))
    assert dataset.sizes == [6, 2] and len(dataset) == 8
    domains = [dataset[i]['data_samples'].metainfo['domain'] for i in range(8)]
    assert domains == ['frames'] * 6 + ['scans'] * 2
    counts = [len(found) for found in dataset.metainfo['domains'].values()]
    assert counts == [20, 20]
    masks = [
        dataset[i]['data_samples'].gt_pts_seg.pts_semantic_mask for i in (0, 7)
    ]
    assert set(masks[0].tolist()) == set(LABELS)
    assert set(masks[1].tolist()) <= {0, 1, 4, 6, 20}
    assert dataset.num_replaced == 0
    model_domains = read_config(MINI, {}).model.domains
    assert dataset.metainfo['domains'] == {
        name: tuple(classes)
        for name, classes in model_domains.items()
    }


@pytest.mark.parametrize('index', [1, 7])
def test_a_sample_depends_on_its_key_alone(index, root):
    """And another visit of it is another sample."""
    dataset = DATASETS.build(mini_data(root))

    def points(*key):
        return dataset[SampleKey(*key)]['inputs']['points']

    first = points(index, 2, 3)
    torch.rand(5), np.random.rand(5)
    assert points(index, 2, 3).equal(first)
    for other in ((index, 1, 3), (index, 2, 4), (index + 8, 2, 3)):
        assert not points(*other).equal(first)
    key = SampleKey(index + 8, 2, 3)
    names = [
        dataset[k]['data_samples'].metainfo.get('sample_idx')
        for k in (key, SampleKey(index, 2, 3))
    ]
    assert names[0] == names[1]


def test_scans_of_a_list_alone(root, tmp_path):
    """As zoo.py --rates holds scenes out."""
    path = tmp_path / 'list.txt'
    path.write_text('alpha\nb\n')
    dataset = DATASETS.build(mini_data(root, ann_file=str(path)))
    assert dataset.sizes == [3, 1]
    scans = {dataset[i]['data_samples'].metainfo['scan'] for i in range(3)}
    assert scans == {'alpha'}
    path.write_text('alpha\n')
    with pytest.raises(UserError, match='scans has none'):
        DATASETS.build(mini_data(root, ann_file=str(path)))


def test_frames_may_have_the_sampler_of_data_sets():
    check_frame_loader(read_config(MINI, {}).train_dataloader)


def test_data_sets_without_names_or_classes_are_refused(root):
    with pytest.raises(UserError, match='2 datasets'):
        DATASETS.build(mini_data(root, domains=['frames']))
    config = mini_data(root)
    del config.datasets[0].pipeline[1]
    with pytest.raises(UserError, match='frames has no classes'):
        DATASETS.build(config)


class Sizes:
    """What a sampler asks a ``DomainDataset``."""
    domains = ('a', 'b')
    sizes = [7, 3]

    def __len__(self):
        return 10


def places(epoch=0, world_size=1, rank=0, **settings):
    sampler = DATA_SAMPLERS.build(
        dict(
            dict(type='DomainSampler', batch_size=2, shares=(1, 1), seed=3),
            **settings),
        default_args=dict(dataset=Sizes()))
    assert isinstance(sampler, DomainSampler)
    sampler.set_epoch(epoch)
    found = [key.idx for key in sampler]
    assert len(found) == len(sampler)
    return np.array(found).reshape(-1, sampler.batch)


def test_batches_are_of_one_data_set():
    found = places(shares=(2, 1), epoch_length=60)
    domains = found % 10 >= 7
    assert found.shape == (30, 2)
    assert (domains[:, 0] == domains[:, 1]).all()
    assert domains[:, 0].sum() == 10
    assert np.diff(domains[:, 0].astype(int)).any()
    # 40 of 7 samples, 20 of 3: all before any of them again.
    for domain, size in enumerate(Sizes.sizes):
        mine = found[domains[:, 0] == bool(domain)].reshape(-1)
        assert len(set(mine)) == len(mine)
        for visit in range(len(mine) // size):
            part = mine[visit * size:(visit + 1) * size]
            assert len(set(part % 10)) == size and set(part // 10) == {visit}


def test_an_epoch_is_as_long_as_the_data_and_follows_from_the_seed():
    first = places()
    assert first.shape == (5, 2)
    np.testing.assert_array_equal(places(), first)
    for other in (places(epoch=1), places(seed=4)):
        assert (other != first).any()
    in_order = places(shuffle=False, shares=(3, 2))
    np.testing.assert_array_equal(in_order,
                                  [[0, 1], [2, 3], [4, 5], [7, 8], [9, 17]])


def test_processes_share_the_batches_of_one(monkeypatch):
    expected = places(batch_size=4, epoch_length=40)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info',
            lambda rank=rank: (rank, 2))
        sampler = DATA_SAMPLERS.build(
            dict(
                type='DomainSampler',
                batch_size=2,
                shares=(1, 1),
                epoch_length=40,
                seed=3,
                dataset=Sizes()))
        parts.append(np.array([key.idx for key in sampler]).reshape(-1, 2))
    np.testing.assert_array_equal(np.sort(np.hstack(parts)), np.sort(expected))


@pytest.mark.parametrize('shares', [(1, ), (1, 0), (1, 1, 1)])
def test_every_data_set_has_a_share(shares):
    with pytest.raises(UserError, match='shares'):
        places(shares=shares)


@pytest.mark.parametrize('settings, name', [
    (dict(epoch_length=2), 'a'),
    (dict(shares=(20, 1), epoch_length=8), 'b'),
    (dict(epoch_length=1), 'a'),
])
def test_an_epoch_has_a_batch_of_each_data_set(settings, name):
    with pytest.raises(UserError, match=f'none of data set {name}:'):
        places(**settings)


def test_arms_that_hold_scenes_out_hold_them_out_of_both_data_sets():
    args = argparse.Namespace(
        config=MINI,
        cfg_options={ladder.ANN_FILE: 'some.txt'},
        launcher='none',
        work_dir='w',
        local_rank=0)
    assert load_config(args).train_dataloader.dataset.ann_file == 'some.txt'
    assert arms.ARMS['ppt_knn'].steps == ('ppt', )


def test_tables_say_that_it_is_supervised():
    methods = read_methods()
    assert [key for key in methods if methods[key].is_supervised] == ['ppt']
    assert list(methods)[-1] == 'ppt'
    row = short_table().splitlines()[-1]
    assert row.startswith('| [PPT](projects/ppt), supervised, ')


@pytest.mark.parametrize('size', ['mini', 'full'])
def test_exports_name_all_data_sets(size):
    config = read_methods()['ppt'].stages[0].configs[size]
    _, meta = read_encoder(config)
    assert meta['center'] == 'floor' and meta['method'] == 'PPT'
    expected = dict(
        mini='data/synthrooms/ scannet_infos_train.pkl, '
        'data/synthrooms/ scannet_infos_train.pkl',
        full='data/scannet/ scannet_infos_train.pkl, data/s3dis/ ')
    assert meta['data'] == expected[size]
