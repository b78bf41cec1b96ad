"""Runs on the emulated GPU: hooks, precision, checkpoints, validation."""
import pytest
import torch
from mmengine.model import ExponentialMovingAverage

from sam3d_plugin.engine.export import export_backbone
from tests.emulated_cuda import EmulatedTensor
from tests.engine.hooks.hook_cases import build_run
from tests.models.pretraining_cases import (BALANCED_HEAD, JOINT, STAGE1,
                                            build, save_teacher, stage2)
from tests.short_runs import forget_runs

SCHEDULE = dict(type='MaskRatioScheduleHook', start=.2, stop=.8)
HOOKS = [
    dict(type='CollapseAlarmHook', interval=1, begin=0),
    dict(type='TokenPictureHook', interval=1, num_frames=1),
    dict(type='StopOnInvalidLossHook'),
    dict(type='EMAHook', momentum=.1),
    dict(type='DataWaitHook', interval=2),
]
MODELS = dict(stage1=dict(STAGE1, head=BALANCED_HEAD), joint=JOINT)


def tensors_of(value):
    """All tensors in what a checkpoint holds."""
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list, tuple)):
        return []
    return [tensor for item in items for tensor in tensors_of(item)]


def build_runner(tmp_path, model, epochs, precision=None, **changes):
    if precision is not None:
        changes['optim_wrapper'] = dict(
            type='AmpOptimWrapper',
            optimizer=dict(type='AdamW', lr=1e-3),
            loss_scale=dict(init_scale=16.),  # no step is skipped
            dtype=precision)
    masks = 'Masked' in model['type']
    return build_run(
        tmp_path / 'work',
        None,
        model,
        custom_hooks=HOOKS + [SCHEDULE] * masks,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        **changes)


@pytest.mark.parametrize('name, precision', [('stage1', None),
                                             ('stage1', 'float16'),
                                             ('joint', 'bfloat16'),
                                             ('stage2', 'float16')])
def test_a_run_with_every_hook_and_its_resume(device, tmp_path, name,
                                              precision):
    model = MODELS.get(name) or stage2(save_teacher(tmp_path / 'teacher.pth'))
    runner = build_runner(tmp_path, model, 1, precision)
    runner.train()
    assert all(p.is_cuda for p in runner.model.parameters())
    assert len(list((tmp_path / 'work' / 'token_pictures').iterdir())) == 2
    assert 'train/spread_untrained' in runner.message_hub.log_scalars
    checkpoint = tmp_path / 'work' / 'epoch_1.pth'
    saved = torch.load(checkpoint, 'cpu', weights_only=False)
    assert not any(isinstance(t, EmulatedTensor) for t in tensors_of(saved))
    resumed = build_runner(tmp_path, model, 2, precision, resume=True)
    resumed.train()
    assert resumed.iter == 4 and resumed._resume
    states = resumed.optim_wrapper.optimizer.state.values()
    assert states and all(state['exp_avg'].is_cuda for state in states)
    forget_runs()
    meta = export_backbone(str(checkpoint), str(tmp_path / 'encoder.pth'))
    assert meta['frames_seen'] == 4


def test_a_checkpoint_of_the_gpu_goes_on_without_one(tmp_path):
    from tests.emulated_cuda import emulated_cuda
    with emulated_cuda():
        build_runner(tmp_path, JOINT, 1, 'float16').train()
    runner = build_runner(tmp_path, JOINT, 2, 'float16', resume=True)
    runner.train()
    assert runner.iter == 4 and runner._resume


def test_an_invalid_loss_stops_a_run(device, tmp_path):
    runner = build_run(
        tmp_path,
        dict(type='StopOnInvalidLossHook'),
        dataset=dict(bad_frame=2))
    with pytest.raises(ValueError, match='not finite.*frame 00002'):
        runner.train()


def test_moving_averages_follow_the_model(device):
    model = build(STAGE1).cuda()
    averaged = ExponentialMovingAverage(model, momentum=.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    averaged.update_parameters(model)
    averaged.update_parameters(model)
    for mine, theirs in zip(averaged.module.parameters(), model.parameters()):
        assert mine.is_cuda and mine is not theirs
        assert mine.equal(theirs)


def test_validation_leaves_the_random_numbers_of_training_alone(
        models, device):
    """A segmentor draws samples of a scan between two training steps."""
    case = models.build_case('segmentor, S3DIS', True, 300)
    case.model.cuda()
    case.model.test_cfg.update(mode='sample', num_points=100, votes=2)
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.cuda.get_rng_state()
    models.predict(case)
    assert torch.get_rng_state().equal(before[0])
    assert torch.cuda.get_rng_state().equal(before[1])
