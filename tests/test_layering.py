"""The layers of the package: who may import whom."""
import ast
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'sam3d_plugin'
# A module imports lower numbers and its own folder only.
LAYERS = {
    'structures': 0,
    'registry': 0,
    'mmcv_ext': 0,
    'shipped': 0,  # files
    'ops': 0,
    'store': 0,
    'store.errors': -2,  # which everything may raise
    'store.literals': -1,
    'visualization': 0,
    'preparation': 1,
    'synthrooms': 2,  # rooms, stored as preparation stores scans
    'libraries': 1,
    'datasets': 2,
    'models.hidden_settings': 3,
    'models.tokenizers': 3,
    'models.backbones': 4,
    'models.necks': 4,
    'models.target_generators': 5,
    'models.heads': 5,
    'models.losses': 5,
    'models.pretrainers': 5,
    'models.detectors': 6,
    'models.dense_heads': 6,
    'models.decode_heads': 6,
    'models.segmentors': 6,
    'models': 6,  # its __init__ lists the folders above
    'engine': 7,
    'evaluation': 7,
    'inference': 8,
    'experiments': 8,
    'cli': 9,
    'api': 10,  # the tools' logic as functions
    'cli.run_arguments': 9,  # of the tools of preparation, as the next
    'cli.step_tool': 9,
    'cli.arguments': 0,  # with cli.value_types, all of ours that they import
    'cli.value_types': -1,
    'cli.interruption': -1,
}
# Pictures and pages are written as atomically as everything else; a trained
# model reads the scans that can be imported; a report measures the regions.
EXCEPTIONS = {('visualization', 'store'), ('inference', 'preparation'),
              ('experiments', 'inference'), ('experiments', 'preparation'),
              ('api', 'preparation'), ('synthrooms', 'preparation'),
              *((f'cli.{name}', theirs)
                for name in ('run_arguments', 'step_tool')
                for theirs in ('preparation', 'cli', 'cli.run_arguments'))}
OFFLINE_ONLY = {'segment_anything', 'timm', 'transformers'}


def folder_of(module: str) -> str:
    """Return the entry of LAYERS that a module belongs to."""
    parts = module.split('.')
    if parts[0] != PACKAGE:
        raise ValueError(f'{module} is not in {PACKAGE}')
    for length in (3, 2):
        name = '.'.join(parts[1:length])
        if name in LAYERS:
            return name
    raise ValueError(f'{module} has no number in LAYERS; give it one')


def imported_modules(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the absolute name of everything that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split('.')[:len(package.split('.')) - node.level +
                                      1] if node.level else []
            module = '.'.join(base + [node.module] * (node.module is not None))
            yield from (f'{module}.{alias.name}' for alias in node.names)


def violations(source: str, module: str, is_package: bool) -> List[str]:
    """List what a module must not import."""
    package = module if is_package else module.rpartition('.')[0]
    mine = folder_of(module)
    found = []
    for target in imported_modules(ast.parse(source), package):
        top = target.split('.')[0]
        if top in OFFLINE_ONLY and mine != 'preparation':
            found.append(f'{module} imports {target}, which only preparation '
                         'may')
        if top != PACKAGE:
            continue
        theirs = folder_of(target)
        own = theirs == mine or theirs.startswith(mine + '.')
        # preparation is no part of a training, whatever its number, and a
        # model gets its data from outside.
        allowed = (
            LAYERS[theirs] < LAYERS[mine] and theirs != 'preparation'
            and (mine.split('.')[0], theirs) != ('models', 'datasets'))
        if not own and not allowed and (mine, theirs) not in EXCEPTIONS:
            found.append(f'{module} ({LAYERS[mine]}) imports {target} '
                         f'({LAYERS[theirs]})')
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def test_every_module_keeps_to_its_layer():
    paths = sorted((ROOT / PACKAGE).rglob('*.py'))
    paths.remove(ROOT / PACKAGE / '__init__.py')  # registers everything
    assert len(paths) > 20
    found = []
    for path in paths:
        found += violations(path.read_text(), module_name(path),
                            path.name == '__init__.py')
    assert found == []


def test_tools_that_train_import_nothing_offline():
    for name in ('train.py', 'test.py'):
        tree = ast.parse((ROOT / 'tools' / name).read_text())
        tops = {target.split('.')[0] for target in imported_modules(tree, '')}
        assert not tops & OFFLINE_ONLY


@pytest.mark.parametrize('module, line', [
    ('ops.x', 'from ..models.tokenizers import KNNTokenizer'),
    ('ops.x', 'from ..store import atomic_write'),
    ('preparation.x', 'import sam3d_plugin.datasets'),
    ('datasets.x', 'from sam3d_plugin import preparation'),
    ('engine.hooks.x', 'from sam3d_plugin.preparation import lift'),
    ('models.heads.x', 'from ..losses.y import Loss'),
    ('models.heads.x', 'from ...datasets import seeding'),
    ('models.tokenizers.x', 'def f():\n    from ..backbones import y'),
    ('models.backbones.x', 'import timm.models'),
    ('datasets.x', 'from segment_anything import sam_model_registry'),
])
def test_forbidden_imports_are_found(module, line):
    assert len(violations(line, f'{PACKAGE}.{module}', False)) == 1


@pytest.mark.parametrize('module, line', [
    ('ops.x', 'from . import y'),
    ('preparation.x', 'from ..store import atomic_write'),
    ('preparation.x', 'import segment_anything'),
    ('models.backbones.x', 'from ..tokenizers import KNNTokenizer'),
    ('models.x', 'from .detectors import ThreeDETR'),
    ('engine.hooks.x', 'from ..console import install_console_filter'),
    ('evaluation.x', 'import torch, mmdet3d.evaluation'),
])
def test_allowed_imports_pass(module, line):
    assert violations(line, f'{PACKAGE}.{module}', False) == []


def test_a_folder_without_number_is_found():
    with pytest.raises(ValueError, match='has no number'):
        folder_of(f'{PACKAGE}.utils.x')


@pytest.mark.parametrize('module, left_out', [
    ('', ['torch', 'numpy', 'mm']),
    ('.ops', ['mmdet']),
    ('.store', ['mmdet']),
    ('.preparation', ['mmdet']),
])
def test_importing_a_lower_layer_leaves_the_rest_out(module, left_out):
    code = (f'import sys, {PACKAGE}{module}; print([m for m in sys.modules '
            f'if m.startswith({tuple(left_out)})])')
    result = subprocess.run([sys.executable, '-c', code],
                            cwd=ROOT,
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == '[]'
