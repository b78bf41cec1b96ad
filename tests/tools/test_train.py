"""Tests of tools/train.py on a small stock VoteNet."""
import errno
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio.backends import LocalBackend

from sam3d_plugin.engine.work_dir import locked_work_dir
from .conftest import small_options

ROOT = Path(__file__).parents[2]
WORK = Path('work_dirs/votenet')


def _error(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: ')
    return lines[0]


def test_stock_config_trains_and_resumes(run, capsys):
    assert run('train', '--amp') == 0
    shown = capsys.readouterr().out
    for part in ('train 2 scenes · val 2 scenes', 'model: VoteNet', 'eta:',
                 'backbone: PointNet2SASSG', 'weights: from initialization'):
        assert part in shown
    run.options = ['train_cfg.max_epochs=2']
    assert run('train', '--resume') == 0
    assert 'resumed at step 2 from' in capsys.readouterr().out
    assert (WORK / 'epoch_2.pth').is_file()


def test_default_runtime_writes_loss_curves(run):
    runtime = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    with open('votenet.py', 'a') as file:
        file.write(f'visualizer = dict(_delete_=True, '
                   f'**{runtime.visualizer.to_dict()})\n')
    assert run('train') == 0
    assert list(WORK.glob('*/vis_data/events.out.tfevents*'))


def test_unregistered_type_is_one_sentence(run, capsys):
    run.options = ['model.bbox_head.type=VoteHaed']
    assert run('train') == 2
    assert 'type VoteHaed' in (message := _error(capsys))
    assert 'did you mean VoteHead' in message


def test_bad_input_is_one_sentence(run, capsys, tmp_path):
    assert run('train', root='data/nowhere') == 2
    assert 'data root data/nowhere is missing' in _error(capsys)
    assert run('train', '--resume', 'none.pth') == 2
    assert 'checkpoint none.pth is missing' in _error(capsys)
    (tmp_path / 'cut.pth').write_bytes(b'PK\x03\x04')
    assert run('train', '--resume', 'cut.pth') == 2
    assert 'cut.pth is truncated' in _error(capsys)
    run.options = ['train_dataloader.dataset.dataset.pipeline.99.x=1']
    assert run('train') == 2
    assert '--cfg-options: train_dataloader' in _error(capsys)


def test_unwritable_work_dir_is_one_sentence(run, capsys):
    with pytest.raises(SystemExit) as end:
        run('train', '--work-dir', 'votenet.py/work')
    assert end.value.code == 2
    assert 'votenet.py is a file' in capsys.readouterr().err


def test_full_disk_is_one_sentence(run, capsys, monkeypatch):

    def full(self, content, path):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(LocalBackend, 'put', full)
    assert run('train') == 2
    message = _error(capsys)
    assert 'trial.pth' in message and 'no space left' in message


def _hold(ready):
    with locked_work_dir('w'):
        ready.send(True)
        time.sleep(60)


def test_second_run_in_one_work_dir_is_refused(run, capsys):
    context = multiprocessing.get_context('fork')
    here, there = context.Pipe()
    other = context.Process(target=_hold, args=(there, ))
    other.start()
    assert here.poll(20)
    assert run('train', '--work-dir', 'w') == 2
    other.kill()
    other.join()
    assert f'w is in use by process {other.pid}' in _error(capsys)


def test_torchrun_on_this_machine(run, tmp_path, scannet_root):
    processes = min(torch.cuda.device_count() or 2, 2)
    done = subprocess.run([
        sys.executable, '-m', 'torch.distributed.run', '--standalone',
        f'--nproc_per_node={processes}', ROOT / 'tools/train.py', 'votenet.py',
        '--launcher', 'pytorch', '--sync_bn', 'torch', '--cfg-options',
        *small_options(scannet_root)
    ],
                          cwd=tmp_path,
                          capture_output=True,
                          text=True,
                          timeout=240,
                          env=dict(os.environ, PYTHONPATH=str(ROOT)))
    assert done.returncode == 0, done.stderr
    assert f'× {processes} processes' in done.stdout or processes == 1
    assert (tmp_path / WORK / 'epoch_1.pth').is_file()


def test_amp_and_scaling_refuse_configs_that_cannot(run, capsys):
    run.options = ['optim_wrapper.type=OtherWrapper']
    assert run('train', '--amp') == 2
    assert 'OtherWrapper' in _error(capsys)
    run.options = ['auto_scale_lr=None']
    assert run('train', '--auto-scale-lr') == 2
    assert 'base_batch_size in votenet.py' in _error(capsys)


@pytest.mark.parametrize('option, hint', [
    ('train_cfg.max_epochs=0', 'max_epochs'),
    ('train_cfg.val_interval=0', 'val_interval'),
    ('optim_wrapper.optimizer.betas=(0.9,0.99,0.9)', 'optim_wrapper'),
    ('optim_wrapper.optimizer.type=AdamWW', 'AdamW'),
    ('log_level=LOUD', 'LOUD'),
    ('randomness.seed=-1', 'Seed'),
    ('test_dataloader.batch_size=0', 'batch_size'),
    ('test_evaluator.type=IndoorMetrics', 'IndoorMetric'),
])
def test_settings_that_cannot_work_are_said_before_the_first_step(
        run, capsys, option, hint):
    run.options = [option]
    assert run('train') == 2
    assert hint in _error(capsys)
    assert not list(WORK.glob('*.pth'))


def test_weights_without_a_run_are_not_resumed_from(run, capsys, tmp_path):
    torch.save(dict(state_dict=dict(x=torch.ones(1))), tmp_path / 'w.pth')
    assert run('train', '--resume', 'w.pth') == 2
    assert 'weights only' in _error(capsys)
