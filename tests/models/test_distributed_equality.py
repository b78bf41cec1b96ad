"""Two processes, or accumulated steps, train as one large batch does."""
from pathlib import Path

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import distributed as dist

import projects.point_mae  # noqa: F401 (registers)
from tests import processes
from .pretraining_cases import (BALANCED_HEAD, JOINT, KNN, STAGE1, build,
                                make_batch, save_teacher, stage2, with_parts,
                                without_drop_path, without_norm_statistics)

STEPS, FRAMES = 3, 4
POINT_MAE = dict(
    with_parts(JOINT, tokenizer=KNN),
    type='PointMAE',
    head=dict(
        type='NeighborhoodHead',
        in_channels=32,
        num_neighbors=KNN['num_neighbors']),
    target_generator=dict(type='NeighborhoodTargets'))


def configs(folder):
    return dict(
        stage1=dict(STAGE1, head=BALANCED_HEAD),
        stage1_knn=with_parts(STAGE1, tokenizer=KNN),
        joint=dict(JOINT, head=BALANCED_HEAD),
        stage2=stage2(str(folder / 'teacher.pth')),
        point_mae=POINT_MAE)


NAMES = list(configs(Path()))


def batches():
    """Batches of frames with unequal numbers of tokens."""
    return [
        make_batch((4, 25, 11, 2), num_points=120, seed=10 * step)
        for step in range(STEPS)
    ]


def part_of(batch, rank, num_parts=2):
    """The frames that a sampler deals out to one process."""
    return dict(
        inputs=dict(points=batch['inputs']['points'][rank::num_parts]),
        data_samples=batch['data_samples'][rank::num_parts])


def build_exact(config):
    """A model whose frames do not mix."""
    return without_norm_statistics(build(without_drop_path(config)))


def optimizer_of(model, **options):
    # A step is linear in the gradient; Adam's would blow rounding up.
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=.1), **options)


def train(model, steps):
    """Train; return the losses of each step and the weights after it."""
    optimizer = optimizer_of(model)
    logs = [model.train_step(batch, optimizer) for batch in steps]
    return logs, getattr(model, 'module', model).state_dict()


def train_one_of_two(rank, folder):
    """What a process does: first exactly, then as in a real training."""
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    steps = [part_of(batch, rank) for batch in batches()]
    results = {}
    for name, config in configs(folder).items():
        for make in (build_exact, build):
            # The second step would complain about parameters without
            # gradient in the first.
            model = MMDistributedDataParallel(make(config), device_ids=None)
            results[name, make.__name__] = train(model, steps)
    torch.save(results, folder / f'{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes')
    save_teacher(folder / 'teacher.pth')
    return folder


@pytest.fixture(scope='module')
def of_two(folder):
    processes.run_all(train_one_of_two, [(rank, folder) for rank in range(2)])
    return [torch.load(folder / f'{rank}.pth') for rank in range(2)]


def assert_same_weights(state, expected):
    for name, tensor in expected.items():
        torch.testing.assert_close(
            state[name], tensor, atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize('name', NAMES)
def test_two_processes_equal_one_of_twice_the_batch(name, folder, of_two):
    model = build_exact(configs(folder)[name])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    logs, expected = train(model, batches())
    moved = max((expected[k] - before[k]).abs().max() for k in before
                if k != 'frames_seen')
    assert moved > 1e-3
    assert expected['frames_seen'] == STEPS * FRAMES
    for step, log in enumerate(logs):
        for key, value in log.items():
            mean = sum(r[name, 'build_exact'][0][step][key]
                       for r in of_two) / 2
            torch.testing.assert_close(mean, value, atol=1e-5, rtol=1e-5)
    for result in of_two:
        assert_same_weights(result[name, 'build_exact'][1], expected)


@pytest.mark.parametrize('name', NAMES)
def test_every_parameter_is_used_and_processes_agree(name, of_two):
    """In training mode, without a search for unused parameters."""
    first, second = (result[name, 'build'][1] for result in of_two)
    assert not any('teacher' in key for key in first)
    for key in first:
        if 'running' not in key and 'batches' not in key:
            assert first[key].equal(second[key]), key


@pytest.mark.parametrize('num_parts', [2, 4])
@pytest.mark.parametrize('name', NAMES)
def test_accumulated_steps_equal_one_large_batch(name, num_parts, folder):
    config = configs(folder)[name]
    _, expected = train(build_exact(config), batches())
    model = build_exact(config)
    optimizer = optimizer_of(model, accumulative_counts=num_parts)
    optimizer.initialize_count_status(model, 0, STEPS * num_parts)
    share = FRAMES // num_parts
    for batch in batches():
        for i in range(num_parts):
            places = slice(i * share, (i + 1) * share)
            part = dict(
                inputs=dict(points=batch['inputs']['points'][places]),
                data_samples=batch['data_samples'][places])
            model.train_step(part, optimizer)
    assert_same_weights(model.state_dict(), expected)
