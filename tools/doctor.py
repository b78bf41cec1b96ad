"""Look at the environment and say what is broken and how to mend it.

Run it with the interpreter to look at: ``.venv/bin/python tools/doctor.py``.
It needs nothing but Python itself. ``--explain 'error message'`` says what an
error of the stack means.
"""
import argparse
import contextlib
import importlib
import importlib.metadata
import os
import re
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parents[1]
KNOWN_FAILURES = ROOT / 'docs' / 'troubleshooting.md'
REPEAT_SETUP = 'rm -f .venv/setup_stamps.json; make setup'
IMPORT_SCANS = ('.venv/bin/python tools/preparation/import_scans.py '
                '--source DIR --out data/NAME')


class Finding(NamedTuple):
    """One line of the report.

    Args:
        state (str): ``ok``, ``info`` (nothing to mend) or ``BROKEN``.
        text (str): What was looked at, and what is the matter.
        mend (str): The command that mends it; empty when nothing is broken.
    """
    state: str
    text: str
    mend: str = ''


class KnownFailure(NamedTuple):
    """A failure of the stack that is understood.

    Args:
        pattern (str): Regular expression that finds it in an error message.
        symptom (str): What the user sees.
        reason (str): Why, and what to do.
    """
    pattern: str
    symptom: str
    reason: str


# Versions that the stack is known to run with: lowest, first too new, why.
LIMITS: Dict[str, Tuple[str, str, str]] = {
    'torch': ('2.4', '2.14', 'mmcv 2.1.0 does not compile with others'),
    'torchvision': ('0.19', '0.29', 'it has to match torch'),
    'numpy': ('1.24', '2', 'mmcv and nuscenes-devkit stop with numpy 2'),
    'setuptools': ('60', '81', 'mmcv and mmengine need its pkg_resources'),
    'opencv-python-headless': ('4.5', '5', 'mmcv does not know OpenCV 5'),
    'mmengine': ('0.10.7', '0.11', 'others are untested'),
    'mmcv': ('2.1.0', '2.2', 'mmdet3d 1.4.0 refuses others'),
    'mmdet': ('3.2.0', '3.4', 'mmdet3d 1.4.0 refuses others'),
    'mmdet3d': ('1.4.0', '1.5', 'the plugin is written for it'),
    'numba': ('0.59', '1', 'sam3d_plugin.ops compiles with it'),
    'scipy': ('1.11', '2', 'sam3d_plugin.visualization uses its kd-trees'),
}
# Modules to import, and the package that each comes with.
MODULES = {
    'cv2': 'opencv-python-headless',
    'torch': 'torch',
    'torchvision': 'torchvision',
    'numba': 'numba',
    'pkg_resources': 'setuptools',
    'mmcv.ops': 'mmcv',
    'mmdet3d.models': 'mmdet3d',
    'mmdet3d.datasets': 'mmdet3d',
    'mmdet3d.evaluation': 'mmdet3d',
}
# Any of these brings cv2.
OPENCV = ('opencv-python-headless', 'opencv-python',
          'opencv-contrib-python-headless', 'opencv-contrib-python')


def read_known_failures(path: Path) -> List[KnownFailure]:
    """Read the page of known failures.

    Args:
        path (Path): ``docs/troubleshooting.md``: a heading, a ``matches``
            line and a text for each.

    Returns:
        List[KnownFailure]: In the order of the page.
    """
    section = re.compile(r'^## (.+)\nmatches: `(.+)`\n\n((?:(?!## ).*\n?)+)',
                         re.MULTILINE)
    return [
        KnownFailure(pattern, symptom, ' '.join(text.split()))
        for symptom, pattern, text in section.findall(path.read_text())
    ]


def explain(message: str, failures: List[KnownFailure]) -> List[KnownFailure]:
    """Find the known failures that an error message may come from.

    Args:
        message (str): The message, or a part of it.
        failures (List[KnownFailure]): All of them.

    Returns:
        List[KnownFailure]: Those that fit, in the order of the page.
    """
    return [
        failure for failure in failures
        if re.search(failure.pattern, message, flags=re.IGNORECASE)
    ]


def version_key(version: str) -> Tuple[int, ...]:
    """Turn a version into something that compares.

    Args:
        version (str): Such as ``2.11.0+cu130``.

    Returns:
        Tuple[int, ...]: Its first three numbers, such as (2, 11, 0).
    """
    numbers = [int(part) for part in re.findall(r'\d+', version)[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))


def read_pins(root: Path) -> Dict[str, str]:
    """Read the pinned versions of this clone.

    Args:
        root (Path): The clone.

    Returns:
        Dict[str, str]: Version by package name.
    """
    text = (root / 'requirements.txt').read_text()
    return dict(re.findall(r'^([\w.-]+)==([\w.+]+)', text, flags=re.MULTILINE))


def check_python(version: Tuple[int, ...]) -> Finding:
    """Check the version of Python.

    Args:
        version (Tuple[int, ...]): Major, minor and patch version.

    Returns:
        Finding: Broken outside 3.10 to 3.12.
    """
    text = 'Python ' + '.'.join(str(number) for number in version[:3])
    if (3, 10) <= tuple(version[:2]) <= (3, 12):
        return Finding('ok', text)
    return Finding('BROKEN', f'{text}: 3.10, 3.11 or 3.12 is needed',
                   'rm -r .venv; make setup PYTHON=/path/to/python3.11')


def check_package(name: str, version: Optional[str],
                  pins: Dict[str, str]) -> Finding:
    """Check the version of one package.

    Args:
        name (str): One of ``LIMITS``.
        version (Optional[str]): What is installed, None for nothing.
        pins (Dict[str, str]): Pinned version by name.

    Returns:
        Finding: Broken when it is missing or known not to work.
    """
    mend = f'{sys.executable} -m pip install --no-deps {name}=={pins[name]}'
    if name == 'mmcv':
        mend = f'{sys.executable} tools/build_mmcv.py --version {pins[name]}'
    if sys.prefix == sys.base_prefix:
        mend = 'make setup'  # never into the system's own Python
    if version is None:
        return Finding('BROKEN', f'{name} is not installed', mend)
    lowest, too_new, why = LIMITS[name]
    key = version_key(version)
    if not version_key(lowest) <= key < version_key(too_new):
        return Finding(
            'BROKEN', f'{name} {version}: {lowest} or later, below '
            f'{too_new} is needed; {why}', mend)
    if key != version_key(pins[name]):
        return Finding(
            'info', f'{name} {version} should work; tests run with '
            f'{pins[name]}')
    return Finding('ok', f'{name} {version}')


def installed_version(name: str) -> Optional[str]:
    """Return the version of an installed package.

    Args:
        name (str): Its name.

    Returns:
        Optional[str]: None when it is not installed.
    """
    names = OPENCV if name in OPENCV else (name, )
    for candidate in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(candidate)
    return None


def check_project(version: Optional[str]) -> Finding:
    """Check that the plugin imports from any folder.

    Args:
        version (Optional[str]): What is installed, None for nothing.

    Returns:
        Finding: Broken when it is not installed.
    """
    if version is None:
        return Finding(
            'BROKEN', 'sam3d_plugin is not installed: custom_imports finds '
            'it in this folder only', f'{sys.executable} -m pip install '
            '--no-deps --no-build-isolation -e .')
    return Finding('ok', f'sam3d_plugin {version}')


def check_import(module: str, error: Optional[str]) -> Finding:
    """Report whether a module imports.

    Args:
        module (str): Its name.
        error (Optional[str]): What importing it raised, None for nothing.

    Returns:
        Finding: Broken with the reason when there is an error.
    """
    if error is None:
        return Finding('ok', f'import {module}')
    known = explain(error, read_known_failures(KNOWN_FAILURES))
    mend = known[0].reason if known else REPEAT_SETUP
    return Finding('BROKEN', f'import {module}: {error}', mend)


def import_error(module: str) -> Optional[str]:
    """Import a module and return what went wrong.

    Args:
        module (str): Its name.

    Returns:
        Optional[str]: The error in one line, None when it imports.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - reporting it is the purpose
        lines = str(error).splitlines() or ['']
        return f'{type(error).__name__}: {lines[0]}'
    return None


def check_gpu(device: Optional[str], mmcv_cuda: Optional[str]) -> Finding:
    """Check that mmcv has operations for what torch computes on.

    Args:
        device (Optional[str]): Name of the GPU, None without one.
        mmcv_cuda (Optional[str]): CUDA version that mmcv was compiled with,
            ``not available`` for CPU operations only, None when mmcv does
            not import.

    Returns:
        Finding: Broken when there is a GPU but mmcv is for CPU only.
    """
    if device is None:
        return Finding('info', 'no GPU: training and testing run on CPU')
    if mmcv_cuda == 'not available':
        return Finding(
            'BROKEN', f'{device}, but mmcv has CPU operations only',
            'put nvcc of the CUDA toolkit on PATH, then `make setup`')
    return Finding('ok', f'{device}; mmcv operations for CUDA {mmcv_cuda}')


def inspect_gpu() -> Finding:
    """Look at the GPU through torch and mmcv, as far as they import.

    Returns:
        Finding: See :func:`check_gpu`.
    """
    try:
        import torch
        if not torch.cuda.is_available():
            return check_gpu(None, None)
        device = torch.cuda.get_device_name()
    except (ImportError, OSError, RuntimeError) as error:
        return Finding('info', f'GPU unknown, torch says: {error}')
    try:
        from mmcv.ops import get_compiling_cuda_version
    except (ImportError, OSError):
        return check_gpu(device, None)
    return check_gpu(device, get_compiling_cuda_version())


def check_data(folder: Path) -> List[Finding]:
    """Say which data sets are there.

    Args:
        folder (Path): Usually ``data``.

    Returns:
        List[Finding]: Information only; a data set may be elsewhere.
    """
    sets = sorted(folder.glob('*/')) if folder.is_dir() else []
    if not sets:
        return [
            Finding(
                'info', f'{folder}/ holds no data; import scans with '
                f'`{IMPORT_SCANS}`')
        ]
    findings = []
    for path in sets:
        infos = sorted(item.name for item in path.glob('*_infos_*.pkl'))
        scans = len(list((path / 'points').glob('*.bin')))
        if infos:
            text = f'{path}: {scans} scans, {", ".join(infos)}'
            findings.append(Finding('ok', text))
        else:
            findings.append(
                Finding(
                    'info', f'{path} has no *_infos_*.pkl; make them with '
                    f'`{IMPORT_SCANS}`'))
    return findings


def check_cache(folders: List[Path]) -> Finding:
    """Check that numba can keep its compiled functions.

    Args:
        folders (List[Path]): Where it tries to, in order; a folder that does
            not exist counts when its parent can be written.

    Returns:
        Finding: Broken when it can write nowhere.
    """
    for folder in folders:
        existing = folder
        while not existing.exists():
            existing = existing.parent
        if existing.is_dir() and os.access(existing, os.W_OK):
            return Finding('ok', f'numba keeps compiled functions in {folder}')
    names = ', '.join(str(folder) for folder in folders)
    return Finding('BROKEN', f'numba cannot write to any of: {names}',
                   'export NUMBA_CACHE_DIR=/tmp/numba_cache')


def cache_folders(root: Path) -> List[Path]:
    """List where numba keeps what it compiles from this clone.

    Args:
        root (Path): The clone.

    Returns:
        List[Path]: In the order in which numba tries them.
    """
    chosen = os.environ.get('NUMBA_CACHE_DIR')
    if chosen:
        return [Path(chosen)]
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return [root / 'sam3d_plugin' / 'ops' / '__pycache__', Path(cache)]


def examine(root: Path, quick: bool) -> List[Finding]:
    """Look at everything.

    Args:
        root (Path): The clone.
        quick (bool): Leave out the imports, which take 15 seconds.

    Returns:
        List[Finding]: In the order of the report.
    """
    pins = read_pins(root)
    findings = [check_python(sys.version_info[:3])]
    findings += [
        check_package(name, installed_version(name), pins) for name in LIMITS
    ]
    findings.append(check_project(installed_version('sam3d_plugin')))
    if not quick:
        findings += [
            check_import(module, import_error(module))
            for module, package in MODULES.items()
            if installed_version(package) is not None
        ]
        findings.append(inspect_gpu())
    findings.append(check_cache(cache_folders(root)))
    return findings + check_data(Path('data'))


def print_findings(findings: List[Finding]) -> None:
    """Print the report.

    Args:
        findings (List[Finding]): Its lines.
    """
    for finding in findings:
        print(f'{finding.state:8}{finding.text}')
        if finding.mend:
            print(f'{"":8}mend: {finding.mend}')


def print_known(message: str) -> int:
    """Print what is known about an error message.

    Args:
        message (str): The message; empty for all known failures.

    Returns:
        int: 1 when nothing is known about it.
    """
    known = read_known_failures(KNOWN_FAILURES)
    if message:
        known = explain(message, known)
    for failure in known:
        text = textwrap.indent(textwrap.fill(failure.reason, 75), '    ')
        print(f'{failure.symptom}\n{text}')
    if not known:
        print(f'This message is not in {KNOWN_FAILURES.relative_to(ROOT)}.')
    return int(not known)


def main() -> int:
    """Report on this interpreter, or explain an error.

    Returns:
        int: 1 when something needed is broken, or an error is unknown.
    """
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--quick', action='store_true', help='versions only, no imports')
    parser.add_argument(
        '--explain',
        nargs='?',
        const='',
        metavar='MESSAGE',
        help='say what an error message means; without one, list all')
    arguments = parser.parse_args()
    if arguments.explain is not None:
        return print_known(arguments.explain)
    findings = examine(ROOT, arguments.quick)
    print_findings(findings)
    broken = sum(finding.state == 'BROKEN' for finding in findings)
    print(f'{broken} broken.' if broken else 'Everything needed works.')
    return int(broken > 0)


if __name__ == '__main__':
    sys.exit(main())
