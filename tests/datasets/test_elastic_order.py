"""The same samples, step by step, for any number of processes and workers."""
import itertools
from pathlib import Path

import mmengine.dataset.sampler
import pytest
import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from sam3d_plugin.engine import PointRunner
from tests.datasets import frame_store
from tests.short_runs import forget_runs

BATCH, STEPS = 4, 5
# 23 samples, each with points of its own: three do not fill a batch.
INDICES = list(range(6)) * 4
INDICES.pop()
PIPELINE = [
    dict(frame_store.PIPELINE[0], num_points=40), *frame_store.PIPELINE[1:]
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return frame_store.write_data_set(tmp_path_factory.mktemp('frames'))


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmdet3d'):
        yield


@pytest.fixture
def as_rank(monkeypatch):
    """Function that makes samplers believe to be one of several processes."""
    return lambda rank, count: monkeypatch.setattr(
        mmengine.dataset.sampler, 'get_dist_info', lambda: (rank, count))


def loader_config(root, count, num_workers):
    return dict(
        dataset=dict(
            type='RGBDFrameDataset',
            data_root=str(root),
            indices=INDICES,
            pipeline=PIPELINE),
        sampler=dict(type='SeededSampler', shuffle=True),
        collate_fn=dict(type='collate_frames'),
        drop_last=True,
        num_workers=num_workers,
        batch_size=BATCH // count)


def described(batch):
    """Which samples a batch has, and their augmented points, to the bit."""
    return [(sample.metainfo['sample_idx'], points.numpy().tobytes())
            for points, sample in zip(batch['inputs']['points'],
                                      batch['data_samples'])]


def dealt_out(parts):
    """The global batch of a step from those of the processes."""
    return list(itertools.chain(*zip(*parts)))


def steps_of(root, as_rank, count, num_workers, epoch, begin=0):
    """What each step of an epoch takes, over all processes."""
    ranks = []
    for rank in range(count):
        as_rank(rank, count)
        loader = Runner.build_dataloader(
            loader_config(root, count, num_workers), seed=7)
        assert len(loader) == STEPS
        loader.sampler.set_epoch(epoch)
        loader.sampler.skip(begin * loader.batch_size)
        ranks.append([described(batch) for batch in loader])
    return [dealt_out(parts) for parts in zip(*ranks)]


@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize('count', [1, 2, 4])
def test_steps_are_those_of_one_process(root, as_rank, count, num_workers):
    expected = steps_of(root, as_rank, 1, 0, epoch=3)
    assert len(expected) == STEPS and all(len(s) == BATCH for s in expected)
    assert len({index for step in expected for index, _ in step}) == 20
    assert steps_of(root, as_rank, count, num_workers, 3) == expected
    assert steps_of(root, as_rank, count, num_workers, 3, 2) == expected[2:]


@MODELS.register_module()
class SeeingModel(BaseModel):
    """Remembers its batches."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer = torch.nn.Linear(3, 1)
        self.seen = []

    def forward(self, inputs, data_samples, mode='loss'):
        self.seen.append(
            described(dict(inputs=inputs, data_samples=data_samples)))
        points = torch.stack(inputs['points'])
        return dict(loss=self.layer(points[..., :3]).square().mean())


def train(root, work_dir, count, **settings):
    """Batches of a run, of one and a half epochs, of this process."""
    forget_runs()
    cfg = dict(
        model=dict(type='SeeingModel'),
        work_dir=str(work_dir),
        train_dataloader=loader_config(root, count, 0),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=8),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        default_scope='mmdet3d',
        randomness=dict(seed=7),
        experiment_name=Path(work_dir).name,
        **settings)
    runner = PointRunner(**cfg, cfg=cfg)
    runner.train()
    return runner.model.seen


@pytest.mark.parametrize('done', [3, 6])
@pytest.mark.parametrize('count', [2, 4])
def test_a_run_is_resumed_by_more_processes(root, as_rank, tmp_path, count,
                                            done):
    as_rank(0, 1)
    expected = train(root, tmp_path / 'one', 1)
    ranks = []
    for rank in range(count):
        as_rank(rank, count)
        ranks.append(
            train(
                root,
                tmp_path / f'rank{rank}',
                count,
                load_from=str(tmp_path / 'one' / f'iter_{done}.pth'),
                resume=True))
    assert [dealt_out(parts) for parts in zip(*ranks)] == expected[done:]
