"""The quickstart: its commands, what it runs again, how it stops."""
import json
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from tests.tools.conftest import TOOLS, load_tool
from tools.named_steps import Record, Step, run_command, run_steps

MACHINE = {'cores': 2}


@pytest.fixture(scope='module')
def quickstart():
    return load_tool('quickstart')


def steps_of(quickstart, *options):
    return quickstart.build_steps(quickstart.parse_args(list(options)))


def writing(name, path, code='pass'):
    """A step that appends a line to a file."""
    line = f'open({str(path)!r}, "a").write("x\\n"); {code}'
    return Step(name, name.upper(), 'For a test.', ['python', '-c', line],
                [str(path)])


@pytest.fixture
def work(tmp_path):
    """Two steps and a function that runs them."""
    steps = [writing('first', tmp_path / 'a'), writing('last', tmp_path / 'b')]

    def run(steps=steps, **settings):
        record = Record(str(tmp_path / 'work'), settings, MACHINE)
        return run_steps(steps, record, {})

    run.steps, run.folder = steps, tmp_path
    return run


def lines(path):
    return len(path.read_text().splitlines())


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
        assert step.outputs and step.purpose.endswith('.')
    named = dict(seen)
    assert named['stage1'].resume == named['stage2'].resume == 'auto'
    steps = 9 if options else 500
    assert named['stage2'].cfg_options[
        'teacher'] == f'w/stage1/iter_{steps}.pth'
    assert named['export stage 2'].source == f'w/stage2/iter_{steps}.pth'
    assert list(named['report'].probes) == ['untrained', 'stage 1', 'stage 2']


def test_several_gpus_share_the_batch_of_one(quickstart):
    one, two = (
        next(
            s.command for s in steps_of(quickstart, '--gpus', n)
            if s.name == 'stage1') for n in '12')
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
        if step.name not in ('stage1', 'stage2'):
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


def test_every_step_shows_its_command_and_its_cost(work, capsys):
    assert work() == 0
    shown = capsys.readouterr().out
    for step in work.steps:
        assert f'$ {shlex.join(step.command)}' in shown
    content = json.loads((work.folder / 'work/steps.json').read_text())
    assert content['machine'] == MACHINE
    for cost in content['steps']:
        assert cost['is_done'] and cost['seconds'] > 0
        assert cost['cpu_s'] > 0 and cost['peak_mb'] > 1


def test_finished_steps_are_not_run_again(work, capsys):
    work()
    assert work() == 0
    assert lines(work.folder / 'a') == lines(work.folder / 'b') == 1
    assert capsys.readouterr().out.count('done before') == 2
    (work.folder / 'a').unlink()
    assert work() == 0
    assert (lines(work.folder / 'a'), lines(work.folder / 'b')) == (1, 2)


def test_a_failing_step_stops_the_rest_and_goes_on_later(work, capfd):
    first, last = work.steps
    broken = writing('broken', work.folder / 'c', 'exit("no more disk")')
    assert work([first, broken, last]) == 1
    shown = capfd.readouterr().err
    assert re.search(
        'no more disk\n.*error: step "BROKEN" ended with status 1', shown,
        re.S) and 'same command again' in shown
    assert not (work.folder / 'b').exists()
    record = Record(str(work.folder / 'work'), {}, MACHINE)
    spent = record.of(broken).seconds
    assert spent > 0 and not record.of(broken).is_done
    mended = writing('broken', work.folder / 'c')
    assert work([first, mended, last]) == 0
    assert (lines(work.folder / 'a'), lines(work.folder / 'c')) == (1, 2)
    assert Record(str(work.folder / 'work'), {},
                  MACHINE).of(mended).seconds > spent


def test_a_killed_step_is_named(work, capfd):
    killed = writing('killed', work.folder / 'c',
                     'import os; os.kill(os.getpid(), 9)')
    assert work([killed]) == 1
    assert 'killed by signal 9, as happens when memory' in capfd.readouterr(
    ).err


def test_what_follows_an_interrupted_repetition_is_run_again(work):
    work()
    (work.folder / 'a').unlink()
    first = writing('first', work.folder / 'a', 'exit(1)')
    assert work([first, work.steps[1]]) == 1
    assert work() == 0
    assert lines(work.folder / 'b') == 2


def test_an_interruption_waits_for_the_command():
    """Ctrl-C reaches both; the command may have a checkpoint to finish."""
    code = ('import os, signal, sys, time; '
            'os.kill(os.getppid(), signal.SIGINT); time.sleep(.3); '
            'sys.exit(5)')
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        begin = time.monotonic()
        status, _ = run_command(['python', '-c', code], {})
    finally:
        signal.signal(signal.SIGINT, old)
    assert status == 130 and time.monotonic() - begin > .3


def test_other_settings_are_refused(work):
    work(steps_of_stage=3)
    with pytest.raises(
            SystemExit,
            match='was made with steps_of_stage 3, now '
            'it is 4: remove'):
        work(steps_of_stage=4)
    (work.folder / 'work/steps.json').write_text('{')
    with pytest.raises(SystemExit, match='damaged.*remove it'):
        work()


def test_make_lists_the_target():
    text = (TOOLS.parent / 'Makefile').read_text()
    assert re.search(r'^quickstart: setup ## ', text, re.M)
