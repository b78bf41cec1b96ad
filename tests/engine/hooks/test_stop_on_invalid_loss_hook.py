"""A NaN ends the run and spoils no checkpoint."""
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing

from sam3d_plugin.engine.hooks import StopOnInvalidLossHook
from tests.models.pretraining_cases import STAGE1, make_batch
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
    parameter = run.model.backbone.encoder.norm.weight
    parameter.register_hook(lambda grad: torch.full_like(grad, torch.nan))
    with pytest.raises(ValueError, match='at step 1, so no checkpoint is'):
        run.train()
    assert not checkpoints(tmp_path)


def look_at_losses(rank, folder, losses):
    """One of two processes: write down what ends it, after how many steps."""
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    run = SimpleNamespace(iter=4, work_dir=folder)
    hook, passed = StopOnInvalidLossHook(), 0
    try:
        for loss in losses[rank]:
            batch = make_batch(seed=10 * rank)
            hook.after_train_iter(run, 0, batch, dict(loss=torch.tensor(loss)))
            passed += 1
    except ValueError as error:
        Path(folder, str(rank)).write_text(f'{passed} {error}')
    dist.destroy_process_group()


def test_all_processes_stop_with_the_frames_of_one(tmp_path):
    losses = [[1., .5, 1.], [1., math.nan, 1.]]
    multiprocessing.start_processes(
        look_at_losses, (str(tmp_path), losses), nprocs=2, start_method='fork')
    for rank, loss in enumerate(('0.5', 'nan')):
        message = (tmp_path / str(rank)).read_text()
        assert message.startswith('1 the loss is not finite at step 5 ')
        assert f'(loss {loss} in this process)' in message
        assert ('batch: frame 00010 of scan scene0000_00, '
                'frame 00011 of scan scene0000_00;') in message


def test_finite_losses_pass():
    StopOnInvalidLossHook().after_train_iter(None, 0, None,
                                             dict(loss=torch.tensor(.5)))
