"""Every overfit is a config that its options fit, collected once whole."""
import json

import numpy as np
import pytest

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import overfit
from sam3d_plugin.store import provenance
from tests.preparation.conftest import make_room
from tests.tools.conftest import call

ROOTS = overfit.data_roots('data')


@pytest.mark.parametrize('run', overfit.RUNS.values(), ids=list(overfit.RUNS))
def test_every_evaluation_is_a_config_on_its_own_data(run):
    for name, options in overfit.evaluations(run, ROOTS).items():
        cfg = read_config(run.path, options)
        root = ROOTS['superpoints' if name.endswith('points') else run.data]
        assert cfg.test_dataloader.dataset.data_root.rstrip('/') == root
        tokens = cfg.model.backbone.tokenizer.type
        is_knn = name == 'rescan_knn' or run.data == 's3dis'
        assert tokens == ('KNNTokenizer' if is_knn else 'SAMTokenizer')
        scans = 'rescan' if name.startswith('rescan') else 'val'
        if run.data == 'room':
            assert scans in cfg.test_dataloader.dataset.ann_file


def test_training_and_evaluation_see_the_same_frames():
    run = overfit.RUNS['three_detr_sunrgbd_mini']
    cfg = read_config(run.path, overfit.evaluations(run, ROOTS)['trained_on'])
    trained = cfg.train_dataloader.dataset.dataset.ann_file
    assert trained == cfg.test_dataloader.dataset.ann_file


def write_rooms(folder):
    """A room with regions, and its rescan without them."""
    folder.mkdir(parents=True)
    room = make_room()
    np.savez(folder / 'scene0000_00.npz', **room)
    del room['region']
    np.savez(folder / 'scene0000_01.npz', **room)


SMALL = [
    'train_cfg.max_iters=2', 'default_hooks.checkpoint.interval=2',
    'default_hooks.logger.interval=1',
    'train_dataloader.dataset.dataset.pipeline.6.num_points=1024',
    'test_dataloader.dataset.pipeline.4.num_points=1024',
    'val_dataloader.dataset.pipeline.4.num_points=1024'
]


def test_a_room_is_imported_trained_and_evaluated_once(tmp_path, run_here,
                                                       monkeypatch):
    write_rooms(tmp_path / 'source' / 'scannet_scene0000')
    monkeypatch.setattr(provenance, 'commit', lambda: 'at training')
    command = [
        '--source',
        str(tmp_path / 'source'), '--data',
        str(tmp_path / 'data'), '--work-dir',
        str(tmp_path / 'work'), '--json',
        str(tmp_path / 'overfit.json'), '--cfg-options', *SMALL, '--runs',
        'votenet_scannet_mini'
    ]
    call('experiments/overfit', command)
    assert run_here == [
        'import_scans', 'import_scans', 'make_superpoints', 'train', 'test',
        'test', 'test'
    ]
    monkeypatch.setattr(provenance, 'commit', lambda: 'later')
    call('experiments/overfit', command)
    assert len(run_here) == 7
    runs = json.loads((tmp_path / 'overfit.json').read_text())['runs']
    run = runs['votenet_scannet_mini']
    assert run['steps'] == 2 and run['training']['seconds'] > 0
    assert set(
        run['scores']) == {'trained_on', 'rescan_knn', 'rescan_superpoints'}
    for scores in run['scores'].values():
        assert set(scores) == set(overfit.DETECTION)
        assert all(0 <= score <= 1 for score in scores.values())
    assert run['hardware']['commit'] == 'at training'
    assert 'regions of scannet_infos_val.pkl' in run['data']
