"""Tests of what every command line has to get right."""
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.tool import run_tool, was_interrupted
from sam3d_plugin.datasets.preparation_commands import command_for_root
from sam3d_plugin.inference import read_scene
from tests.tools.conftest import load_tool

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


def test_home_and_blanks_in_arguments(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    parser = ToolParser('What it does.')
    parser.add_argument('--out', type=Path)
    parser.add_argument('files', nargs='*')
    args = parser.parse_args(['--out=~/my rooms', '~/a b', 'c~d'])
    assert args.out == Path('/home/me/my rooms')
    assert args.files == ['/home/me/a b', 'c~d']


@pytest.mark.parametrize('name, options', [
    ('generate_regions', ['points_per_side', 'background', 'threshold']),
    ('extract_features', ['checkpoint', 'stride']),
])
def test_help_lists_the_options_of_exchangeable_parts(capsys, name, options):
    tool = load_tool(f'preparation/{name}')
    with pytest.raises(SystemExit) as end:
        tool.parse_args(['--help'])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in options)


def test_every_tool_takes_home_and_keeps_its_text():
    """They share one parser."""
    own = [
        path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob('*.py')
        if 'argparse.ArgumentParser(' in path.read_text()
    ]
    # Run before the package is installed, or without it.
    assert sorted(own) == [
        'docs/update_readme.py', 'doctor.py', 'setup_environment.py'
    ]


def test_printed_commands_can_be_pasted(tmp_path, capsys):
    source = tmp_path / 'my scans'
    source.mkdir()
    rng = np.random.default_rng(0)
    np.savez(
        source / 'a.npz',
        xyz=rng.uniform(0, 4, (900, 3)),
        rgb=rng.integers(0, 256, (900, 3)))
    out = tmp_path / 'my data'
    tool = load_tool('preparation/import_scans')
    assert tool.main(['--source', str(source), '--out', str(out)]) == 0
    command = capsys.readouterr().out.splitlines()[-1].partition('Next: ')[2]
    words = shlex.split(command)
    assert words[-1] == f'data_root={out}/'
    args = load_tool('train').parse_args(words[2:])
    assert args.cfg_options == dict(data_root=f'{out}/')


def test_commands_in_errors_can_be_pasted():
    command = command_for_root('/a b/rooms', 's3dis_infos_Area_5.pkl')
    assert shlex.split(command)[-1] == '/a b/rooms'


@pytest.mark.parametrize('kind, hint', [('link', 'nowhere.ply'),
                                        ('folder', 'folder')])
def test_what_is_given_for_a_scan_is_named(tmp_path, kind, hint):
    path = tmp_path / 'a.ply'
    path.symlink_to('nowhere.ply') if kind == 'link' else path.mkdir()
    with pytest.raises((OSError, ValueError), match=hint):
        read_scene(path)
