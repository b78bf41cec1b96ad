"""Tests of what the console shows."""
import logging
import subprocess
import warnings

import pytest

from sam3d_plugin.engine.console import (ConsoleFilter, file_only,
                                         shorten_losses, warnings_in_log_file,
                                         without_shell_messages)


def _shown(text, level=logging.INFO, function='train', **extra):
    record = logging.LogRecord('mmengine', level, __file__, 1, text, (), None,
                               function)
    record.__dict__.update(extra)
    return ConsoleFilter().filter(record)


@pytest.mark.parametrize('text', [
    'Epoch(train) [1][1/1]  loss: 3.0', 'Saving checkpoint at 1 epochs',
    '+-----+\n| AP |', 'Epoch(val) [1][2/2]  mAP_0.25: 0.5'
])
def test_progress_and_metrics_are_shown(text):
    assert _shown(text)


def test_dumps_are_not_shown_and_warnings_are():
    assert not _shown('Config:\nmodel = dict()', function='_log_env')
    assert not _shown('Hooks will be executed in the following order:')
    assert not _shown('Epoch(val) [1][2/2]  ' + 'chair_AP_0.25: nan  ' * 40)
    assert not _shown('names', **file_only()['extra'])
    assert _shown('NaN loss', logging.WARNING)
    assert _shown('Config: broken', logging.ERROR, function='_log_env')


def test_many_losses_are_shortened_to_the_total():
    head = '11/20 Iter(train) [ 1/15]  eta: 0:01:00  grad_norm: 2.0  '
    few = head + 'loss: 3.1  ' + '  '.join(f'l{i}: 1' for i in range(8))
    many = few + '  s0.loss: 1'
    assert shorten_losses(few) == few
    assert shorten_losses(
        many) == head + ('loss: 3.1  (9 parts in the log file)')
    assert shorten_losses('loss of signal') == 'loss of signal'


def test_library_warnings_stay_off_the_console(capsys):
    with warnings_in_log_file():
        warnings.warn('of a library', stacklevel=1)
    shown = capsys.readouterr()
    assert 'of a library' not in shown.out + shown.err


def test_messages_of_a_shell_are_hidden_and_later_ones_are_not(capfd):
    with without_shell_messages():
        subprocess.run('no_such_compiler --version', shell=True, check=False)
    subprocess.run('echo later >&2', shell=True, check=True)
    assert capfd.readouterr().err == 'later\n'
