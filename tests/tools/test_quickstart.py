"""The quickstart: its commands and their options."""
import re
from pathlib import Path

import pytest

from tests.tools.conftest import TOOLS, load_tool


@pytest.fixture(scope='module')
def quickstart():
    return load_tool('quickstart')


def steps_of(quickstart, *options):
    return quickstart.build_steps(quickstart.parse_args(list(options)))


@pytest.mark.parametrize('options', [[], ['--gpus', '4', '--steps', '9']])
def test_every_command_parses_with_its_own_tool(quickstart, options):
    """Running them is `make quickstart`."""
    for step in steps_of(quickstart, *options, '--work-dir', 'w'):
        script = next(i for i, part in enumerate(step.command)
                      if part.startswith('tools/'))
        name = step.command[script]
        tool = load_tool(str(Path(name).relative_to('tools').with_suffix('')))
        tool.parse_args(step.command[script + 1:])


def test_several_gpus_share_the_batch_of_one(quickstart):
    one, two = (
        next(
            s.command for s in steps_of(quickstart, '--gpus', n)
            if s.name == 'stage 1') for n in '12')
    assert one[:2] == ['python', 'tools/train.py']
    assert 'train_dataloader.batch_size=1' in two
    assert two[:2] == ['torchrun', '--nproc_per_node=2']
    with pytest.raises(SystemExit):
        quickstart.parse_args(['--gpus', '-1'])
    with pytest.raises(SystemExit):
        quickstart.parse_args(['--steps', '7'])


@pytest.mark.parametrize('is_fast', [True, False])
def test_bfloat16_is_used_where_the_processor_has_it(quickstart, monkeypatch,
                                                     is_fast):
    monkeypatch.setattr(quickstart, 'has_bfloat16', lambda: is_fast)
    for step in steps_of(quickstart):
        trains = 'tools/train.py' in step.command
        assert ('--amp' in step.command) == (trains and is_fast)


def test_a_missing_gpu_is_a_sentence(quickstart, monkeypatch):
    monkeypatch.setattr(quickstart, 'GPU_NAMES', 'print("one")')
    assert quickstart.check_gpus(0) == []
    assert quickstart.check_gpus(1) == ['one']
    with pytest.raises(SystemExit, match='GPU=2 asks.*without GPU='):
        quickstart.check_gpus(2)


@pytest.mark.parametrize('name', ['STAGE1', 'STAGE2', 'DETECTOR', 'SEGMENTOR'])
def test_options_fit_the_configs(quickstart, name):
    """The settings of a training exist, so that none is a misspelling."""
    from mmengine.config import Config
    training = getattr(quickstart, name)
    step = next(
        s for s in steps_of(quickstart, '--steps', '9', '--gpus', '2')
        if s.name == training.title)
    cfg = Config.fromfile(TOOLS.parent / training.config)
    options = step.command[step.command.index('--cfg-options') + 1:]
    for option in options:
        key = option.partition('=')[0]
        # It is not in the configs, and what it says is checked strictly.
        key = key.partition('.init_cfg')[0]
        node = cfg
        for part in key.split('.'):
            node = node[int(part)] if part.isdigit() else node[part]
    assert (cfg.train_dataloader.batch_size,
            cfg.train_cfg.max_iters) == (training.batch, training.steps)


def test_make_lists_the_target():
    text = (TOOLS.parent / 'Makefile').read_text()
    assert re.search(r'^quickstart: setup ## ', text, re.M)
