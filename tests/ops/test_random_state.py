"""The caller's random numbers are the same after our code as before."""
import ast
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from sam3d_plugin.datasets.seeding import SampleKey
from sam3d_plugin.datasets.seeding import seeded as seeded_sample
from sam3d_plugin.ops.random_state import keep_random_state, seeded
from tests.random_states import unchanged_random_state

ROOT = Path(__file__).resolve().parents[2]
# The only modules that touch the state of global generators.
KEEPERS = {
    'sam3d_plugin/ops/random_state.py', 'sam3d_plugin/datasets/seeding.py'
}
GLOBAL = {
    'torch.manual_seed', 'torch.seed', 'torch.set_rng_state',
    'torch.default_generator.manual_seed', 'torch.random.manual_seed',
    'torch.random.fork_rng', 'torch.cuda.manual_seed',
    'torch.cuda.manual_seed_all', 'np.random.seed', 'np.random.set_state',
    'random.seed', 'random.setstate', 'set_random_seed', 'seed_everything'
}


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def seeding_calls(source):
    """Calls that change the state of a global generator."""
    return [
        ast.unparse(node.func) for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in GLOBAL
    ]


@pytest.mark.parametrize('folder', ['sam3d_plugin', 'tools', 'projects'])
def test_nothing_else_seeds_global_generators(folder):
    found = {
        str(path.relative_to(ROOT)): calls
        for path in (ROOT / folder).rglob('*.py')
        if (calls := seeding_calls(path.read_text()))
    }
    assert set(found) == {k for k in KEEPERS if k.startswith(f'{folder}/')}


@pytest.mark.parametrize('line', [
    'torch.manual_seed(0)', 'with torch.random.fork_rng(devices=[]): pass',
    'np.random.seed(1)', 'set_random_seed(0)'
])
def test_seeding_is_found(line):
    assert seeding_calls(line)
    assert not seeding_calls('torch.Generator().manual_seed(0)')


def test_seeded_numbers_are_those_of_the_seed():
    with unchanged_random_state():
        with seeded(7):
            first = draw()
        with seeded(7):
            assert draw() == first
        with seeded(8):
            assert draw() != first
    expected = torch.rand(1, generator=torch.Generator().manual_seed(7))
    assert first[2] == expected.item()


@pytest.mark.parametrize('context', [
    lambda: keep_random_state(), lambda: seeded(3),
    lambda: seeded_sample(SampleKey(1))
])
def test_state_is_restored_after_an_error(context):
    with unchanged_random_state():
        with pytest.raises(KeyError):
            with context():
                draw()
                raise KeyError


def test_only_the_device_in_use_is_seeded(monkeypatch):
    """Two devices, with CPU generators in the place of CUDA's."""
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    states = [g.get_state() for g in generators]
    monkeypatch.setattr(torch.cuda, 'default_generators', generators)
    monkeypatch.setattr(torch.cuda, 'get_rng_state',
                        lambda device: generators[device.index].get_state())
    monkeypatch.setattr(
        torch.cuda, 'set_rng_state',
        lambda state, device: generators[device.index].set_state(state))
    with unchanged_random_state(), seeded(7, torch.device('cuda', 1)):
        assert generators[0].get_state().equal(states[0])
        drawn = torch.rand(3, generator=generators[1])
    expected = torch.rand(3, generator=torch.Generator().manual_seed(7))
    assert drawn.equal(expected)
    for generator, state in zip(generators, states):
        assert generator.get_state().equal(state)
