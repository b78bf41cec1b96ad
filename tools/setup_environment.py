"""Make ``.venv`` with every pinned requirement; called by ``make setup``.

The work is cut into steps. A finished step leaves a stamp in ``.venv``, so
that an interrupted set-up goes on where it stopped and a complete one takes
less than a second. A step runs again when the files that it reads change.
"""
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

ROOT = Path(__file__).resolve().parents[1]
SUPPORTED = ((3, 10), (3, 11), (3, 12))
NEEDED_GIGABYTES = 9
LOCK_FILES = ('requirements.txt', 'constraints.txt')
LOCK_OPTIONS = ('-r', 'requirements.txt', '-r', 'constraints.txt')


class SetupError(Exception):
    """Something that the user has to mend; its text says how."""


class Environment(NamedTuple):
    """The clone and the virtual environment in it.

    Args:
        root (Path): The clone.
        venv (Path): Its ``.venv``.
    """
    root: Path
    venv: Path

    @property
    def python(self) -> Path:
        """Path: The interpreter of the virtual environment."""
        return self.venv / 'bin' / 'python'

    @property
    def stamps(self) -> Path:
        """Path: The file that holds what is done."""
        return self.venv / 'setup_stamps.json'

    @property
    def log(self) -> Path:
        """Path: Everything that pip printed."""
        return self.venv / 'setup.log'


class Step(NamedTuple):
    """One part of the set-up.

    Args:
        name (str): Its key in the stamps.
        says (str): What it does and how long it takes, for the user.
        run (Callable): Does it.
        reads (tuple): Files of the clone whose change makes it run again.
    """
    name: str
    says: str
    run: Callable[[Environment], None]
    reads: Tuple[str, ...]


def read_pins(text: str) -> Dict[str, str]:
    """Read the versions that a requirements file pins.

    Args:
        text (str): Content of the file.

    Returns:
        Dict[str, str]: ``name==version`` by lower-case name.
    """
    lines = re.findall(r'^([\w.-]+)(==[\w.+]+)', text, flags=re.MULTILINE)
    return {name.lower(): name + version for name, version in lines}


def check_python(version: Tuple[int, int], executable: str) -> None:
    """Refuse a Python that torch or mmcv does not support.

    Args:
        version (Tuple[int, int]): Major and minor version.
        executable (str): Whose version it is.

    Raises:
        SetupError: When it is none of 3.10 to 3.12.
    """
    if version not in SUPPORTED:
        raise SetupError(
            f'{executable} is Python {version[0]}.{version[1]}, but 3.10, '
            '3.11 or 3.12 is needed; remove .venv if it is in there, and run '
            '`make setup PYTHON=/path/to/python3.11`')


def tail(path: Path, lines: int = 20) -> str:
    """Return the end of a text file.

    Args:
        path (Path): The file.
        lines (int): How many lines.

    Returns:
        str: Its last lines.
    """
    text = path.read_text(errors='replace')
    return '\n'.join(text.splitlines()[-lines:])


def run_logged(environment: Environment, command: List[str]) -> None:
    """Run a command with its output in the log.

    Args:
        environment (Environment): Where to run, and whose log.
        command (List[str]): Program and arguments.

    Raises:
        SetupError: When it fails, with the end of its output.
    """
    with open(environment.log, 'a') as log:
        log.write(f'$ {" ".join(command)}\n')
        log.flush()
        result = subprocess.run(
            command,
            cwd=environment.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False)
    if result.returncode:
        raise SetupError(f'{tail(environment.log)}\n'
                         f'`{" ".join(command)}` failed; mend what it says '
                         '(no network? full disk?) and run `make setup` '
                         'again, finished steps are skipped. The whole '
                         f'output is in {environment.log}')


def pip_install(environment: Environment, *arguments: str) -> None:
    """Install packages into the virtual environment.

    Args:
        environment (Environment): Where to.
        *arguments (str): What ``pip install`` gets.
    """
    drop_half_installed(environment.venv)
    run_logged(environment, [
        str(environment.python), '-m', 'pip', 'install', '--no-input',
        '--disable-pip-version-check', *arguments
    ])


def drop_half_installed(venv: Path) -> None:
    """Make pip install those packages again that a kill cut short.

    pip writes RECORD last; a package without it looks installed to pip but
    may lack files.

    Args:
        venv (Path): The virtual environment.
    """
    for info in venv.glob('lib/python3*/site-packages/*.dist-info'):
        if not (info / 'RECORD').exists():
            shutil.rmtree(info)


def make_venv(environment: Environment) -> None:
    """Make the virtual environment, or keep one that works.

    Args:
        environment (Environment): Where to.

    Raises:
        SetupError: When Python's venv module is missing or .venv holds an
            unsupported Python.
    """
    probe = 'import sys, pip; print(*sys.version_info[:2])'
    if environment.python.exists():
        kept = subprocess.run([str(environment.python), '-c', probe],
                              capture_output=True,
                              text=True)
        if kept.returncode == 0:
            major, minor = kept.stdout.split()
            check_python((int(major), int(minor)), str(environment.python))
            return
    check_python(sys.version_info[:2], sys.executable)
    result = subprocess.run(
        [sys.executable, '-m', 'venv',
         str(environment.venv)],
        capture_output=True,
        text=True)
    if result.returncode:
        raise SetupError(
            f'{result.stdout}{result.stderr}\n{sys.executable} cannot make a '
            'virtual environment; run `apt-get install python3-venv` (or '
            f'python3.{sys.version_info[1]}-venv)')


def install_tools(environment: Environment) -> None:
    """Install what builds and installs the rest.

    Args:
        environment (Environment): Where to.
    """
    pins = all_pins(environment.root)
    names = ('pip', 'setuptools', 'wheel', 'ninja')
    pip_install(environment, *(pins[name] for name in names))


def install_torch(environment: Environment) -> None:
    """Install torch and torchvision with the CUDA wheels that they name.

    Args:
        environment (Environment): Where to.

    Raises:
        SetupError: When the disk is too full.
    """
    free = shutil.disk_usage(environment.venv).free / 1e9
    if free < NEEDED_GIGABYTES:
        raise SetupError(f'{environment.venv} has {free:.1f} GB of free disk, '
                         f'but {NEEDED_GIGABYTES} GB are needed')
    pins = all_pins(environment.root)
    # A file with mmcv in it may serve as constraints: pip fetches only what
    # torch asks for.
    pip_install(environment, '-c', 'requirements.txt', '-c', 'constraints.txt',
                pins['torch'], pins['torchvision'])


def install_mmcv(environment: Environment) -> None:
    """Install mmcv from this machine's wheel store, building it if needed.

    Args:
        environment (Environment): Where to.

    Raises:
        SetupError: When the build fails.
    """
    script = environment.root / 'tools' / 'build_mmcv.py'
    version = all_pins(environment.root)['mmcv'].split('==')[1]
    result = subprocess.run(
        [str(environment.python),
         str(script), '--version', version],
        cwd=environment.root,
        stdin=subprocess.DEVNULL,
        close_fds=False)
    if result.returncode:
        raise SetupError('mmcv is not installed, see above; '
                         'mend it and run `make setup` again')


def install_packages(environment: Environment) -> None:
    """Install the rest of the lock.

    Args:
        environment (Environment): Where to.
    """
    pip_install(environment, '--no-deps', *LOCK_OPTIONS)


def install_project(environment: Environment) -> None:
    """Install this clone, so that ``sam3d_plugin`` imports from any folder.

    Args:
        environment (Environment): Where to.
    """
    pip_install(environment, '--no-deps', '--no-build-isolation', '-e', '.')


def check_environment(environment: Environment) -> None:
    """Let the doctor look at the result.

    Args:
        environment (Environment): What to look at.

    Raises:
        SetupError: When it finds something broken.
    """
    doctor = environment.root / 'tools' / 'doctor.py'
    result = subprocess.run([str(environment.python), str(doctor)])
    if result.returncode:
        raise SetupError('the environment is not usable, see above')


def all_pins(root: Path) -> Dict[str, str]:
    """Read both lock files.

    Args:
        root (Path): The clone.

    Returns:
        Dict[str, str]: ``name==version`` by lower-case name.
    """
    pins: Dict[str, str] = {}
    for name in LOCK_FILES:
        pins.update(read_pins((root / name).read_text()))
    return pins


STEPS = (
    Step('venv', 'virtual environment in .venv (5 seconds)', make_venv, ()),
    Step('tools', 'build tools: pip, setuptools, wheel, ninja (10 seconds)',
         install_tools, LOCK_FILES),
    Step('torch', 'torch and torchvision (1 to 3 minutes, 3 GB)',
         install_torch, LOCK_FILES),
    Step(
        'mmcv', 'mmcv (seconds when this machine has built it before, else '
        'about 10 minutes on two cores, once)', install_mmcv,
        ('requirements.txt', 'tools/build_mmcv.py')),
    Step('packages', 'mmdet3d and all other packages (1 minute)',
         install_packages, LOCK_FILES),
    Step('project', 'this clone, editable (5 seconds)', install_project,
         ('pyproject.toml', )),
    Step('check', 'tools/doctor.py looks at the result (20 seconds)',
         check_environment, ()),
)


def describe_gpu() -> str:
    """Say cheaply what decides whether mmcv is built with CUDA.

    Returns:
        str: Changes when a driver, nvcc or one of our variables changes.
    """
    driver = Path('/proc/driver/nvidia/version').exists()
    names = ('SAM3D_MMCV_CUDA', 'TORCH_CUDA_ARCH_LIST', 'CUDA_HOME')
    variables = [os.environ.get(name, '') for name in names]
    return f'{driver} {shutil.which("nvcc")} {variables}'


def fingerprint(step: Step, environment: Environment) -> str:
    """Hash what a step depends on.

    Args:
        step (Step): The step.
        environment (Environment): The clone and its environment.

    Returns:
        str: Hexadecimal digest; another one means: run the step again.
    """
    digest = hashlib.sha256(step.name.encode())
    for name in step.reads:
        digest.update((environment.root / name).read_bytes())
    if step.name == 'mmcv':
        digest.update(describe_gpu().encode())
    return digest.hexdigest()


def read_stamps(environment: Environment) -> Dict[str, str]:
    """Read which steps are done.

    Args:
        environment (Environment): The clone and its environment.

    Returns:
        Dict[str, str]: Fingerprint by step; empty when the interpreter is
        gone (another machine, an updated Python).
    """
    if not environment.python.exists():
        return {}
    try:
        return json.loads(environment.stamps.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def write_stamps(environment: Environment, stamps: Dict[str, str]) -> None:
    """Record which steps are done, so that a kill leaves the old record.

    Args:
        environment (Environment): The clone and its environment.
        stamps (Dict[str, str]): Fingerprint by step.
    """
    temporary = environment.stamps.with_suffix('.tmp')
    temporary.write_text(json.dumps(stamps, indent=1))
    os.replace(temporary, environment.stamps)


def drop_moved(environment: Environment) -> None:
    """Remove an environment of ours that came here with a moved clone.

    Its scripts name the old folder.

    Args:
        environment (Environment): The clone and its environment.
    """
    home = read_stamps(environment).get('home')
    if home is not None and home != str(environment.venv):
        print(f'.venv was made in {home}; making it again here', flush=True)
        shutil.rmtree(environment.venv)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one set-up at a time work in a folder.

    Args:
        folder (Path): Made when missing.

    Yields:
        None: While the lock is held.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'setup.lock', 'w') as file:
        # A pip that outlives a killed set-up inherits the lock, so that the
        # next set-up waits for it.
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                'another `make setup` runs in this clone; waiting for it',
                flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_steps(environment: Environment, steps: Tuple[Step, ...]) -> int:
    """Run the steps that are not done yet.

    Args:
        environment (Environment): The clone and its environment.
        steps (Tuple[Step, ...]): All steps, in order.

    Returns:
        int: How many ran.
    """
    stamps = read_stamps(environment)
    stamps['home'] = str(environment.venv)
    num_run = 0
    for number, step in enumerate(steps, 1):
        wanted = fingerprint(step, environment)
        if num_run and step.name == 'check':
            stamps.pop('check', None)
        if stamps.get(step.name) == wanted:
            continue
        print(f'[{number}/{len(steps)}] {step.says}', flush=True)
        start = time.monotonic()
        stamps.pop(step.name, None)
        step.run(environment)
        stamps[step.name] = wanted
        write_stamps(environment, stamps)
        print(f'      done in {time.monotonic() - start:.0f} s', flush=True)
        num_run += 1
    return num_run


def check_choice(environment: Environment, choice: str) -> None:
    """Refuse a PYTHON that is not the one in .venv.

    Args:
        environment (Environment): The clone and its environment.
        choice (str): What the user set PYTHON to, empty for nothing.

    Raises:
        SetupError: When .venv holds another version.
    """
    mine = f'python{sys.version_info[0]}.{sys.version_info[1]}'
    theirs = [path.name for path in environment.venv.glob('lib/python3*')]
    if choice and theirs and mine not in theirs:
        raise SetupError(
            f'.venv was made with {theirs[0]}, but PYTHON={choice}'
            f' is {mine}; remove .venv to change to it')


def main() -> int:
    """Bring the environment of this clone up to date.

    Returns:
        int: Exit status.
    """
    environment = Environment(ROOT, ROOT / '.venv')
    try:
        check_choice(environment, os.environ.get('PYTHON', ''))
        drop_moved(environment)
        with locked(environment.venv):
            if run_steps(environment, STEPS) == 0:
                print('Set-up is up to date (.venv).', flush=True)
    except SetupError as error:
        print(f'\nSet-up stopped: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
