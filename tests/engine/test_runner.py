"""Tests of the runner: loading, resuming, saving, console."""
import errno
import os
from pathlib import Path

import pytest
import torch
from mmengine.fileio.backends import LocalBackend
from mmengine.model import Sequential, initialize
from torch import nn

from sam3d_plugin.engine import runner as engine_runner
from sam3d_plugin.engine.checkpoint import find_newest_checkpoint
from sam3d_plugin.store.checkpoint import CheckpointError, read_checkpoint

MAX_ONE = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1))


def _names(runner):
    return sorted(p.name for p in Path(runner.work_dir).glob('*.pth'))


def _weights(runner):
    return [p.detach().clone() for p in runner.model.parameters()]


def test_console_shows_what_runs_and_the_file_has_everything(build, capsys):
    runner = build(
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)))
    runner.train()
    shown = capsys.readouterr().out
    for part in ('device: ', 'train 4 scenes', 'ToyModel', 'weights: from',
                 'eta: ', 'loss: '):
        assert part in shown
    for dump in ('System environment', 'Name of parameter', 'Config:',
                 'Hooks will be', 'Exp name'):
        assert dump not in shown
    assert shown.count('\n') < 15
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    for part in ('System environment', 'Name of parameter', 'Hooks will be'):
        assert part in log


def test_resuming_continues_as_if_never_interrupted(build):
    whole = build(train_cfg=dict(by_epoch=True, max_epochs=3))
    whole.train()
    first = build(work_dir=f'{whole.work_dir}_2')
    first.train()
    resumed = build(
        work_dir=first.work_dir,
        resume=True,
        train_cfg=dict(by_epoch=True, max_epochs=3))
    resumed.train()
    assert resumed.load_report.source.endswith('epoch_2.pth')
    assert _names(resumed) == ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth']
    for a, b in zip(_weights(whole), _weights(resumed)):
        assert torch.allclose(a, b)


def test_resuming_names_the_settings_that_it_does_not_take(build, capsys):
    """mmengine restores rate and schedule, and says nothing."""
    first = build()
    first.train()
    build(resume=True).train()
    assert 'has no effect' not in capsys.readouterr().out
    resumed = build(
        resume=True,
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.5)))
    resumed.train()
    shown = capsys.readouterr().out
    assert 'optimizer.lr 0.01, now 0.5 has no effect' in shown
    assert resumed.optim_wrapper.get_lr()['lr'] == [0.01]


def test_a_schedule_of_another_length_is_said(build, capsys):
    """The rate would be 0 for the rest, or never fall."""

    def train(epochs, end, **options):
        cosine = dict(
            type='CosineAnnealingLR',
            begin=0,
            end=end,
            by_epoch=True,
            convert_to_iter_based=True)
        build(
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            param_scheduler=[cosine],
            **options).train()
        return capsys.readouterr().out

    assert 'the schedule' not in train(2, 2)
    said = 'the schedule of the learning rate ends at step {} of {}'
    # A resumed one is that of the checkpoint.
    assert said.format(4, 6) in train(3, 3, resume=True)
    assert said.format(4, 2) in train(1, 2)
    assert said.format(4, 6) in train(3, 2)


def test_a_model_learns_how_long_the_training_is(build):
    """In frames of all epochs."""
    runner = build(train_cfg=dict(by_epoch=True, max_epochs=3))
    runner.model.total_frames = None
    runner.train()
    assert runner.model.total_frames == 3 * 4


def test_resume_skips_truncated_checkpoints_and_says_so(build, capsys):
    build().train()
    work_dir = Path(build().work_dir)
    newest = work_dir / 'epoch_2.pth'
    newest.write_bytes(newest.read_bytes()[:1000])
    (work_dir / 'last_checkpoint').write_text('/nonexistent/epo')
    runner = build(resume=True)
    runner.train()
    assert runner.load_report.source == str(work_dir / 'epoch_1.pth')
    shown = capsys.readouterr().out
    assert 'epoch_2.pth is truncated' in shown
    assert 'resumed at step 2 from' in shown and 'epoch_1.pth' in shown


def test_resume_without_checkpoints_says_that_it_starts(build, capsys):
    build(resume=True).train()
    assert 'starting at the beginning' in capsys.readouterr().out


def test_resume_without_checkpoints_starts_from_load_from(build, tmp_path):
    """A fine-tuning that was stopped early does not start from nothing."""
    first = build()
    first.train()
    file = str(tmp_path / 'start.pth')
    torch.save(read_checkpoint(Path(first.work_dir, 'epoch_2.pth')), file)
    runner = build(
        work_dir=str(tmp_path / 'new'), resume=True, start_from=file)
    runner.train()
    assert runner.load_report.source == file
    assert _names(runner) == ['epoch_1.pth', 'epoch_2.pth']


def test_best_checkpoints_are_not_resumed_from(tmp_path):
    state = dict(meta={}, state_dict={}, message_hub={})
    for name in ('best_AP_epoch_9.pth', 'epoch_3.pth', 'epoch_12.pth'):
        torch.save(state, tmp_path / name)
        os.utime(tmp_path / name, (1, 1))
    assert find_newest_checkpoint(tmp_path).endswith('epoch_12.pth')


def test_a_copied_work_directory_resumes_from_itself(tmp_path):
    for name in ('original', 'copy'):
        (tmp_path / name).mkdir()
        torch.save(
            dict(meta={}, state_dict={}, message_hub={}),
            tmp_path / name / 'iter_1.pth')
        (tmp_path / name / 'last_checkpoint').write_text(
            str(tmp_path / 'original/iter_1.pth'))
    os.utime(tmp_path / 'copy/iter_1.pth', (1, 1))
    assert find_newest_checkpoint(tmp_path / 'copy') == str(tmp_path /
                                                            'copy/iter_1.pth')


def _kill_in_the_middle(self, content, path):
    with open(path, 'wb') as file:
        file.write(content[:len(content) // 2])
        file.flush()
        os._exit(9)


def test_killed_while_saving_keeps_the_checkpoint_before(build, monkeypatch):
    runner = build(default_hooks=MAX_ONE)
    runner.train()
    assert _names(runner) == ['epoch_2.pth']
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(LocalBackend, 'put', _kill_in_the_middle)
        hook = next(h for h in runner._hooks if hasattr(h, 'max_keep_ckpts'))
        runner.train_loop._epoch = 2
        hook._save_checkpoint(runner)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert _names(runner) == ['epoch_2.pth']
    resumed = build(
        resume=True,
        default_hooks=MAX_ONE,
        train_cfg=dict(by_epoch=True, max_epochs=3))
    resumed.train()
    assert resumed.load_report.source.endswith('epoch_2.pth')
    assert _names(resumed) == ['epoch_3.pth']
    assert not list(Path(resumed.work_dir).glob('.*.tmp'))


def test_failing_save_keeps_the_best_checkpoint(build, monkeypatch):
    best = dict(
        checkpoint=dict(
            type='CheckpointHook', interval=1, save_best='AP', rule='greater'))
    runner = build(default_hooks=best)
    runner.train()
    hook = next(h for h in runner._hooks if hasattr(h, 'save_best'))
    hook._save_best_checkpoint(runner, dict(AP=0.5))
    saved = hook.best_ckpt_path
    assert os.path.isfile(saved)

    def full(self, content, path):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patched:
        patched.setattr(LocalBackend, 'put', full)
        runner.train_loop._epoch = 3
        with pytest.raises(OSError, match='No space left.*pth'):
            hook._save_best_checkpoint(runner, dict(AP=0.6))
    assert os.path.isfile(saved)
    hook.best_ckpt_path = saved
    hook._save_best_checkpoint(runner, dict(AP=0.7))
    assert not os.path.isfile(saved) and os.path.isfile(hook.best_ckpt_path)


def test_checkpoint_that_could_not_be_resumed_is_never_published(build):
    runner = build()
    runner.train()
    runner.message_hub.update_info('odd', Path('/'))
    with pytest.raises(CheckpointError, match='pathlib'):
        runner.save_checkpoint(runner.work_dir, 'odd.pth')
    assert 'odd.pth' not in _names(runner)


def test_load_from_is_strict(build, capsys, tmp_path):
    runner = build()
    runner.train()
    content = read_checkpoint(Path(runner.work_dir, 'epoch_2.pth'))
    file = tmp_path / 'partial.pth'
    content['state_dict'].pop('head.weight')
    content['state_dict']['decoder.weight'] = torch.ones(1)
    torch.save(content, file)
    with pytest.raises(CheckpointError, match='partial.pth lacks head.weight'):
        build(load_from=str(file)).train()
    with pytest.raises(CheckpointError, match=r'backbone.weight \(file'):
        build(
            load_from=str(file),
            model=dict(type='ToyModel', width=4),
            allow_missing=['head']).train()
    capsys.readouterr()
    build(load_from=str(file), allow_missing=['head']).train()
    shown = capsys.readouterr().out
    assert '8/9 tensors, 1 left' in shown
    assert 'not used by the model: decoder (1)' in shown
    with pytest.raises(CheckpointError, match='head.weight'):
        build(load_from=str(file), resume=True, allow_missing=['head']).train()


def test_pretrained_backbone_is_strict_and_named(build, tmp_path, capsys):
    file = tmp_path / 'encoder.pth'
    runner = build()
    encoder = Sequential(
        nn.Linear(2, 3),
        init_cfg=dict(type='Pretrained', checkpoint=str(file), prefix='0'))
    runner.model.backbone = encoder
    torch.save({
        f'0.{k}': v
        for k, v in nn.Linear(2, 3).state_dict().items()
    }, file)
    with pytest.raises(CheckpointError, match='no tensor of .*encoder.pth'):
        runner.train()
    encoder.init_cfg.pop('prefix')
    runner = build()
    runner.model.backbone = encoder
    runner.train()
    assert f'pretrained {file}, 2/2 tensors' in capsys.readouterr().out
    encoder[0] = nn.Linear(2, 4)
    with pytest.raises(CheckpointError, match=r'0.weight \(file \(3, 2\)'):
        initialize(encoder, encoder.init_cfg)


@pytest.mark.parametrize('is_fast', [True, False])
def test_mixed_precision_is_bfloat16_on_cpu_and_resumes(
        build, monkeypatch, capsys, is_fast):
    monkeypatch.setattr(engine_runner, 'has_bfloat16', lambda: is_fast)
    amp = dict(
        type='AmpOptimWrapper',
        loss_scale='dynamic',
        optimizer=dict(type='AdamW', lr=0.01))
    runner = build(optim_wrapper=amp)
    runner.train()
    has_gpu = torch.cuda.is_available()
    expected = torch.float16 if has_gpu else torch.bfloat16
    assert runner.model.dtype_seen == expected
    is_slow = not has_gpu and not is_fast
    assert ('no bfloat16' in capsys.readouterr().out) == is_slow
    resumed = build(
        optim_wrapper=amp,
        resume=True,
        train_cfg=dict(by_epoch=True, max_epochs=3))
    resumed.train()
    assert resumed.iter == 6
