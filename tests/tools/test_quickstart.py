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
    seen = []
    for step in steps_of(quickstart, *options, '--work-dir', 'w'):
        script = next(i for i, part in enumerate(step.command)
                      if part.startswith('tools/'))
        name = step.command[script]
        tool = load_tool(str(Path(name).relative_to('tools').with_suffix('')))
        args = tool.parse_args(step.command[script + 1:])
        seen.append((step.name, args))
        assert step.output and step.purpose.endswith('.')
    named = dict(seen)
    assert named['stage 1'].resume == named['stage 2'].resume == 'auto'
    steps = 9 if options else 500
    assert named['stage 2'].cfg_options[
        'teacher'] == f'w/stage1/iter_{steps}.pth'
    assert named['encoder: stage 2'].source == f'w/stage2/iter_{steps}.pth'
    assert list(named['report'].probes) == ['untrained', 'stage 1', 'stage 2']


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


def test_a_missing_gpu_is_a_sentence(quickstart, monkeypatch):
    monkeypatch.setattr(quickstart, 'GPU_NAMES', 'print("one")')
    assert quickstart.check_gpus(0) == []
    assert quickstart.check_gpus(1) == ['one']
    with pytest.raises(SystemExit, match='GPU=2 asks.*without GPU='):
        quickstart.check_gpus(2)


def test_options_fit_the_configs(quickstart):
    """The settings of both stages exist, so that none is a misspelling."""
    from mmengine.config import Config
    for step in steps_of(quickstart, '--steps', '9', '--gpus', '2'):
        if step.name not in ('stage 1', 'stage 2'):
            continue
        config = next(c for c in step.command if c.startswith('configs/'))
        cfg = Config.fromfile(TOOLS.parent / config)
        options = step.command[step.command.index('--cfg-options') + 1:]
        for option in options:
            node = cfg
            for key in option.partition('=')[0].split('.'):
                node = node[int(key)] if key.isdigit() else node[key]
        frames = cfg.train_dataloader.batch_size
        assert (frames, cfg.train_cfg.max_iters) == (quickstart.BATCH,
                                                     quickstart.STEPS)


def test_make_lists_the_target():
    text = (TOOLS.parent / 'Makefile').read_text()
    assert re.search(r'^quickstart: setup ## ', text, re.M)
