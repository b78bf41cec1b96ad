"""The quickstart: its commands and their options."""
import json
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
        assert vars(tool.parse_args(step.command[script + 1:]))


def test_a_page_is_written_of_what_there_is(quickstart, tmp_path):
    args = quickstart.parse_args(['--work-dir', str(tmp_path)])
    steps = quickstart.build_steps(args)
    tool = load_tool('visualize/pretraining_report')
    record = quickstart.Record(str(tmp_path), {}, {})
    shown = []
    for step in steps:
        if str(tmp_path) in step.output:
            Path(step.output).parent.mkdir(exist_ok=True)
            Path(step.output).touch()
        if step.name in quickstart.MILESTONES:
            command = quickstart.page_so_far(args, record, step.name).command
            page = tool.parse_args(command[2:])
            shown.append(
                (list(page.models), list(page.probes), list(page.runs),
                 len(page.detector)))
    names = ['untrained', 'stage 1', 'stage 2']
    # The detector of the package is shown from the first page on.
    assert shown == [(names[:1], [], [], 1),
                     (names[:2], names[:2], names[1:2], 1),
                     (names, names, names[1:], 1),
                     (names, names, names[1:], 2)]
    assert json.loads(Path(page.steps).read_text()) == dict(
        settings={}, machine={}, steps=[], unfinished='detector: scores')
    assert not page.segmentor
    last = tool.parse_args(steps[-1].command[2:])
    assert last.steps == f'{tmp_path}/steps.json' and last.segmentor
    assert len(last.models) == 3


def test_the_first_page_comes_within_two_minutes(quickstart):
    steps = steps_of(quickstart)
    expected = quickstart.expected_seconds(quickstart.parse_args([]))
    assert {step.name for step in steps} <= set(expected)
    first = [step.name for step in steps].index(quickstart.MILESTONES[0])
    assert sum(expected[s.name] for s in steps[:first + 1]) < 100
    short = quickstart.expected_seconds(
        quickstart.parse_args(['--steps', '50']))
    assert short['stage 2'] == pytest.approx(expected['stage 2'] / 10)
    assert short['rooms and frames'] == expected['rooms and frames']


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
    monkeypatch.setattr('sam3d_plugin.experiments.steps.has_bfloat16',
                        lambda: is_fast)
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
        key = key.partition('.init_cfg')[0].removesuffix('.frozen')
        node = cfg
        for part in key.split('.'):
            node = node[int(part)] if part.isdigit() else node[part]
    assert cfg.train_dataloader.batch_size == training.batch
    complete = next(
        s for s in steps_of(quickstart) if s.name == training.title)
    assert f'train_cfg.max_iters={training.steps}' in complete.command


def test_make_lists_the_target():
    text = (TOOLS.parent / 'Makefile').read_text()
    assert re.search(r'^quickstart: setup ## ', text, re.M)
