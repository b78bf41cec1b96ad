"""Tests of what every command line has to get right."""
import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.interruption import was_interrupted
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.datasets.preflight import command_for_root
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
    assert sorted(own) == ['doctor.py', 'setup_environment.py']


def test_printed_commands_can_be_pasted(tmp_path, capsys):
    source = tmp_path / 'my scans'
    source.mkdir()
    rng = np.random.default_rng(0)
    np.savez(
        source / 'a.npz',
        xyz=rng.uniform(0, 4, (900, 3)),
        rgb=rng.integers(0, 256, (900, 3)),
        bbox=[[2, 2, 2, 3, 3, 3, 5]])
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


# Run before the package is installed, or without it.
ALONE = {'build_mmcv.py', 'doctor.py', 'setup_environment.py'}


def _scripts():
    for path in sorted(TOOLS.rglob('*.py')):
        if "__name__ == '__main__'" in path.read_text():
            yield path.relative_to(TOOLS).as_posix()


@pytest.mark.parametrize('name', list(_scripts()))
def test_every_tool_can_be_interrupted_from_its_first_import_on(name):
    tree = ast.parse((TOOLS / name).read_text())
    if name in ALONE:
        caught = [
            handler.type.id for node in ast.walk(tree.body[-1])
            if isinstance(node, ast.Try) for handler in node.handlers
        ]
        assert 'KeyboardInterrupt' in caught
        return
    first = next(
        n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)))
    assert isinstance(first, ast.Import)
    assert first.names[0].name == 'sam3d_plugin.cli.interruption'


def _run_interrupted(name, library, *arguments):
    """Run a tool; Ctrl-C comes while it imports a library."""
    code = ('import runpy, sys\n'
            'class Finder:\n'
            '    def find_spec(self, name, *rest):\n'
            f'        if name == {library!r}:\n'
            '            raise KeyboardInterrupt\n'
            'sys.meta_path.insert(0, Finder())\n'
            f'sys.argv = [{name!r}, *{arguments!r}]\n'
            f'runpy.run_path({str(TOOLS / name)!r}, run_name="__main__")\n')
    return subprocess.run([sys.executable, '-c', code],
                          cwd=TOOLS.parent,
                          capture_output=True,
                          text=True)


@pytest.mark.parametrize('name, library, arguments', [
    ('preparation/verify.py', 'rich.console', ['--data', 'x']),
    ('preparation/import_rgbd_folder.py', 'numpy', ['--help']),
    ('visualize/detections.py', 'torch', ['--help']),
    ('experiments/compare.py', 'numpy', ['--help']),
    ('train.py', 'mmengine', ['x.py']),
])
def test_interruption_while_libraries_are_imported(name, library, arguments):
    result = _run_interrupted(name, library, *arguments)
    assert result.returncode == 130
    assert result.stderr.count('\n') == 1 and 'interrupted' in result.stderr


def _run_code(code):
    return subprocess.run([sys.executable, '-c', code],
                          cwd=TOOLS.parent,
                          capture_output=True,
                          text=True,
                          timeout=60)


def test_an_interruption_that_python_swallows_comes_again():
    """As one in a callback of the garbage collector."""
    # A shell's background job ignores the signal.
    result = _run_code('import sam3d_plugin.cli.interruption, signal, time\n'
                       'signal.signal(signal.SIGINT,'
                       ' signal.default_int_handler)\n'
                       'class Callback:\n'
                       '    def __del__(self):\n'
                       '        raise KeyboardInterrupt\n'
                       'Callback()\n'
                       'time.sleep(30)\n'
                       'print("went on")\n')
    assert result.returncode == 130 and not result.stdout
    assert result.stderr.count('\n') == 1 and 'interrupted' in result.stderr


def test_other_errors_keep_their_traceback():
    result = _run_code('import sam3d_plugin.cli.interruption\n'
                       '1 / 0\n')
    assert result.returncode == 1 and 'ZeroDivisionError' in result.stderr


def test_a_closed_pipe_needs_no_traceback():
    code = ('import sam3d_plugin.cli.interruption, sys, time\n'
            'sys.stdin.read()\n'
            'print("x" * 100000, flush=True)\n')
    with subprocess.Popen([sys.executable, '-c', code],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.wait() == 1 and not process.stderr.read()


@pytest.mark.parametrize('name, arguments', [
    ('train', ['{weights}']),
    ('test', ['{weights}', '{config}']),
    ('predict', ['{weights}', '{config}', 'room.ply', '--out', 'out']),
    ('visualize/detections', ['{weights}', '{config}', '--out', 'out']),
    ('experiments/evaluate', ['{weights}', '--out', 'out']),
])
def test_config_and_checkpoint_in_the_wrong_order(name, arguments, tmp_path):
    weights = tmp_path / 'model.ckpt'
    weights.touch()
    values = dict(
        weights=weights,
        config=TOOLS.parent / 'configs/sam3d/votenet_scannet_mini.py')
    np.savez(tmp_path / 'room.npz', xyz=np.eye(3), rgb=np.eye(3))
    result = subprocess.run([
        sys.executable,
        str(TOOLS / name) + '.py', *(a.format(**values) for a in arguments)
    ],
                            cwd=tmp_path,
                            env=dict(os.environ, PYTHONPATH=str(TOOLS.parent)),
                            capture_output=True,
                            text=True)
    assert result.returncode in (1, 2)
    assert 'Traceback' not in result.stderr
    if name != 'predict':  # which reads its scans first
        assert 'swapped' in result.stderr


@pytest.mark.parametrize('name, arguments, hint', [
    ('predict', ['c', 'w', 's', '--out', 'file'], 'is a file'),
    ('predict', ['c', 'w', 's', '--out', 'file/below'], 'is a file'),
    ('predict', ['c', 'w', 's', '--out', ''], 'empty'),
    ('predict', ['c', 'w', 's', '--out', 'o', '--score-thr', '5'], '<= 1'),
    ('predict', ['c', 'w', 's', '--out', 'o', '--score-thr', 'nan'], '<= 1'),
    ('predict', ['c', 'w', 's', '--out', 'o', '--max-boxes', '-3'], '>= 0'),
    ('predict', ['c', 'w', 's', '--out', 'o', '--device', 'gpu'], 'device'),
    ('train', ['c', '--work-dir', ''], 'empty'),
    ('train', ['c', '--work-dir', 'file'], 'is a file'),
    ('test', ['c', 'w', '--json', '.'], 'is a folder'),
    ('export_backbone', ['w', '--out', '.'], 'is a folder'),
    ('preparation/generate_regions', ['--data', 'd', '--report', '.'
                                      ], 'is a folder'),
    ('preparation/verify', ['--data', 'd', '--json', '.'], 'is a folder'),
    ('preparation/verify', ['--data', 'd', '--max-problems', '-1'], '>= 0'),
    ('preparation/verify', ['--data', 'd', '--backend-args', '[1]'], 'JSON'),
    ('experiments/linear_probe', ['w', '--data-root', 'd', '--json', '.'
                                  ], 'is a folder'),
])
def test_what_cannot_work_is_said_before_the_work(name, arguments, hint,
                                                  tmp_path, monkeypatch,
                                                  capsys):
    monkeypatch.chdir(tmp_path)
    Path('file').touch()
    with pytest.raises(SystemExit) as end:
        load_tool(name).parse_args(arguments)
    assert end.value.code == 2
    assert hint in capsys.readouterr().err.splitlines()[-1]


def test_outputs_that_can_be_written_pass(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = load_tool('test').parse_args(
        ['c', 'w', '--json', 'new/folder/m.json', '--work-dir', 'a b/w'])
    assert args.json == 'new/folder/m.json' and args.work_dir == 'a b/w'
    assert not list(tmp_path.iterdir())
