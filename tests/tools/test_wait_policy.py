"""OpenMP reads how threads wait when torch is loaded, so we come first."""
import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Run before there is an environment, or without any library.
ALONE = {'build_mmcv.py', 'doctor.py', 'setup_environment.py'}
TOOLS = [
    path for folder in ('tools', 'projects')
    for path in sorted((ROOT / folder).rglob('*.py'))
    if path.name not in ALONE and '__main__' in path.read_text()
]
# Loaded before torch by some tools; none brings OpenMP along.
HARMLESS = {'PIL', 'numpy', 'rich', 'scipy', 'yaml'}


def imported_names(node):
    """Modules, and what may be one, that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module] + [f'{node.module}.{a.name}' for a in node.names]
    return []


def imports_before_ours(source):
    """Packages that a script loads before sam3d_plugin.

    Args:
        source (str): Of the script.

    Returns:
        tuple: The packages without the standard library's, and whether
        sam3d_plugin follows.
    """
    before: set = set()
    for node in ast.parse(source).body:
        for name in imported_names(node):
            package = name.split('.')[0]
            if package == 'sam3d_plugin':
                return before, True
            file = ROOT / f'{name.replace(".", "/")}.py'
            if package != 'tools':
                before.add(package)
            elif file.is_file():
                theirs, is_followed = imports_before_ours(file.read_text())
                before |= theirs
                if is_followed:
                    return before, True
    return before - sys.stdlib_module_names, False


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.name)
def test_every_tool_imports_the_plugin_first(tool):
    before, is_followed = imports_before_ours(tool.read_text())
    loaded = before - sys.stdlib_module_names - HARMLESS
    assert not loaded, f'{tool}: import sam3d_plugin above them'
    assert is_followed


@pytest.mark.parametrize('lines, expected', [
    ('import os, torch\nimport sam3d_plugin', {'torch'}),
    ('from mmengine.config import Config', {'mmengine'}),
    ('from tools.benchmarks import ops_cases', {'torch'}),
    ('import sam3d_plugin\nimport torch', set()),
    ('from sam3d_plugin.experiments import steps\nimport torch', set()),
])
def test_what_comes_first_is_found(lines, expected):
    before, _ = imports_before_ours(lines)
    assert before - sys.stdlib_module_names - HARMLESS >= expected
    assert bool(before - sys.stdlib_module_names - HARMLESS) == bool(expected)


def openmp_settings(code, **environment):
    """What OpenMP read when a process loaded it; '' if it did not."""
    variables = dict(
        os.environ, PYTHONPATH=str(ROOT), OMP_DISPLAY_ENV='verbose')
    for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'):
        variables.pop(name, None)
    variables.update(environment)
    result = subprocess.run([sys.executable, '-c', code],
                            env=variables,
                            capture_output=True,
                            text=True,
                            check=True)
    return result.stderr


def test_openmp_reads_the_setting():
    code = 'import sam3d_plugin, torch'
    ours = openmp_settings(code)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in ours
    assert "GOMP_SPINCOUNT = '1000'" in ours
    chosen = openmp_settings(code, OMP_WAIT_POLICY='ACTIVE')
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in chosen
    assert "GOMP_SPINCOUNT = '1000'" not in chosen
    code = f'import sam3d_plugin, {", ".join(sorted(HARMLESS))}'
    assert 'OMP_WAIT_POLICY' not in openmp_settings(code)
