"""The command line: options arrive, and errors end in one sentence."""
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.store.manifest import ScanRecord, Store
from sam3d_plugin.store.region_features import pack_features, to_feature_arrays
from sam3d_plugin.store.region_groups import RegionGroups

TOOL = Path(__file__).parents[3] / 'tools/preparation/build_groups.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('build_groups_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Features of three scans, 20 regions each."""
    store = Store(tmp_path / 'region_features')
    store.open('region_features', {})
    rng = np.random.default_rng(0)
    for scan in ('s0', 's1', 's2'):
        frames = {
            f'{i:05d}':
            to_feature_arrays(*rng.normal(size=(2, 5, 4)), np.ones(5), scan)
            for i in range(4)
        }
        marks = store.write({f'{scan}.safetensors': pack_features(frames)})
        store.write_record(ScanRecord(scan, {}, marks))
    return tmp_path


def test_train_by_list_and_val_by_infos(tool, data, capsys):
    (data / 'train.txt').write_text('s0\ns2\n')
    assert tool.main([
        f'--data={data}', f'--scans-list={data}/train.txt', '--groups=6',
        '--seed=3', '--epochs=2'
    ]) == 0
    out = capsys.readouterr().out
    assert '40 regions in 6 groups' in out and 'empty groups: none' in out
    train = data / 'region_groups/train'
    assert RegionGroups(train).scans() == ['s0', 's2']
    settings = Store(train).header()['settings']
    assert (settings['seed'], settings['epochs']) == (3, 2)

    infos = [dict(lidar_points=dict(lidar_path='s1.bin'))]
    path = data / 'scannet_infos_val.pkl'
    path.write_bytes(pickle.dumps(dict(metainfo={}, data_list=infos)))
    assert tool.main([
        f'--data={data}', f'--infos={path}', '--set=val',
        f'--centroids={train}'
    ]) == 0
    val = RegionGroups(data / 'region_groups/val')
    assert val.scans() == ['s1']
    assert val.read('s1', '00003').shape == (5, )
    assert (val.groups().counts == RegionGroups(train).groups().counts).all()


def test_all_scans_of_features_elsewhere(tool, data):
    assert tool.main([
        f'--data={data}/nowhere', f'--features={data}/region_features',
        f'--out={data}/out', '--groups=4', '--pool=mean'
    ]) == 0
    assert RegionGroups(data / 'out').scans() == ['s0', 's1', 's2']


@pytest.mark.parametrize('options, reason', [
    (['--groups=61'], '61 groups for 60 regions'),
    (['--scans-list={data}/no.txt'], 'no.txt cannot be read'),
    (['--infos={data}/no.pkl'], 'no.pkl cannot be read'),
    (['--infos={data}/list.txt'], 'list.txt cannot be read'),
    (['--scans-list={data}/list.txt'], 'no features of 1 scan'),
    (['--centroids={data}/none'], 'groups.safetensors'),
    (['--features={data}/none'], 'run tools/preparation/extract_features.py'),
])
def test_errors_are_one_sentence(tool, data, capsys, options, reason):
    (data / 'list.txt').write_text('s7')
    options = [option.format(data=data) for option in options]
    assert tool.main([f'--data={data}', *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    assert reason in error


def test_only_the_first_rank_works(tool, data, capsys, monkeypatch):
    for key, value in (('TORCHELASTIC_RUN_ID', 'x'), ('RANK', '1'),
                       ('WORLD_SIZE', '2')):
        monkeypatch.setenv(key, value)
    arguments = [f'--data={data}', '--groups=6', '--epochs=1']
    assert tool.main(arguments) == 0
    assert 'first rank alone' in capsys.readouterr().out
    assert not (data / 'region_groups').exists()
    monkeypatch.setenv('RANK', '0')
    assert tool.main(arguments) == 0
    assert len(RegionGroups(data / 'region_groups/train').scans()) == 3


@pytest.mark.parametrize('content', [b'', b'\x80\x04\x95\x10', b'cno\nX\n.'])
def test_damaged_infos_end_in_one_sentence(tool, data, capsys, content):
    (data / 'a.pkl').write_bytes(content)
    assert tool.main([f'--data={data}', f'--infos={data}/a.pkl']) == 1
    assert 'a.pkl cannot be read' in capsys.readouterr().err
