"""What methods on two views of a frame have in common."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import distributed as dist

from sam3d_plugin.engine.hooks import CollapseAlarmHook
from sam3d_plugin.store.errors import UserError
from tests import processes
from .view_cases import (CONFIGS, build, build_exact, losses_of, make_batch,
                         total)

STEPS, FRAMES = 3, 4


def train(model, batches):
    """Train; return the losses of each step and the weights after it."""
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=.1))
    logs = [model.train_step(batch, optimizer) for batch in batches]
    return logs, getattr(model, 'module', model).state_dict()


def batches(rank=0, num_processes=1):
    numbers = range(rank, FRAMES, num_processes)
    return [make_batch(numbers, draw) for draw in range(STEPS)]


def train_one_of_two(rank, folder):
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    results = {}
    for name, config in CONFIGS.items():
        model = MMDistributedDataParallel(build_exact(config), device_ids=None)
        results[name] = train(model, batches(rank, 2))
    torch.save(results, folder / f'{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def of_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes')
    processes.run_all(train_one_of_two, [(rank, folder) for rank in range(2)])
    return [torch.load(folder / f'{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize('name', CONFIGS)
def test_two_processes_equal_one_of_twice_the_batch(name, of_two):
    model = build_exact(CONFIGS[name])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    logs, expected = train(model, batches())
    moved = [k for k in before if not torch.equal(before[k], expected[k])]
    assert {k.split('.')[0]
            for k in moved} == {k.split('.')[0]
                                for k in before}
    for step, log in enumerate(logs):
        for key, value in log.items():
            mean = sum(result[name][0][step][key] for result in of_two) / 2
            torch.testing.assert_close(mean, value, atol=1e-5, rtol=1e-5)
    for result in of_two:
        torch.testing.assert_close(
            result[name][1], dict(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', CONFIGS)
def test_gradients_flow_where_they_may(name):
    model = build(CONFIGS[name])
    total(losses_of(model, make_batch(range(4)))).backward()
    frozen = 0
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad).all(), key
            assert parameter.grad.abs().max() > 0, key
        else:
            frozen += 1
            assert parameter.grad is None, key
    assert frozen > 0


@pytest.mark.parametrize('name', CONFIGS)
def test_evaluation_changes_nothing(name):
    """The alarm's look at a batch of views too."""
    config = CONFIGS[name]
    model = build(config)
    batch = make_batch(range(2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    logged = {}
    CollapseAlarmHook(interval=1).after_train_iter(
        SimpleNamespace(
            model=model,
            iter=0,
            cfg=Config(dict(model=config)),
            message_hub=SimpleNamespace(update_scalar=logged.__setitem__)), 0,
        batch)
    assert logged['train/spread_features'] > 0
    losses_of(model.eval(), batch)
    torch.testing.assert_close(dict(model.state_dict()), before)


@pytest.mark.parametrize('name', CONFIGS)
def test_a_batch_without_views_is_refused(name):
    batch = make_batch(range(2))
    batch['inputs']['points'] = [p[0] for p in batch['inputs']['points']]
    with pytest.raises(UserError, match='TwoViews'):
        losses_of(build(CONFIGS[name]), batch)
