"""A NaN ends the run and spoils no checkpoint."""
from pathlib import Path

import pytest
import torch

import sam3d_plugin.engine.hooks.stop_on_invalid_loss_hook as module
from tests.models.pretraining_cases import STAGE1
from .hook_cases import build_run

HOOK = dict(type='StopOnInvalidLossHook')
MSE = dict(
    type='RegionDistillHead',
    in_channels=32,
    out_channels=12,
    loss=dict(
        type='DistillLoss', loss=dict(type='mmdet.MSELoss', reduction='none')))


def checkpoints(work_dir):
    return sorted(path.name for path in Path(work_dir).glob('*.pth'))


def with_mse(config):
    return dict(config, head=MSE)


def test_the_error_names_step_frames_losses_and_checkpoint(tmp_path):
    build_run(
        tmp_path,
        HOOK,
        with_mse(STAGE1),
        train_cfg=dict(by_epoch=True, max_epochs=1)).train()
    bad = build_run(
        tmp_path, HOOK, with_mse(STAGE1), dict(bad_frame=3), resume=True)
    with pytest.raises(ValueError) as caught:
        bad.train()
    message = str(caught.value)
    for part in ('step 4 (', 'loss_region inf',
                 'frame 00002 of scan scene0000_00, '
                 'frame 00003 of scan scene0000_00;', 'epoch_1.pth (--resume)',
                 'verify.py'):
        assert part in message
    assert checkpoints(tmp_path) == ['epoch_1.pth']
    good = build_run(tmp_path, HOOK, with_mse(STAGE1), resume=True)
    good.train()
    assert good.load_report.source.endswith('epoch_1.pth')
    assert checkpoints(tmp_path) == ['epoch_1.pth', 'epoch_2.pth']


def test_before_the_first_checkpoint_it_says_so(tmp_path):
    run = build_run(tmp_path, HOOK, with_mse(STAGE1), dict(bad_frame=0))
    with pytest.raises(ValueError, match='step 1 .*is no checkpoint yet'):
        run.train()
    assert not checkpoints(tmp_path)


def test_weights_spoilt_by_the_last_step_are_not_saved(tmp_path):
    loader = build_run(tmp_path, HOOK).cfg.train_dataloader
    run = build_run(
        tmp_path, HOOK, train_dataloader=dict(loader, batch_size=4))
    parameter = run.model.encoder.norm.weight
    parameter.register_hook(lambda grad: torch.full_like(grad, torch.nan))
    with pytest.raises(ValueError, match='at step 1, so no checkpoint is'):
        run.train()
    assert not checkpoints(tmp_path)


def test_all_processes_stop_with_the_frames_of_one(monkeypatch):
    """Process 1 has a good loss, process 0 has not."""
    monkeypatch.setattr(module, 'all_reduce', lambda flag, op: flag.fill_(1))
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    monkeypatch.setattr(module, 'all_gather_object',
                        lambda mine: [['frame 7 of scan a'], mine])
    hook = module.StopOnInvalidLossHook()
    run = type('Run', (), dict(iter=4, work_dir='nowhere'))
    with pytest.raises(ValueError) as caught:
        hook.after_train_iter(run, 0, None, dict(loss=torch.tensor(.5)))
    assert 'step 5 (loss 0.5 in this process)' in str(caught.value)
    assert 'batch: frame 7 of scan a;' in str(caught.value)


def test_finite_losses_pass():
    module.StopOnInvalidLossHook().after_train_iter(
        None, 0, None, dict(loss=torch.tensor(.5)))
