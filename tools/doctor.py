"""Report what is broken in this environment and how to fix it.

Needs Python only, so it runs where the set-up failed.
"""
import argparse
import importlib
import os
import re
import sys
import textwrap
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Dict, List, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
REPAIR = 'rm -f .venv/setup.json; make setup'
IMPORT_SCANS = ('.venv/bin/python tools/preparation/import_scans.py '
                '--source DIR --out data/NAME')
# What only works if all the packages below it do.
MODULES = ('cv2', 'torchvision', 'mmcv.ops', 'mmdet3d.models',
           'mmdet3d.datasets', 'mmdet3d.evaluation', 'sam3d_plugin.ops')


class Finding(NamedTuple):
    """``ok``, ``info`` or ``BROKEN``; what was found; how to fix it."""
    state: str
    text: str
    fix: str = ''


def find_known_failures(message: str) -> Dict[str, str]:
    """Find symptom and reason in docs/troubleshooting.md; empty for all."""
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text()
    section = r'^## (.+)\nmatches: `(.+)`\n\n((?:(?!## ).*\n?)+)'
    return {
        symptom: ' '.join(text.split())
        for symptom, pattern, text in re.findall(section, page, re.MULTILINE)
        if not message or re.search(pattern, message, re.IGNORECASE)
    }


def check_packages(lock: List[str]) -> List[Finding]:
    """Compare the installed packages with those that were set up."""
    findings = []
    for name, tested in (line.split('==') for line in lock if ';' not in line):
        try:
            found = version(name)
        except PackageNotFoundError:
            text = f'{name} is not installed'
            findings.append(Finding('BROKEN', text, REPAIR))
        else:
            if found.split('+')[0] != tested:
                text = f'{name} {found} is installed, {tested} is tested'
                findings.append(Finding('info', text))
    return findings or [Finding('ok', f'{len(lock)} packages')]


def check_import(module: str) -> Finding:
    """Import a module, and explain what that raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - reporting it is the purpose
        message = f'{type(error).__name__}: {error}'.split('\n')[0]
        known = list(find_known_failures(message).values())
        return Finding('BROKEN', f'import {module}: {message}',
                       known[0] if known else REPAIR)
    return Finding('ok', f'import {module}')


def check_gpu() -> Finding:
    """Report the device: a GPU with mmcv's kernels or ours, or the CPU."""
    try:
        import torch
        from mmcv.ops import get_compiling_cuda_version
        if not torch.cuda.is_available():
            return Finding('info', 'no GPU: training and testing run on CPU')
        device = torch.cuda.get_device_name()
    except (ImportError, OSError, RuntimeError) as error:
        return Finding('info', f'GPU unknown: {error}')
    cuda = get_compiling_cuda_version()
    if cuda != 'not available':
        return Finding('ok', f'{device}; kernels of mmcv for CUDA {cuda}')
    return Finding(
        'info', f'{device}; point operations run in torch and Triton. For '
        'the kernels of mmcv, put nvcc on PATH and run `make setup MMCV=full`')


def check_data(folder: Path) -> List[Finding]:
    """List the data sets; they may be elsewhere too."""
    findings = []
    for path in sorted(folder.glob('*/')):
        scans = len(list((path / 'points').glob('*.bin')))
        infos = sorted(item.name for item in path.glob('*_infos_*.pkl'))
        text = f'{path}: {scans} scans, {", ".join(infos) or "no infos"}'
        findings.append(Finding('ok' if infos else 'info', text))
    return findings or [
        Finding('info', f'{folder}/ has no data; see `{IMPORT_SCANS}`')
    ]


def examine() -> List[Finding]:
    """Examine everything, in the order of the report."""
    findings = [Finding('ok', f'Python {sys.version.split()[0]}')]
    lock = Path(sys.prefix) / 'setup-lock.txt'
    if lock.exists():
        findings += check_packages(lock.read_text().splitlines())
    return [
        *findings, *map(check_import, MODULES),
        check_gpu(), *check_data(Path('data'))
    ]


def explain(message: str) -> int:
    """Print what is known about an error; 1 if nothing is."""
    known = find_known_failures(message)
    for symptom, reason in known.items():
        print(symptom, textwrap.fill(reason, 75), sep='\n', end='\n\n')
    if not known:
        print('This message is not in docs/troubleshooting.md')
    return int(not known)


def main() -> int:
    """Report on this interpreter, or explain an error."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--explain',
        nargs='?',
        const='',
        metavar='MESSAGE',
        help='say what an error message means; without one, list all')
    arguments = parser.parse_args()
    if arguments.explain is not None:
        return explain(arguments.explain)
    findings = examine()
    for finding in findings:
        print(f'{finding.state:8}{finding.text}')
        if finding.fix:
            print(f'{"":8}fix: {finding.fix}')
    broken = sum(finding.state == 'BROKEN' for finding in findings)
    print(f'{broken} broken' if broken else 'Everything needed works')
    return int(broken > 0)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print('error: interrupted', file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # as of "| head"
        os._exit(1)
