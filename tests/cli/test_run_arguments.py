"""The command line of preparation: one sentence and a status, no traceback."""
import argparse
import errno
import io
import os
from contextlib import contextmanager

import pytest
from rich.console import Console

from sam3d_plugin.cli.run_arguments import add_run_arguments
from sam3d_plugin.cli.tool import PREPARATION, run_tool
from sam3d_plugin.preparation.running.runs import RunOptions, run_step
from sam3d_plugin.store import files
from sam3d_plugin.store.errors import FrameError, StoreError
from tests.preparation.running.doubling import Doubling


def run(function):
    return run_tool(function, argparse.Namespace(), PREPARATION)


def raising(error):

    def function(args):
        raise error

    return function


@pytest.mark.parametrize('error, words', [
    (StoreError('no store'), ['no store']),
    (FrameError('no frame'), ['no frame']),
    (FileNotFoundError('x is missing; run y'), ['x is missing; run y']),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC),
             'out/a.png'), ['out/a.png', 'no space left']),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ['no space left']),
    (NotADirectoryError(errno.ENOTDIR, 'Not a directory',
                        'a/b'), ['a/b: not a directory']),
])
def test_errors_are_one_sentence(error, words, capsys):
    assert run(raising(error)) == 1
    message = capsys.readouterr().err
    assert message.startswith('error: ') and message.count('\n') == 1
    assert all(word in message for word in words)


def test_an_unforeseen_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda args: 1 / 0)


def test_status_of_success_and_interruption(capsys):
    assert run(lambda args: None) == 0
    assert run(lambda args: 3) == 3
    assert run(raising(KeyboardInterrupt())) == 130
    assert 'rerun the command' in capsys.readouterr().err


@pytest.mark.parametrize('text, reason', [
    ('{"backend": "nowhere"}', 'no such backend'),
    ('{"backend": "local", "size": 3}', 'no such backend'),
    ('[1]', 'JSON'),
    ('{', 'JSON'),
])
def test_backends_that_do_not_exist(text, reason, capsys):
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(['--backend-args', text])
    assert caught.value.code == 2 and reason in capsys.readouterr().err


def test_full_disk_is_told_with_the_file(tmp_path, monkeypatch):

    @contextmanager
    def full(path, sync):
        raise OSError(errno.ENOSPC, 'No space left on device')
        yield

    monkeypatch.setattr(files, 'atomic_write', full)
    with pytest.raises(OSError, match='No space .*report.png') as caught:
        files.write_bytes(tmp_path / 'report.png', b'1')
    assert caught.value.errno == errno.ENOSPC


def test_full_disk_leaves_no_draft(tmp_path, monkeypatch):

    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(files.Path, 'write_bytes', full)
    with pytest.raises(OSError):
        files.write_new(tmp_path / 'store.json', b'1')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('in_ci', [False, True])
def test_progress_is_quiet_in_ci(tmp_path, monkeypatch, in_ci):
    monkeypatch.delenv('CI', raising=False)
    if in_ci:
        monkeypatch.setenv('CI', 'true')
    (tmp_path / 'in' / 'a').mkdir(parents=True)
    (tmp_path / 'in' / 'a' / '0.txt').write_text('1')
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    run_step(
        Doubling(tmp_path / 'in'), tmp_path / 'out', RunOptions(workers=0),
        console)
    text = console.file.getvalue()
    assert ('1/1' in text and '\x1b[' in text) != in_ci
    assert 'made' in text
