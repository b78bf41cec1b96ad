"""Make ``.venv`` with every pinned package; ``make setup`` runs this.

pip skips what is installed, so an interrupted set-up resumes when it is run
again. A complete one leaves a record of its inputs in the environment; while
they stay the same, the next set-up ends in less than a second.
"""
import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.build_mmcv import can_build_cuda
from tools.doctor import find_known_failures

PYTHONS = ('3.10', '3.11', '3.12', '3.13')
NEEDED_GIGABYTES = 9
# Installed beside all else, in folders of these names; the reasons are in
# requirements-NAME.txt.
BESIDE = {'teachers': 'transformers (80 MB)', 'demo': 'Gradio (100 MB)'}
# Remembered once they are given: which mmcv to install, and for which GPUs.
SETTINGS = ('MMCV', 'TORCH_CUDA_ARCH_LIST')


class SetupError(Exception):
    """Something that the user has to fix; its text says how."""


def requirements_of(name: str) -> str:
    """File of what is installed beside all else."""
    return f'requirements-{name}.txt'


def read_lock(newest: bool) -> Dict[str, str]:
    """Read what to install, such as ``numpy==1.26.4``, by lower-case name."""
    lock = {}
    files = ['requirements.txt', 'constraints.txt', 'constraints-newest.txt']
    for name in files if newest else files[:2]:
        text = (ROOT / name).read_text()
        for line in re.findall(r'^[\w.-]+==[^#\n]+', text, re.MULTILINE):
            lock[line.split('==')[0].lower()] = line.strip()
    return lock


def check_python(venv: Path, choice: str) -> str:
    """Return the environment's Python, with an error for unsupported ones."""
    mine = f'{sys.version_info[0]}.{sys.version_info[1]}'
    if mine not in PYTHONS:
        raise SetupError(
            f'{sys.executable} is Python {mine}; choose {PYTHONS[0]} to '
            f'{PYTHONS[-1]} with `make setup PYTHON=/path/to/python3.11`')
    theirs = [path.name[6:] for path in venv.glob('lib/python3*')]
    if choice and theirs and mine not in theirs:
        raise SetupError(f'{venv.name} has Python {theirs[0]}, but '
                         f'PYTHON={choice} is {mine}; remove {venv.name} '
                         'to replace it')
    return theirs[0] if theirs else mine


def find_wanted(venv: Path, lock: Dict[str, str], previous: dict) -> dict:
    """Collect all that the content of an environment depends on."""
    wanted = {
        name: os.environ.get(name) or previous.get(name, '')
        for name in SETTINGS
    }
    if wanted['MMCV'] not in ('', 'lite', 'full'):
        raise SetupError(f'MMCV={wanted["MMCV"]}: set it to lite or full')
    digest = hashlib.sha256('\n'.join(lock.values()).encode())
    for name in ('pyproject.toml', 'sam3d_plugin/mmcv_ext.py',
                 *map(requirements_of, BESIDE)):
        digest.update((ROOT / name).read_bytes())
    automatic = 'full' if can_build_cuda() else 'lite'
    return dict(
        wanted,
        mmcv=wanted['MMCV'] or automatic,
        home=str(venv),
        digest=digest.hexdigest())


class Environment:
    """A virtual environment that is made or changed."""

    def __init__(self, venv: Path) -> None:
        self.venv = venv
        self.python = str(venv / 'bin' / 'python')
        self.record = venv / 'setup.json'
        self.log = venv / 'setup.log'

    def read_record(self) -> dict:
        """Return what the last complete set-up installed, or nothing."""
        try:
            return json.loads(self.record.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def run(self, what: str, *command: str) -> None:
        """Run a command with its output in the log."""
        print(what, flush=True)
        with open(self.log, 'a+', errors='replace') as log:
            log.write(f'$ {" ".join(command)}\n')
            log.flush()
            start = log.tell()
            result = subprocess.run(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                close_fds=False)  # keeps the lock
            log.seek(start)
            output = log.read()
        if result.returncode:
            errors = re.findall('.*error.*', output, re.IGNORECASE)
            known = list(find_known_failures('\n'.join(errors)).values())
            end = '\n'.join(output.splitlines()[-20:])
            raise SetupError(f'{known[0] if known else end}\n({what}: '
                             f'{self.log}) Run `make setup` again to resume.')

    def pip(self, what: str, *arguments: str) -> None:
        """Run pip of the environment."""
        # pip writes RECORD last. A package without it was cut short, and
        # looks installed to pip.
        for info in self.venv.glob('lib/python3*/site-packages/*.dist-info'):
            if not (info / 'RECORD').exists():
                shutil.rmtree(info)
        self.run(what, self.python, '-m', 'pip', '--no-input',
                 '--disable-pip-version-check', *arguments)

    def make(self) -> None:
        """Make the environment, unless it works and was made here."""
        home = self.read_record().get('home', str(self.venv))
        if home == str(self.venv) and Path(self.python).exists():
            test = [self.python, '-c', 'import pip']
            if subprocess.run(test, capture_output=True).returncode == 0:
                return
        # Scripts of a moved environment name the old folder. The lock stays.
        for name in ('bin', 'include', 'lib'):
            shutil.rmtree(self.venv / name, ignore_errors=True)
        self.run(f'Make {self.venv.name}', sys.executable, '-m', 'venv',
                 str(self.venv))

    def install(self, lock: Dict[str, str], wanted: dict) -> None:
        """Install everything and let the doctor examine it."""
        self.make()
        self.record.write_text(json.dumps(dict(wanted, digest='')))
        packages = next(self.venv.glob('lib/python3*/site-packages'))
        free = shutil.disk_usage(self.venv).free / 1e9
        if not (packages / 'torch').exists() and free < NEEDED_GIGABYTES:
            raise SetupError(f'{self.venv} has {free:.1f} GB of free disk; '
                             f'{NEEDED_GIGABYTES} GB are needed')
        is_full = wanted['mmcv'] == 'full'
        # mmcv and mmcv-lite own the same files: removing one breaks the other.
        if any(packages.glob('mmcv-2*.dist-info')) != is_full:
            self.pip('Remove the other mmcv', 'uninstall', '--yes', 'mmcv',
                     'mmcv-lite')
        constraints = self.venv / 'setup-lock.txt'
        constraints.write_text('\n'.join(lock.values()))
        self.pip('Install torch and torchvision (1 to 3 minutes, 3 GB)',
                 'install', '-c', str(constraints), lock['torch'],
                 lock['torchvision'])
        # torch has brought its own libraries, if its build needs them.
        rest = [
            line for name, line in lock.items()
            if not re.match('cuda-|nvidia-|triton', name)
        ]
        self.pip('Install mmdet3d and all other packages (1 minute)',
                 'install', '--no-deps', *rest)
        for name, what in BESIDE.items():
            folder = self.venv / name
            shutil.rmtree(folder, ignore_errors=True)
            self.pip(f'Install {what} beside them', 'install', '--no-deps',
                     '--no-compile', '--target', str(folder), '-r',
                     str(ROOT / requirements_of(name)))
        if is_full:
            self._call('build_mmcv.py', wanted)
        else:
            shutil.copy(ROOT / 'sam3d_plugin' / 'mmcv_ext.py',
                        packages / 'mmcv' / '_ext.py')
        # mmengine looks for configs beside an installed package's files, which
        # an editable installation does not have there.
        if any(packages.glob('sam3d_plugin-*.dist-info')):
            self.pip('Replace the editable installation', 'uninstall', '--yes',
                     'sam3d_plugin')
        (packages / 'sam3d_plugin.pth').write_text(f'{ROOT}\n')
        self._call('doctor.py', wanted)
        self.record.write_text(json.dumps(wanted))

    def _call(self, script: str, wanted: dict) -> None:
        """Run one of our tools, whose output the user sees."""
        settings = {name: wanted[name] for name in SETTINGS if wanted[name]}
        command = [self.python, str(ROOT / 'tools' / script)]
        if subprocess.run(
                command, env=os.environ | settings,
                close_fds=False).returncode:
            raise SetupError('fix what it says above and run `make setup` '
                             'again to resume')


def set_up(venv: Path, newest: bool) -> None:
    """Bring an environment up to date, one process at a time."""
    python = check_python(venv, os.environ.get('PYTHON', ''))
    venv.mkdir(parents=True, exist_ok=True)
    with open(venv / 'setup.lock', 'w') as file:
        # A pip that outlives a killed set-up keeps the lock.
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('Waiting for another `make setup` in this clone', flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        environment = Environment(venv)
        record = environment.read_record()
        lock = read_lock(newest or python == PYTHONS[-1])
        wanted = find_wanted(venv, lock, record)
        if wanted['mmcv'] == 'full':
            del lock['mmcv-lite']
        if record == wanted and Path(environment.python).exists():
            print(f'{venv.name} is up to date', flush=True)
        else:
            environment.install(lock, wanted)


def main() -> int:
    """Set up the environment of this clone."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--venv', default='.venv', help='folder in the clone [.venv]')
    parser.add_argument(
        '--newest',
        action='store_true',
        help='install constraints-newest.txt, as Python 3.13 always does')
    arguments = parser.parse_args()
    try:
        set_up(ROOT / arguments.venv, arguments.newest)
    except (SetupError, OSError) as error:
        print(f'\nSet-up stopped: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print('error: interrupted', file=sys.stderr)
        sys.exit(130)
