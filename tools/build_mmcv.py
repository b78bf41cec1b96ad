"""Build mmcv with its kernels and install it; ``make setup`` runs this.

The wheel fits one Python, torch and GPU. It is kept under
``~/.cache/sam3d_plugin`` (or ``XDG_CACHE_HOME``), so that the next clone on
this machine installs it in seconds. A stopped build resumes.
"""
import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Dict, Optional

MMCV = 'mmcv-2.1.0'
PIP = (sys.executable, '-m', 'pip', '--disable-pip-version-check')
REPORT_SECONDS = 30


def find_toolkit() -> Optional[Path]:
    """Find the CUDA toolkit, also when nvcc is a script that calls another."""
    home = os.environ.get('CUDA_HOME')
    nvcc = shutil.which('nvcc', path=f'{home}/bin' if home else None)
    if nvcc is None:
        return None
    result = subprocess.run([nvcc, '--dryrun', '-x', 'cu', '/dev/null'],
                            capture_output=True,
                            text=True)
    top = re.search(r'TOP=(\S+)', result.stderr)
    return Path(top[1]).resolve() if top else Path(nvcc).parents[1]


def can_build_cuda() -> bool:
    """Tell whether this machine has a GPU and the CUDA compiler."""
    has_driver = Path('/proc/driver/nvidia/version').exists()
    return find_toolkit() is not None and (
        has_driver or shutil.which('nvidia-smi') is not None)


def find_variables(gpu: str) -> Dict[str, str]:
    """Return the build's environment; ``gpu`` is such as 9.0, or empty."""
    toolkit = find_toolkit()
    archs = os.environ.get('TORCH_CUDA_ARCH_LIST', gpu)
    is_cuda = bool(toolkit and archs)
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    limit = Path('/sys/fs/cgroup/memory.max')
    if limit.exists() and limit.read_text().strip().isdigit():
        memory = min(memory, int(limit.read_text()))
    jobs = min(
        len(os.sched_getaffinity(0)), int(memory / (4e9 if is_cuda else 2e9)))
    variables = dict(
        os.environ,
        MMCV_WITH_OPS='1',
        FORCE_CUDA=str(int(is_cuda)),
        MAX_JOBS=os.environ.get('MAX_JOBS', str(max(1, jobs))),
        PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}')  # ninja
    if not is_cuda:
        return variables | dict(CUDA_VISIBLE_DEVICES='')
    # Small toolkits leave headers to the nvidia wheels.
    nvidia = Path(sysconfig.get_path('purelib'), 'nvidia')
    headers = [str(path) for path in sorted(nvidia.glob('*/include'))]
    return variables | dict(
        CUDA_HOME=str(toolkit),
        TORCH_CUDA_ARCH_LIST=archs,
        CPATH=':'.join(filter(None, [variables.get('CPATH'), *headers])))


def fetch_source(folder: Path, torch_version: str) -> Path:
    """Unpack mmcv's source, unless a stopped build left it."""
    source = folder / MMCV
    if not source.exists():
        download = (f'download {MMCV.replace("-", "==")} --no-binary mmcv '
                    '--no-deps --no-build-isolation --quiet --dest')
        subprocess.run([*PIP, *download.split(), str(folder)], check=True)
        shutil.unpack_archive(folder / f'{MMCV}.tar.gz', folder / 'unpacked')
        setup = folder / 'unpacked' / MMCV / 'setup.py'
        if tuple(map(int, torch_version.split('.')[:2])) >= (2, 14):
            # torch's headers need it from 2.14 on; mmcv asks for 17.
            setup.write_text(setup.read_text().replace('c++17', 'c++20'))
        os.replace(setup.parent, source)
    return source


def build(source: Path, variables: Dict[str, str], log: Path) -> Path:
    """Compile a wheel, telling how far it is."""
    # pip's cache would hand out a wheel for another torch.
    wheel = '-v wheel --no-build-isolation --no-deps --no-cache-dir -w'
    command = [*PIP, *wheel.split(), str(source / 'wheel'), str(source)]
    reported = time.monotonic()
    with open(log, 'w') as file, subprocess.Popen(
            command,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            close_fds=False) as process:
        for line in process.stdout or []:
            file.write(line)
            step = re.match(r'\s*\[(\d+/\d+)\]', line)
            if step and time.monotonic() > reported + REPORT_SECONDS:
                reported = time.monotonic()
                print(f'mmcv: file {step[1]}', flush=True)
    if process.returncode:
        end = '\n'.join(log.read_text().splitlines()[-30:])
        sys.exit(f'{end}\nmmcv did not compile, see {log}')
    return next((source / 'wheel').glob('mmcv-*.whl'))


def main() -> None:
    """Install mmcv into the environment of this interpreter."""
    import torch
    has_gpu = torch.cuda.is_available()
    capability = torch.cuda.get_device_capability() if has_gpu else ()
    variables = find_variables('.'.join(map(str, capability)))
    version = torch.__version__.split('+')[0]
    target = f'cp{sys.version_info[0]}{sys.version_info[1]}-torch{version}-cpu'
    if variables['FORCE_CUDA'] == '1':
        archs = re.sub(r'[^\w.]+', '_', variables['TORCH_CUDA_ARCH_LIST'])
        target = target.replace('cpu', f'cu{torch.version.cuda}-{archs}')
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    store = Path(cache, 'sam3d_plugin', 'wheels', target)
    folder = Path(cache, 'sam3d_plugin', 'build', target)
    store.mkdir(parents=True, exist_ok=True)
    with open(store / 'lock', 'w') as lock:
        # Another clone may be building, or a compiler outlive its build.
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(store.glob('*.whl')):
            print(
                f'Building {MMCV} for {target} with {variables["MAX_JOBS"]} '
                f'compilers; follow {folder}/build.log',
                flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            source = fetch_source(folder, version)
            wheel = build(source, variables, folder / 'build.log')
            os.replace(wheel, store / wheel.name)
            shutil.rmtree(folder)
        wheel = next(store.glob('*.whl'))
    subprocess.run([*PIP, 'install', '--no-deps', '--force-reinstall', wheel],
                   check=True)


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        print('error: interrupted', file=sys.stderr)
        sys.exit(130)
