"""A wheel has templates and configs, which mmengine and mim find."""
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
# Runs where the wheel is installed; the repository is not on the path.
SEARCH = """
import sys
from contextlib import redirect_stdout
from pathlib import Path
from mmengine.config import Config
from mmengine.fileio import load
import sam3d_plugin
from sam3d_plugin.engine.projects import make_projects_importable
from sam3d_plugin.visualization.pages import render


def unscoped(value):
    if isinstance(value, dict):
        pairs = value.items()
        return {k: unscoped(v) for k, v in pairs if k != '_scope_'}
    if isinstance(value, (list, tuple)):
        return [unscoped(v) for v in value]
    return value


make_projects_importable()
package = Path(sam3d_plugin.__file__).parent
assert package.is_relative_to(sys.prefix), package
mim = package / '.mim'
found = []
for name in load(mim / 'model-index.yml')['Import']:
    families = load(mim / name)
    kinds = {family['Name'] for family in families['Collections']}
    for model in families['Models']:
        assert model['In Collection'] in kinds
        assert Path(model['Config']).stem == model['Name']
        assert Config.fromfile(mim / model['Config']).model
        found.append(model['Config'])
assert (mim / 'tools/train.py').is_file()
assert '<p>' in render('sections/tokens.html', frames=[])
for file in ('detector.safetensors', 'encoder/README.md'):
    assert (package / 'shipped' / file).is_file(), file
with redirect_stdout(sys.stderr):
    assert 'chair' in sam3d_plugin.Predictor().classes
by_name, by_path = map(Config.fromfile, ('mine.py', sys.argv[1]))
by_path.max_boxes = 7
assert unscoped(by_name.to_dict()) == unscoped(by_path.to_dict())
print(*sorted(found), sep='\\n')
"""


def complete_configs():
    """Those that train; others are parts of them."""
    paths = [*(ROOT / 'configs/sam3d').rglob('*.py')]
    for path in (ROOT / 'projects').glob('*/configs/*.py'):
        if 'train_cfg' in Config.fromfile(path, import_custom_modules=False):
            paths.append(path)
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def pip(*arguments):
    command = [sys.executable, '-m', 'pip', '-q', *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel of a copy of the repository, built without a network."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    for name in ('sam3d_plugin', 'configs', 'projects', 'tools'):
        shutil.copytree(
            ROOT / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    pip('wheel', '--no-deps', '--no-build-isolation', '-w', folder, source)
    return next(folder.glob('*.whl'))


@pytest.mark.timeout(1200)
def test_configs_of_the_wheel_are_found_from_anywhere(wheel, tmp_path):
    home = tmp_path / 'environment'
    venv.create(home)
    python = home / 'bin/python'
    packages = next(home.glob('lib/python*/site-packages'))
    # torch, mmdet3d and others from the environment of the tests.
    (packages / 'outer.pth').write_text('\n'.join(site.getsitepackages()))
    # Without a network: what the wheel depends on must be there.
    pip('--python', python, 'install', '--no-index', wheel)
    (tmp_path / 'mine.py').write_text(
        "_base_ = ['sam3d_plugin::sam3d/groupfree3d_scannet.py']\n"
        'max_boxes = 7\n')
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    result = subprocess.run([
        python, '-W', 'ignore', '-c', SEARCH,
        str(ROOT / 'configs/sam3d/groupfree3d_scannet.py')
    ],
                            cwd=tmp_path,
                            env=environment,
                            capture_output=True,
                            text=True,
                            check=False)
    assert result.returncode == 0, result.stderr
    names = complete_configs()
    assert result.stdout.splitlines()[-len(names):] == names
