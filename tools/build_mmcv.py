"""Install mmcv with its compiled operations from this machine's wheel store.

``make setup`` runs this with the interpreter of ``.venv``. A wheel depends on
Python, torch and CUDA; it is kept under ``~/.cache/sam3d_plugin/wheels/KEY``
(``XDG_CACHE_HOME`` is honoured), so that the next clone on the same machine
takes seconds. The build happens beside the store and is moved into it when it
is whole; a build that was stopped goes on with the file it was at.
"""
import argparse
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

REPORT_SECONDS = 30
# Headers that mmcv's CUDA operations include through torch; small toolkits
# leave them to the nvidia wheels.
LIBRARY_HEADERS = ('cublas_v2.h', 'cusparse.h', 'cusolverDn.h')


class BuildError(Exception):
    """Something that the user has to mend; its text says how."""


class Target(NamedTuple):
    """What a wheel is built for.

    Args:
        python (str): Such as ``311``.
        torch (str): Such as ``2.11.0``.
        cuda (str): Such as ``13.0``; empty for CPU operations only.
        archs (str): ``TORCH_CUDA_ARCH_LIST``, such as ``8.0;9.0``.
    """
    python: str
    torch: str
    cuda: str = ''
    archs: str = ''

    @property
    def key(self) -> str:
        """str: Name of its folder in the wheel store."""
        parts = [f'py{self.python}', f'torch{self.torch}']
        if not self.cuda:
            return '-'.join([*parts, 'cpu'])
        archs = re.sub(r'[^0-9a-zA-Z]+', '_', self.archs.replace('.', ''))
        return '-'.join(
            [*parts, f'cu{self.cuda.replace(".", "")}', f'sm{archs}'])


def store_folder() -> Path:
    """Return where built wheels are kept.

    Returns:
        Path: A folder outside the clone.
    """
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'sam3d_plugin'


def wants_cuda(choice: str, has_gpu: bool, has_nvcc: bool) -> bool:
    """Decide whether CUDA operations are built.

    Args:
        choice (str): ``SAM3D_MMCV_CUDA``: 1, 0 or empty for automatic.
        has_gpu (bool): Whether torch sees a GPU.
        has_nvcc (bool): Whether a CUDA compiler is there.

    Returns:
        bool: True for CUDA and CPU operations, False for CPU only.

    Raises:
        BuildError: When CUDA is asked for without a compiler.
    """
    if choice not in ('', '0', '1'):
        raise BuildError(f'SAM3D_MMCV_CUDA={choice}: set it to 1 or 0')
    if choice == '1' and not has_nvcc:
        raise BuildError('SAM3D_MMCV_CUDA=1, but nvcc is not on PATH; load '
                         'the CUDA toolkit or set CUDA_HOME')
    if not choice and has_gpu and not has_nvcc:
        print('      a GPU but no nvcc: mmcv gets CPU operations only; with '
              'the CUDA toolkit on PATH `make setup` builds the others')
    return choice == '1' or (choice == '' and has_gpu and has_nvcc)


def find_toolkit() -> Optional[Path]:
    """Find the CUDA toolkit, also when nvcc is a script that calls another.

    Returns:
        Optional[Path]: Its folder, None when there is no nvcc.
    """
    home = os.environ.get('CUDA_HOME')
    nvcc = str(Path(home) / 'bin' / 'nvcc') if home else shutil.which('nvcc')
    if nvcc is None or not Path(nvcc).exists():
        return None
    result = subprocess.run([nvcc, '--dryrun', '-x', 'cu', '/dev/null'],
                            capture_output=True,
                            text=True)
    top = re.search(r'TOP=(\S+)', result.stderr)
    return Path(top[1]).resolve() if top else Path(nvcc).parents[1]


def check_toolkit(toolkit: Path, torch_cuda: Optional[str]) -> None:
    """Refuse a toolkit of another major version than torch's.

    Args:
        toolkit (Path): The CUDA toolkit.
        torch_cuda (Optional[str]): ``torch.version.cuda``.

    Raises:
        BuildError: When they differ.
    """
    text = subprocess.run([str(toolkit / 'bin' / 'nvcc'), '--version'],
                          capture_output=True,
                          text=True).stdout
    release = re.search(r'release (\d+)\.\d+', text)
    major = (torch_cuda or 'none').split('.')[0]
    if release is None or release[1] != major:
        raise BuildError(
            f'{toolkit} is CUDA {release[1] if release else "?"}, but torch '
            f'was built with {torch_cuda}; load a CUDA {major} toolkit, or '
            'set SAM3D_MMCV_CUDA=0 to build CPU operations only')


def find_target(toolkit: Optional[Path]) -> Target:
    """Find out what to build for on this machine.

    Args:
        toolkit (Optional[Path]): The CUDA toolkit.

    Returns:
        Target: What the wheel has to fit.

    Raises:
        BuildError: When CUDA is asked for but cannot be built.
    """
    import torch
    python = f'{sys.version_info[0]}{sys.version_info[1]}'
    version = torch.__version__.split('+')[0]
    has_gpu = torch.cuda.is_available()
    choice = os.environ.get('SAM3D_MMCV_CUDA', '')
    if not wants_cuda(choice, has_gpu, toolkit is not None):
        return Target(python, version)
    assert toolkit is not None
    check_toolkit(toolkit, torch.version.cuda)
    archs = os.environ.get('TORCH_CUDA_ARCH_LIST', '')
    if not archs and not has_gpu:
        raise BuildError('SAM3D_MMCV_CUDA=1 on a machine without a GPU: set '
                         'TORCH_CUDA_ARCH_LIST too, such as 9.0 for an H100')
    if not archs:
        major, minor = torch.cuda.get_device_capability()
        archs = f'{major}.{minor}'
    return Target(python, version, str(torch.version.cuda), archs)


def choose_jobs(cores: int, gigabytes: float, gigabytes_per_job: float) -> int:
    """Choose how many files to compile at once.

    Args:
        cores (int): Usable cores.
        gigabytes (float): Usable memory.
        gigabytes_per_job (float): What one compiler takes.

    Returns:
        int: At least one.
    """
    return max(1, min(cores, int(gigabytes / gigabytes_per_job)))


def usable_gigabytes() -> float:
    """Return the memory that this process may use.

    Returns:
        float: What is available, within the limit of a container.
    """
    text = Path('/proc/meminfo').read_text()
    available = re.search(r'MemAvailable:\s+(\d+) kB', text)
    limits = [int(available[1]) / 1e6] if available else []
    limit = Path('/sys/fs/cgroup/memory.max')
    if limit.exists() and limit.read_text().strip().isdigit():
        limits.append(int(limit.read_text()) / 1e9)
    return min(limits, default=2.0)


def build_variables(target: Target, toolkit: Optional[Path]) -> Dict[str, str]:
    """Return the environment variables of the build.

    Args:
        target (Target): What to build for.
        toolkit (Optional[Path]): The CUDA toolkit.

    Returns:
        Dict[str, str]: Ours and the inherited ones.
    """
    variables = dict(os.environ, MMCV_WITH_OPS='1')
    # ninja and pip's other programs lie beside the interpreter.
    variables['PATH'] = os.pathsep.join(
        [str(Path(sys.executable).parent), variables['PATH']])
    jobs = choose_jobs(
        len(os.sched_getaffinity(0)), usable_gigabytes(),
        4 if target.cuda else 1.5)
    variables.setdefault('MAX_JOBS', str(jobs))
    if not target.cuda:
        variables.update(FORCE_CUDA='0', CUDA_VISIBLE_DEVICES='')
        return variables
    variables.update(
        FORCE_CUDA='1',
        CUDA_HOME=str(toolkit),
        TORCH_CUDA_ARCH_LIST=target.archs)
    add_library_headers(variables, Path(str(toolkit)))
    return variables


def add_library_headers(variables: Dict[str, str], toolkit: Path) -> None:
    """Put the nvidia wheels' headers where the compilers look last.

    Args:
        variables (Dict[str, str]): Environment variables to change.
        toolkit (Path): The CUDA toolkit; nothing to do when it is complete.
    """
    include = toolkit / 'include'
    if all((include / name).exists() for name in LIBRARY_HEADERS):
        return
    nvidia = Path(sysconfig.get_path('purelib')) / 'nvidia'
    folders = [str(path) for path in sorted(nvidia.glob('*/include'))]
    if variables.get('CPATH'):
        folders.insert(0, variables['CPATH'])
    variables['CPATH'] = os.pathsep.join(folders)


def check_compiler() -> None:
    """Refuse to start a build that cannot end.

    Raises:
        BuildError: When the compiler or Python's headers are missing.
    """
    compiler = os.environ.get('CXX', 'c++').split()[0]
    if shutil.which(compiler) is None:
        raise BuildError(f'no C++ compiler ({compiler}); run '
                         '`apt-get install g++`')
    header = Path(sysconfig.get_path('include')) / 'Python.h'
    if not header.exists():
        raise BuildError(f'{header} is missing, which mmcv needs to compile; '
                         'run `apt-get install python3-dev`')


def find_wheel(folder: Path, version: str) -> Optional[Path]:
    """Find a whole wheel with compiled operations.

    Args:
        folder (Path): Where to look.
        version (str): mmcv's version.

    Returns:
        Optional[Path]: The wheel, None when there is none.
    """
    for path in sorted(folder.glob(f'mmcv-{version}-*.whl')):
        if not zipfile.is_zipfile(path):
            continue
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
        if any(name.startswith('mmcv/_ext.') for name in names):
            return path
    return None


def fetch_source(folder: Path, version: str) -> Path:
    """Fetch and unpack mmcv's source, or find it from a stopped build.

    Args:
        folder (Path): Where to.
        version (str): mmcv's version.

    Returns:
        Path: The unpacked source.
    """
    source = folder / f'mmcv-{version}'
    if source.exists():
        return source
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        run_pip('download', f'mmcv=={version}', '--no-binary', 'mmcv',
                '--no-deps', '--no-build-isolation', '-q', '-d', temporary)
        archive = next(Path(temporary).glob('mmcv-*.tar.gz'))
        with tarfile.open(archive) as file:
            file.extractall(temporary)
        os.replace(Path(temporary) / source.name, source)
    return source


def run_pip(*arguments: str) -> None:
    """Run pip of this interpreter.

    Args:
        *arguments (str): Its arguments.

    Raises:
        BuildError: When it fails.
    """
    command = [sys.executable, '-m', 'pip', *arguments]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise BuildError(f'{result.stdout}\n`{" ".join(command)}` failed')


def read_progress(log: Path) -> str:
    """Read from the build's output how far it is.

    Args:
        log (Path): ninja's output, lines such as ``[12/97] c++ ...``.

    Returns:
        str: ``file 12 of 97``, or that the build starts.
    """
    counts = re.findall(r'\[(\d+)/(\d+)\]', log.read_text(errors='replace'))
    return 'file {} of {}'.format(*counts[-1]) if counts else 'starting'


def build_wheel(source: Path, output: Path, variables: Dict[str, str],
                log: Path) -> None:
    """Compile mmcv, telling how far it is.

    Args:
        source (Path): Its unpacked source; keeps what is compiled.
        output (Path): Folder that gets the wheel.
        variables (Dict[str, str]): Environment variables.
        log (Path): Gets the compiler's output.

    Raises:
        BuildError: When the build fails.
    """
    # No pip cache: it would hand out a wheel built against another torch.
    command: List[str] = [
        sys.executable, '-m', 'pip', 'wheel',
        str(source), '--no-build-isolation', '--no-deps', '--no-cache-dir',
        '-v', '-w',
        str(output)
    ]
    start = time.monotonic()
    with open(log, 'w') as file:
        process = subprocess.Popen(
            command,
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            close_fds=False)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(REPORT_SECONDS)
            break
        minutes = (time.monotonic() - start) / 60
        print(
            f'      mmcv: {read_progress(log)}, {minutes:.1f} min', flush=True)
    if process.returncode:
        end = log.read_text(errors='replace').splitlines()[-30:]
        raise BuildError('\n'.join(end) + '\nmmcv did not compile; the whole '
                         f'output is in {log}')


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one build of a target run at a time, whatever the clone.

    Args:
        path (Path): The lock file.

    Yields:
        None: While the lock is held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w') as file:
        # A compiler that outlives a killed build inherits the lock.
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                '      another clone builds the same mmcv; waiting for it',
                flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def provide_wheel(target: Target, toolkit: Optional[Path],
                  version: str) -> Path:
    """Find the wheel in the store, or build it into the store.

    Args:
        target (Target): What it has to fit.
        toolkit (Optional[Path]): The CUDA toolkit.
        version (str): mmcv's version.

    Returns:
        Path: The wheel.
    """
    store = store_folder() / 'wheels' / target.key
    build = store_folder() / 'build' / target.key
    with locked(store_folder() / 'build' / f'{target.key}.lock'):
        wheel = find_wheel(store, version)
        if wheel is not None:
            print(f'      using {wheel}', flush=True)
            return wheel
        check_compiler()
        build.mkdir(parents=True, exist_ok=True)
        variables = build_variables(target, toolkit)
        print(
            f'      building mmcv {version} for {target.key} with '
            f'{variables["MAX_JOBS"]} compilers; follow {build}/build.log',
            flush=True)
        source = fetch_source(build, version)
        output = build / 'wheel'
        build_wheel(source, output, variables, build / 'build.log')
        wheel = find_wheel(output, version)
        if wheel is None:
            raise BuildError(f'{output} holds no mmcv wheel with compiled '
                             f'operations; see {build}/build.log')
        store.mkdir(parents=True, exist_ok=True)
        os.replace(wheel, store / wheel.name)
        shutil.rmtree(build)
        return store / wheel.name


def main() -> int:
    """Install mmcv into the environment of this interpreter.

    Returns:
        int: Exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--version', required=True, help="mmcv's version")
    version = parser.parse_args().version
    try:
        toolkit = find_toolkit()
        wheel = provide_wheel(find_target(toolkit), toolkit, version)
        run_pip('install', '--no-deps', '--force-reinstall', '-q', str(wheel))
    except BuildError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
