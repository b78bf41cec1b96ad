"""A training killed at random moments repeats the unbroken one bitwise."""
import contextlib
import io
import random
import re
import time
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch
from mmdet3d.registry import HOOKS
from mmengine.hooks import Hook

from sam3d_plugin.engine import PointRunner
from sam3d_plugin.engine.checkpoint import find_newest_checkpoint
from sam3d_plugin.store.checkpoint import read_checkpoint
from tests import processes
from tests.datasets import frame_store
from tests.models import pretraining_cases as cases

STEPS_AN_EPOCH = 3
# Steps between two checkpoints; an epoch is not a multiple of 4.
SAVES = {
    3: dict(interval=1, by_epoch=True),
    4: dict(interval=4, by_epoch=False),
    10**6: dict(interval=-1, by_epoch=False)
}


@HOOKS.register_module()
class RecordLossHook(Hook):
    """Writes down each step's exact loss, and tells that it is done."""

    priority = 'VERY_HIGH'  # before a checkpoint of the step is written

    def __init__(self, path, told=None):
        self.path = path
        self.told = told

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        frames = [s.metainfo['sample_idx'] for s in data_batch['data_samples']]
        line = f'{runner.iter + 1} {outputs["loss"].item().hex()} {frames}\n'
        with open(self.path, 'ab', buffering=0) as file:
            file.write(line.encode())
        if self.told is not None:
            self.told.send(runner.iter + 1)


def make_config(root, work_dir, stage, interval, steps, record):
    """Everything random is on: order, points, augmentation, mask, paths."""
    model = cases.stage2(str(root / 'teacher.pth'))
    if stage == 'stage1':
        loss = dict(type='GroupBalancedDistillLoss')
        head = dict(cases.STAGE1['head'], out_channels=3, loss=loss)
        model = dict(cases.STAGE1, head=head)
    pipeline = [dict(frame_store.PIPELINE[0], num_points=150)]
    return dict(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='SeededSampler', shuffle=True),
            collate_fn=dict(type='collate_frames'),
            dataset=dict(
                type='RGBDFrameDataset',
                data_root=str(root),
                pipeline=pipeline + frame_store.PIPELINE[1:])),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=steps),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
        param_scheduler=dict(
            type='CosineAnnealingLR', by_epoch=False, T_max=steps),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', max_keep_ckpts=2, **SAVES[interval]),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        custom_hooks=[
            record,
            dict(type='StopOnInvalidLossHook'),
            dict(type='CollapseAlarmHook')
        ],
        default_scope='mmdet3d',
        resume=True)


def train(root, work_dir, stage, interval, steps, told=None, seed=0):
    """What a process does: train, from the newest checkpoint on."""
    Path(work_dir).mkdir(exist_ok=True)
    record = dict(
        type='RecordLossHook', path=f'{work_dir}/losses.txt', told=told)
    cfg = make_config(root, work_dir, stage, interval, steps, record)
    with contextlib.redirect_stdout(io.StringIO()):
        built = PointRunner(
            **cfg,
            randomness=dict(seed=seed),
            experiment_name=f'{time.time_ns()}',
            cfg=cfg)
        built.train()


def read_losses(work_dir):
    """Step, loss and frames of every step of all runs in a folder."""
    path = Path(work_dir, 'losses.txt')
    text = path.read_text() if path.is_file() else ''
    return re.findall(r'(\d+) (.*)\n', text)


def newest_step(work_dir):
    path = find_newest_checkpoint(work_dir)
    return read_checkpoint(path)['meta']['iter'] if path else 0


def kill_once(arguments, num_steps, rng):
    """Start a run and kill it some steps and an instant later."""
    here, there = Pipe(duplex=False)
    process = processes.start(train, *arguments, there)
    there.close()
    times = []
    for _ in range(num_steps):
        assert here.poll(200), 'the run does not get on'
        here.recv()
        times.append(time.time())
    # In the next step or the writing after it; or still in the start.
    step = min((b - a for a, b in zip(times, times[1:])), default=.02)
    time.sleep(rng.uniform(0, 3 * step if times else .3))
    process.kill()
    process.join()
    assert process.exitcode == -9


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = frame_store.write_data_set(tmp_path_factory.mktemp('frames'))
    cases.save_teacher(root / 'teacher.pth')
    return root


@pytest.mark.parametrize('stage, interval, kills', [('stage1', 3, 6),
                                                    ('stage2', 4, 20)])
def test_killed_runs_repeat_the_unbroken_one(stage, interval, kills, root,
                                             tmp_path):
    rng = random.Random(stage)
    counts = [rng.randint(0, interval + 2) for _ in range(kills)]
    # More than these runs get done, since each loses some steps.
    steps = sum(counts) + kills
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    unbroken = processes.start(train, root, whole, stage, 10**6, steps)
    arguments = (root, killed, stage, interval, steps)
    begins = []
    for count in counts:
        seen, begin = len(read_losses(killed)), newest_step(killed)
        kill_once(arguments, count, rng)
        done = [int(step) for step, _ in read_losses(killed)[seen:]]
        # A run goes on from the newest whole checkpoint ...
        assert done == list(range(begin + 1, begin + 1 + len(done)))
        begins.append(begin)
        # ... of which there is one for each interval that was gone through.
        if done:
            assert newest_step(killed) >= (done[-1] - 1) // interval * interval
    processes.run_all(train, [arguments])
    unbroken.join()
    assert unbroken.exitcode == 0
    expected, repeated = dict(read_losses(whole)), read_losses(killed)
    assert len(expected) == len(set(expected.values())) == steps
    assert {step for step, _ in repeated} == set(expected)
    for step, value in repeated:
        assert value == expected[step], f'step {step}'
    assert len(repeated) > steps
    # A run that told of a step after a checkpoint had written it.
    assert len(set(begins)) > sum(n > interval for n in counts[:-1]) > 0
    if interval % STEPS_AN_EPOCH:
        assert any(step % STEPS_AN_EPOCH for step in begins)
    assert_same_checkpoints(whole, killed)


def assert_same_checkpoints(*work_dirs):
    """Weights, buffers and optimizer are bitwise those of the other."""
    one, other = (
        read_checkpoint(find_newest_checkpoint(path)) for path in work_dirs)
    assert not any('teacher' in name for name in one['state_dict'])
    assert set(one['state_dict']) == set(other['state_dict'])
    for name, tensor in one['state_dict'].items():
        assert tensor.equal(other['state_dict'][name]), name
    states = (c['optimizer']['state'] for c in (one, other))
    for mine, theirs in zip(*(s.values() for s in states)):
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_a_seed_that_was_drawn_is_resumed_too(root, tmp_path):
    """Order, points and masks follow the checkpoint, not a new drawing."""
    arguments = ('stage2', 4, 6, None)
    folders = [tmp_path / name for name in ('same', 'other')]
    processes.run_all(train, [(root, folder, *arguments, seed)
                              for folder, seed in zip(folders, (7, 8))])
    losses, others = (read_losses(folder) for folder in folders)
    assert not set(losses) & set(others)
    (folders[0] / 'iter_6.pth').unlink()
    processes.run_all(train, [(root, folders[0], *arguments, None)])
    assert read_losses(folders[0]) == losses + losses[4:]
