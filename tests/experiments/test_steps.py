"""Commands in order: what runs again, what they took, how they stop."""
import json
import resource
import signal
import time

import pytest

from sam3d_plugin.engine.options import read_config
from sam3d_plugin.experiments import steps
from sam3d_plugin.experiments.steps import (Command, Record, run_command,
                                            run_steps)

MACHINE = {'cores': 2}
USAGE = resource.getrusage(resource.RUSAGE_SELF)


def writing(name, path, code='pass'):
    """A step that appends a line to a file."""
    line = f'open({str(path)!r}, "a").write("x\\n"); {code}'
    return Command(['python', '-c', line], str(path), name.upper(),
                   'For a test.')


@pytest.fixture
def work(tmp_path):
    """Two steps and a function that runs them."""
    both = [writing('first', tmp_path / 'a'), writing('last', tmp_path / 'b')]

    def run(wanted=both, **settings):
        record = Record(str(tmp_path / 'work'), settings, MACHINE)
        run_steps(wanted, record, {})

    run.steps, run.folder = both, tmp_path
    return run


def lines(path):
    return len(path.read_text().splitlines())


def stopped(work, *wanted):
    """What is said when the last of these steps stops the work."""
    with pytest.raises(SystemExit) as stop:
        work(wanted)
    return stop.value.code


def test_every_step_shows_its_command_and_its_cost(work, capsys):
    work()
    shown = capsys.readouterr().out
    assert '== 2/2 LAST. For a test.\n$ python -c' in shown
    assert all(f'$ {step}\n' in shown for step in work.steps)
    content = json.loads((work.folder / 'work/steps.json').read_text())
    assert content['machine'] == MACHINE
    for cost in content['steps']:
        assert cost['is_done'] and cost['seconds'] > 0
        assert cost['cpu_s'] > 0 and cost['peak_mb'] > 1


def test_finished_steps_are_not_run_again(work, capsys):
    work()
    work()
    assert lines(work.folder / 'a') == lines(work.folder / 'b') == 1
    assert capsys.readouterr().out.count('done before') == 2
    (work.folder / 'a').unlink()
    work()
    assert (lines(work.folder / 'a'), lines(work.folder / 'b')) == (1, 2)


def test_without_a_record_a_step_is_done_when_its_output_is_there(
        work, capsys):
    plain = [Command(step.command, step.output) for step in work.steps]
    run_steps(plain)
    (work.folder / 'a').unlink()
    run_steps(plain)
    assert lines(work.folder / 'a') == lines(work.folder / 'b') == 1
    assert not (work.folder / 'work').exists()
    shown = capsys.readouterr().out
    assert f'== 2/2 {work.folder / "b"}: done before' in shown
    assert f'== 1/2 {work.folder / "a"}\n$ python' in shown


def test_a_failing_step_stops_the_rest_and_goes_on_later(work, capfd):
    first, last = work.steps
    broken = writing('broken', work.folder / 'c', 'exit("no more disk")')
    said = stopped(work, first, broken, last)
    assert 'error: step "BROKEN" ended with status 1' in said
    assert 'rerun the command' in said and said.endswith(str(broken))
    assert 'no more disk' in capfd.readouterr().err
    assert not (work.folder / 'b').exists()
    record = Record(str(work.folder / 'work'), {}, MACHINE)
    spent = record.of(broken).seconds
    assert spent > 0 and not record.of(broken).is_done
    mended = writing('broken', work.folder / 'c')
    work([first, mended, last])
    assert (lines(work.folder / 'a'), lines(work.folder / 'c')) == (1, 2)
    assert Record(str(work.folder / 'work'), {},
                  MACHINE).of(mended).seconds > spent


def test_a_killed_step_is_named(work):
    killed = writing('killed', work.folder / 'c',
                     'import os; os.kill(os.getpid(), 9)')
    assert 'killed by signal 9, as happens when memory' in stopped(
        work, killed)


def test_a_step_without_its_output_stops_the_rest(work):
    idle = Command(['python', '-c', 'pass'], str(work.folder / 'c'))
    assert f'ended well, but left no {idle.output}' in stopped(work, idle)


def test_what_follows_an_interrupted_repetition_is_run_again(work):
    work()
    (work.folder / 'a').unlink()
    first = writing('first', work.folder / 'a', 'exit(1)')
    stopped(work, first, work.steps[1])
    work()
    assert lines(work.folder / 'b') == 2


def test_tools_and_configs_are_found_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/train.py').write_text('raise SystemExit(7)')
    monkeypatch.chdir(tmp_path)
    assert run_command(['python', 'tools/train.py', '--help'])[0] == 0
    cfg = read_config('configs/sam3d/votenet_scannet.py', {})
    assert cfg.model.type == 'VoteNet'


def test_an_interruption_waits_for_the_command():
    """Ctrl-C reaches both; the command may have a checkpoint to finish."""
    code = ('import os, signal, sys, time; '
            'os.kill(os.getppid(), signal.SIGINT); time.sleep(.3); '
            'sys.exit(5)')
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        begin = time.monotonic()
        status, _ = run_command(['python', '-c', code])
    finally:
        signal.signal(signal.SIGINT, old)
    assert status == 130 and time.monotonic() - begin > .3


def test_an_interruption_stops_the_rest(work, monkeypatch, capsys):
    monkeypatch.setattr(steps, 'run_command', lambda *_: (130, USAGE))
    assert stopped(work, *work.steps) == 130
    assert 'resume' in capsys.readouterr().err


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
