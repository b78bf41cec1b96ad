"""The set-up, run with real pip and venv on an index of tiny packages."""
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import setup_environment as setup
from tools.doctor import find_known_failures

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    'setuptools': ['setuptools'],
    'torch': ['torch'],
    'torchvision': ['torchvision'],
    'opencv_python': ['cv2'],
    'mmcv_lite': ['mmcv', 'mmcv.ops'],
    'mmcv': ['mmcv', 'mmcv.ops', 'mmcv._ext'],
    'transformers': ['transformers'],
    'gradio': ['gradio'],
    'mmdet3d':
    ['mmdet3d', 'mmdet3d.models', 'mmdet3d.datasets', 'mmdet3d.evaluation'],
}
# What other packages must not find.
BESIDE = dict(teachers='transformers', demo='gradio')
MODULE = """
class cuda:
    is_available = lambda: False
__version__ = '2.1.0'
get_compiling_cuda_version = str
"""
# Builds an editable wheel without anything installed.
BACKEND = """
import zipfile
def build_editable(folder, *_):
    name = 'sam3d_plugin-1.0-py3-none-any.whl'
    info = 'sam3d_plugin-1.0.dist-info/'
    with zipfile.ZipFile(f'{folder}/{name}', 'w') as wheel:
        wheel.writestr('sam3d_plugin.pth', 'CLONE')
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\n'
                       'Name: sam3d_plugin\\nVersion: 1.0')
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0')
        wheel.writestr(info + 'RECORD', '')
    return name
"""


def write_wheel(folder, name):
    """Write a package of modules that know no GPU."""
    info = f'{name}-2.1.0.dist-info'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{name}-2.1.0-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as wheel:
        for module in MODULES[name]:
            file = module.replace('.', '/')
            is_package = f'{module}.' in ' '.join(MODULES[name])
            wheel.writestr(
                f'{file}/__init__.py' if is_package else f'{file}.py', MODULE)
        wheel.writestr(f'{info}/METADATA',
                       f'Metadata-Version: 2.1\nName: {name}\nVersion: 2.1.0')
        wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0')
        wheel.writestr(f'{info}/RECORD', '')


def need_disk(clone, gigabytes):
    """Change how much free disk the clone's set-up asks for."""
    script = clone / 'tools' / 'setup_environment.py'
    text, changes = re.subn('NEEDED_GIGABYTES = .*',
                            f'NEEDED_GIGABYTES = {gigabytes}',
                            script.read_text())
    assert changes == 1
    script.write_text(text)


@pytest.fixture
def clone(tmp_path):
    """A clone whose requirements lie in ``wheels`` beside it, except torch."""
    folder = tmp_path / 'clone'
    for name in ('tools/setup_environment.py', 'tools/build_mmcv.py',
                 'tools/doctor.py', 'docs/troubleshooting.md',
                 'sam3d_plugin/mmcv_ext.py'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text())
    for name in ('__init__', 'ops'):
        (folder / 'sam3d_plugin' / f'{name}.py').touch()
    need_disk(folder, 0)  # the packages are tiny
    (folder / 'backend.py').write_text(BACKEND.replace('CLONE', str(folder)))
    (folder / 'pyproject.toml').write_text(
        '[project]\nname = "sam3d_plugin"\nversion = "1.0"\n[build-system]\n'
        'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    names = [
        name for name in MODULES if name not in ('mmcv', *BESIDE.values())
    ]
    (folder / 'requirements.txt').write_text('\n'.join(
        f'{name.replace("_", "-")}==2.1.0  # why' for name in names))
    (folder / 'constraints.txt').touch()
    for place, name in BESIDE.items():
        path = folder / f'requirements-{place}.txt'
        path.write_text(f'{name}==2.1.0')
    for name in (*names, *BESIDE.values()):
        if name != 'torch':
            write_wheel(tmp_path / 'wheels', name)
    return folder


def run(clone, *options, MMCV='lite', **variables):
    environment = dict(
        os.environ,
        PIP_CONFIG_FILE=os.devnull,
        PIP_NO_INDEX='1',
        PIP_FIND_LINKS=str(clone.parent / 'wheels'),
        XDG_CACHE_HOME=str(clone.parent / 'cache'),
        MMCV=MMCV,
        **variables)
    for name in ('PYTHON', 'TORCH_CUDA_ARCH_LIST', 'PYTHONPATH'):
        if name not in variables:
            environment.pop(name, None)
    return subprocess.run(
        [sys.executable, 'tools/setup_environment.py', *options],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True)


def site(clone):
    return next(clone.glob('.venv/lib/python3*/site-packages'))


def test_it_resumes_and_then_does_nothing(clone):
    stopped = run(clone)
    assert stopped.returncode == 1 and 'network' in stopped.stderr
    write_wheel(clone.parent / 'wheels', 'torch')
    complete = run(clone)
    assert complete.returncode == 0, complete.stdout + complete.stderr
    assert 'Make .venv' not in complete.stdout
    assert (site(clone) / 'mmcv' /
            '_ext.py').read_text() == (clone / 'sam3d_plugin' /
                                       'mmcv_ext.py').read_text()
    for place, name in BESIDE.items():
        assert (clone / '.venv' / place / f'{name}.py').is_file()
        assert not (site(clone) / f'{name}.py').exists()
    assert run(clone).stdout == '.venv is up to date\n'
    # A kill left a package without RECORD, and no complete record.
    (site(clone) / 'mmdet3d-2.1.0.dist-info' / 'RECORD').unlink()
    (site(clone) / 'mmdet3d' / 'models.py').unlink()
    (clone / '.venv' / 'setup.json').write_text('{"home": ')
    assert run(clone).returncode == 0
    assert (site(clone) / 'mmdet3d' / 'models.py').exists()
    moved = clone.rename(clone.parent / 'moved')
    assert 'Make .venv' in run(moved).stdout
    assert str(moved) in (moved / '.venv/bin/pip').read_text()


def test_a_full_disk_is_said_before_anything_is_installed(clone):
    need_disk(clone, 10**9)
    stopped = run(clone)
    assert stopped.returncode == 1 and 'free disk' in stopped.stderr
    assert not any(site(clone).glob('torch*'))


def test_mmcv_is_replaced_and_the_choice_remembered(clone):
    write_wheel(clone.parent / 'wheels', 'torch')
    target = f'cp3{sys.version_info[1]}-torch2.1.0-cpu'
    write_wheel(clone.parent / 'cache/sam3d_plugin/wheels' / target, 'mmcv')
    installed = [run(clone).returncode]
    for choice, expected in (('full', 'mmcv'), ('', 'mmcv'), ('lite',
                                                              'mmcv_lite')):
        installed.append(run(clone, MMCV=choice).returncode)
        names = [path.name for path in site(clone).glob('mmcv*-info')]
        assert names == [f'{expected}-2.1.0.dist-info']
        assert (site(clone) / 'mmcv' / 'ops.py').exists()
    assert installed == [0] * 4
    assert 'lite or full' in run(clone, MMCV='1').stderr


def test_help_installs_nothing(clone):
    assert '--newest' in run(clone, '--help').stdout
    assert not (clone / '.venv').exists()


def test_other_pythons_are_refused(clone, monkeypatch):
    (clone / '.venv' / 'lib' / 'python3.9').mkdir(parents=True)
    result = run(clone, PYTHON='mine')
    assert result.returncode == 1 and 'remove .venv' in result.stderr
    monkeypatch.setattr(sys, 'version_info', (3, 14))
    with pytest.raises(setup.SetupError, match='3.14'):
        setup.check_python(clone, '')


def test_a_killed_set_up_leaves_its_lock_to_the_pip_that_runs_on(tmp_path):
    code = (
        'import os, signal, subprocess, sys\nfrom pathlib import Path\n'
        'from tools import setup_environment as setup\n'
        'class Killed:\n    def __init__(self, _): self.python = "no"\n'
        '    def read_record(self): return {}\n    def install(self, *_):\n'
        '        pip = subprocess.Popen(["sleep", "60"], close_fds=False)\n'
        '        print(pip.pid, flush=True)\n'
        '        os.kill(os.getpid(), signal.SIGKILL)\n'
        'setup.Environment = Killed\n'
        f'setup.set_up(Path({str(tmp_path)!r}), False)')
    killed = subprocess.Popen([sys.executable, '-c', code],
                              cwd=ROOT,
                              stdout=subprocess.PIPE,
                              text=True)
    pip = int(killed.stdout.readline())
    killed.wait()
    lock = ['flock', '--nonblock', str(tmp_path / 'setup.lock'), 'true']
    try:
        assert subprocess.run(lock).returncode == 1
    finally:
        os.kill(pip, 9)


@pytest.mark.parametrize('message, says', [
    ('ERROR: Could not install packages due to an OSError: [Errno 28] No space'
     ' left on device', 'disk'),
    ("WARNING: Retrying (Retry(total=4)) after connection broken by "
     "'NewConnectionError: Failed to establish a new connection: [Errno -2] "
     "Name or service not known': /simple/pandas/", 'network'),
    ('ERROR: No matching distribution found for torch==2.11.0', 'network'),
])
def test_the_reason_is_one_sentence(message, says):
    assert says in next(iter(find_known_failures(message).values()))


def test_every_requirement_is_pinned_once():
    pins = {
        name: re.findall(r'^([\w.-]+)==', (ROOT / name).read_text().lower(),
                         re.M)
        for name in ('requirements.txt', 'constraints.txt',
                     'constraints-newest.txt')
    }
    direct, rest, newest = pins.values()
    assert len(direct + rest) == len(set(direct + rest))
    assert set(newest) < set(direct + rest)
    for line in (ROOT / 'requirements.txt').read_text().splitlines():
        assert not line or line[0] == '#' or re.match(r'\S+==\S+ +# ', line)
    assert setup.read_lock(True)['numpy'] != setup.read_lock(False)['numpy']


def test_all_that_pip_adds_by_itself_is_pinned():
    """All else is installed with --no-deps: the pins are a lock file."""
    pinned = {canonicalize_name(name) for name in setup.read_lock(False)}
    reached, left = set(), [('torch', ''), ('torchvision', '')]
    while left:
        name, extra = left.pop()
        assert name in pinned
        reached.add((name, extra))
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker and not needed.marker.evaluate({'extra': extra}):
                continue
            found = {(canonicalize_name(needed.name), more)
                     for more in ('', *needed.extras)}
            left += found - reached
    assert ('sympy', '') in reached


def test_make_says_which_pythons_it_looked_for():
    result = subprocess.run(['make', 'setup', 'PYTHON=/no/such/python'],
                            cwd=ROOT,
                            capture_output=True,
                            text=True)
    assert result.returncode != 0 and '3.10 to 3.13' in result.stderr
