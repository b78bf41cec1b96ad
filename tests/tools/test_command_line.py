"""Tests of what every command line has to get right."""
import subprocess
import sys
from pathlib import Path

import pytest

from sam3d_plugin.cli.tool import run_tool, was_interrupted

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.mark.parametrize('name', ['train', 'test', 'predict'])
def test_help_imports_no_heavy_package(name):
    """It answers in a moment; torch alone takes seconds."""
    code = (
        'import runpy, sys\n'
        f'sys.argv = ["{name}.py", "--help"]\n'
        'try:\n'
        f'    runpy.run_path({str(TOOLS / name)!r} + ".py",\n'
        '                   run_name="__main__")\n'
        'except SystemExit as end:\n'
        '    assert end.code == 0\n'
        'heavy = {"torch", "mmcv", "mmdet3d", "numba"} & set(sys.modules)\n'
        'assert not heavy, heavy\n')
    result = subprocess.run([sys.executable, '-c', code],
                            cwd=TOOLS.parent,
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    assert 'CONFIG' in result.stdout.upper()


def _replaced(error):
    """What mmengine makes of whatever happens while it formats a config."""
    try:
        try:
            raise error
        except:  # noqa: E722
            raise SyntaxError('Failed to format the config')  # noqa: B904
    except SyntaxError as replaced:
        return replaced


def test_interruption_is_seen_behind_another_error():
    assert was_interrupted(_replaced(KeyboardInterrupt()))
    assert not was_interrupted(_replaced(ValueError()))


@pytest.mark.parametrize('resume, hint', [(True, '--resume'), (False, '')])
def test_interruption_is_one_sentence(capsys, resume, hint):

    def main(args):
        raise _replaced(KeyboardInterrupt())

    args = type('Args', (), dict(resume=None) if resume else {})()
    assert run_tool(main, args) == 130
    text = capsys.readouterr().err
    assert text.count('\n') == 1 and 'interrupted' in text and hint in text


def test_interruption_of_a_tool_that_still_imports(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sam3d_plugin.engine.console',
                        _Interrupting('sam3d_plugin.engine.console'))
    assert run_tool(lambda args: None, type('Args', (), {})()) == 130
    assert 'interrupted' in capsys.readouterr().err


class _Interrupting(type(sys)):
    """A module whose import the user interrupts."""

    def __getattr__(self, name):
        raise KeyboardInterrupt
