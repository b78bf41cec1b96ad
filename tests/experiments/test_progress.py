"""A run that shows a line a step, and a page that grows."""
import pytest

from sam3d_plugin.experiments.progress import Progress, roughly, seconds_left
from sam3d_plugin.experiments.steps import Command, Record, run_steps


def writing(name, path, code='pass'):
    line = f'print("said by {name}"); {code}; open({str(path)!r}, "w")'
    return Command(['python', '-c', line], str(path), name, f'For {name}.')


@pytest.fixture
def work(tmp_path):
    """Function that runs three steps, with a page after the first."""
    steps = [writing(name, tmp_path / name) for name in ('a', 'b', 'last')]

    def page(text):
        line = f'open({str(tmp_path / "page")!r}, "a").write({text!r} + ";")'
        return Command(['python', '-c', line], str(tmp_path / 'page'))

    def run(steps=steps, page=page):
        record = Record(str(tmp_path), {}, {})
        with Progress(record, dict(a=100, b=200, last=100),
                      tmp_path / 'log.txt', page, ('a', )) as progress:
            run_steps(steps, record, None, progress)
        return record.machine

    run.steps, run.folder = steps, tmp_path
    return run


def test_every_step_is_a_line_and_the_log_has_the_rest(work, capfd):
    work()
    shown = capfd.readouterr().out
    lines = [line for line in shown.splitlines() if '/3 ' in line]
    assert lines[0] == '1/3 a: For a. About 7 min left.'
    assert lines[1].startswith('2/3 b') and len(lines) == 3
    log = (work.folder / 'log.txt').read_text()
    for step in work.steps:
        assert f'$ {step}\n' in log and f'said by {step.name}\n' in log
    assert 'said by' not in ' '.join(lines)


def test_the_page_is_written_after_a_milestone_and_named_once(work, capfd):
    machine = work()
    assert float(machine['first pictures'].removesuffix(' s')) >= 0
    page = work.folder / 'page'
    assert page.read_text().startswith('Step 2 of 3, b, began at ')
    assert page.read_text().count(';') == 1
    assert capfd.readouterr().out.count(str(page)) == 1
    (work.folder / 'b').unlink()
    # It goes on after the milestone, whose page is written again.
    assert not work()
    assert page.read_text().count(';') == 2
    assert capfd.readouterr().out.count(str(page)) == 1


def test_a_page_that_fails_does_not_stop_the_run(work, capfd):
    work(page=lambda text: Command(['python', '-c', 'exit(3)'], 'none'))
    assert (work.folder / 'last').exists()
    assert 'page was not written' in capfd.readouterr().out


def test_a_failure_shows_what_the_step_said_last(work, capfd):
    broken = writing('b', work.folder / 'b', 'exit("no more disk")')
    with pytest.raises(SystemExit, match='"b" ended with status 1'):
        work([work.steps[0], broken, work.steps[2]])
    assert 'no more disk' in capfd.readouterr().err
    assert not (work.folder / 'last').exists()


def test_time_left_follows_the_speed_so_far(tmp_path):
    steps = [Command(['python'], name, name) for name in 'abc']
    expected = dict(a=10., b=20., c=30.)
    record = Record(str(tmp_path), {}, {})
    assert seconds_left(steps, 1, record, expected) == 60
    record.of(steps[0]).seconds = 30.  # three times as slow
    assert seconds_left(steps, 2, record, expected) == 150
    assert seconds_left(steps, 2, record, dict(a=10.)) == 0


@pytest.mark.parametrize('seconds, text', [(0, '1 min'), (89, '1 min'),
                                           (400, '7 min')])
def test_times_are_rough(seconds, text):
    assert roughly(seconds) == text
