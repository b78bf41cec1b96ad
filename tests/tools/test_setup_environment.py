"""The set-up: which steps run, and what survives an interruption."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup_environment as setup

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(tmp_path):
    """A clone with an environment whose python only exists."""
    found = setup.Environment(tmp_path, tmp_path / '.venv')
    found.python.parent.mkdir(parents=True)
    found.python.symlink_to(sys.executable)
    (tmp_path / 'lock').write_text('numpy==1')
    return found


def make_steps(ran, failing=None):

    def run(name):

        def step(_):
            ran.append(name)
            if name == failing:
                raise setup.SetupError('no network')

        return step

    return tuple(
        setup.Step(name, f'does {name}', run(name), reads)
        for name, reads in [('venv', ()), ('packages',
                                           ('lock', )), ('project',
                                                         ()), ('check', ())])


def test_a_second_run_does_nothing(environment):
    ran = []
    steps = make_steps(ran)
    assert setup.run_steps(environment, steps) == 4
    assert setup.run_steps(environment, steps) == 0
    assert ran == ['venv', 'packages', 'project', 'check']


def test_a_stopped_run_goes_on_where_it_stopped(environment):
    ran = []
    with pytest.raises(setup.SetupError):
        setup.run_steps(environment, make_steps(ran, failing='packages'))
    setup.run_steps(environment, make_steps(ran))
    assert ran == ['venv', 'packages', 'packages', 'project', 'check']


def test_a_changed_lock_runs_its_step_and_the_check(environment):
    ran = []
    steps = make_steps(ran)
    setup.run_steps(environment, steps)
    (environment.root / 'lock').write_text('numpy==2')
    del ran[:]
    setup.run_steps(environment, steps)
    assert ran == ['packages', 'check']


def test_a_lost_interpreter_starts_afresh(environment):
    setup.run_steps(environment, make_steps([]))
    environment.python.unlink()
    assert setup.read_stamps(environment) == {}


def test_damaged_stamps_count_as_none(environment):
    environment.stamps.write_text('{"venv": ')
    assert setup.read_stamps(environment) == {}


def test_an_environment_of_a_moved_clone_is_made_again(environment):
    environment.stamps.write_text(json.dumps({'home': '/old/.venv'}))
    setup.drop_moved(environment)
    assert not environment.venv.exists()


def test_an_environment_made_by_hand_is_kept(environment):
    setup.drop_moved(environment)
    setup.make_venv(environment)
    assert environment.python.exists()
    assert not (environment.venv / 'pyvenv.cfg').exists()


def test_half_installed_packages_are_dropped(environment):
    packages = environment.venv / 'lib' / 'python3.11' / 'site-packages'
    for name, files in {
            'whole': ['RECORD', 'METADATA'],
            'half': ['METADATA']
    }.items():
        info = packages / f'{name}-1.0.dist-info'
        info.mkdir(parents=True)
        for file in files:
            (info / file).touch()
    setup.drop_half_installed(environment.venv)
    assert [path.name
            for path in packages.iterdir()] == ['whole-1.0.dist-info']


@pytest.mark.parametrize('version', [(3, 9), (3, 13)])
def test_unsupported_pythons_are_refused(version):
    with pytest.raises(setup.SetupError, match='3.10, 3.11 or 3.12'):
        setup.check_python(version, '/usr/bin/python3')


def test_another_python_than_the_one_in_venv_is_refused(environment):
    (environment.venv / 'lib' / 'python3.9').mkdir(parents=True)
    setup.check_choice(environment, '')
    with pytest.raises(setup.SetupError, match='remove .venv'):
        setup.check_choice(environment, 'python3.12')


def test_a_failing_command_shows_its_end_and_the_log(environment):
    code = 'import sys; print("disk quota exceeded"); sys.exit(3)'
    with pytest.raises(setup.SetupError, match='disk quota exceeded') as error:
        setup.run_logged(environment, [sys.executable, '-c', code])
    assert str(environment.log) in str(error.value)


def test_a_killed_set_up_leaves_its_lock_to_the_pip_that_runs_on(tmp_path):
    code = ('import os, subprocess, sys, signal; from pathlib import Path; '
            'from tools import setup_environment as setup\n'
            f'with setup.locked(Path({str(tmp_path)!r})):\n'
            '    pip = subprocess.Popen(["sleep", "60"], close_fds=False)\n'
            '    print(pid := pip.pid, flush=True)\n'
            '    os.kill(os.getpid(), signal.SIGKILL)')
    killed = subprocess.Popen([sys.executable, '-c', code],
                              cwd=ROOT,
                              stdout=subprocess.PIPE,
                              text=True)
    pip = int(killed.stdout.readline())
    try:
        assert is_locked(tmp_path)
    finally:
        os.kill(pip, 9)
    killed.wait()


def is_locked(folder: Path) -> bool:
    command = ['flock', '--nonblock', str(folder / 'setup.lock'), 'true']
    return subprocess.run(command).returncode == 1


def test_the_lock_pins_every_direct_dependency_once():
    direct = setup.read_pins((ROOT / 'requirements.txt').read_text())
    rest = setup.read_pins((ROOT / 'constraints.txt').read_text())
    assert not set(direct) & set(rest)
    for line in (ROOT / 'requirements.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            assert '==' in line and '  # ' in line, line
    for name in ('pip', 'setuptools', 'wheel', 'ninja', 'torch', 'mmcv'):
        assert name in setup.all_pins(ROOT)


def test_make_says_which_pythons_it_looked_for():
    result = subprocess.run(['make', 'setup', 'PYTHON=/no/such/python'],
                            cwd=ROOT,
                            capture_output=True,
                            text=True)
    assert result.returncode != 0
    assert 'Python 3.10, 3.11 or 3.12' in result.stderr
