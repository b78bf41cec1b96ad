"""Every overfit is a config that its options fit, collected once whole."""
import json
from types import SimpleNamespace

import pytest

from sam3d_plugin.engine.options import read_config
from tools import steps
from tools.analysis import overfit, run_records

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


def test_runs_are_collected_and_not_done_twice(tmp_path, monkeypatch):
    commands = []

    def leave_output(some, record=None):
        for step in some:
            if not step.is_done:
                commands.append(step.command)
                content = dict.fromkeys(overfit.DETECTION, 0.5)
                path = overfit.Path(step.output)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content))
                if record:
                    usage = SimpleNamespace(
                        ru_utime=60., ru_stime=1., ru_maxrss=1024)
                    record.add(step, 75., usage, True)

    monkeypatch.setattr(run_records, 'commit', lambda: 'at training')
    monkeypatch.setattr(steps, 'run_steps', leave_output)
    command = [
        '--data',
        str(tmp_path / 'data'), '--work-dir',
        str(tmp_path / 'work'), '--json',
        str(tmp_path / 'overfit.json'), '--cfg-options',
        'train_cfg.max_iters=7', '--runs'
    ]
    overfit.main(command + ['votenet_scannet_mini'])
    assert [c[1].split('/')[-1] for c in commands] == [
        'import_scans.py', 'import_scans.py', 'make_superpoints.py',
        'train.py', 'test.py', 'test.py', 'test.py'
    ]
    monkeypatch.setattr(run_records, 'commit', lambda: 'later')
    overfit.main(command + ['votenet_scannet_mini'])
    assert len(commands) == 7
    overfit.main(command + ['three_detr_scannet_mini'])
    runs = json.loads((tmp_path / 'overfit.json').read_text())['runs']
    assert list(runs) == ['votenet_scannet_mini', 'three_detr_scannet_mini']
    run = runs['votenet_scannet_mini']
    assert run['steps'] == 7
    assert run['scores']['rescan_knn'] == {'mAP_0.25': 0.5, 'mAP_0.50': 0.5}
    assert run['training']['seconds'] == 75
    assert run['training']['cpu_s'] == 61
    assert run['hardware']['commit'] == 'at training'
    assert runs['three_detr_scannet_mini']['hardware']['commit'] == 'later'
