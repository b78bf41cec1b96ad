"""mmcv without compiled operations, imported before and after the plugin."""
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import mmcv
import pytest

from sam3d_plugin import mmcv_ext

ROOT = Path(__file__).resolve().parents[1]
IMPORTS = dict(
    plugin_first='import sam3d_plugin, mmcv.ops',
    mmcv_first='import mmcv.ops, sam3d_plugin')
CHECKS = """
from mmcv import _ext
import mmdet.models, mmdet3d.models, mmdet3d.datasets, mmdet3d.apis
import sam3d_plugin.ops, torch
from mmdet3d.structures import DepthInstance3DBoxes
from mmcv.utils import collect_env
from mmdet3d.utils import register_all_modules
register_all_modules()
assert mmcv.__file__.startswith(LITE), mmcv.__file__
assert not _ext.HAS_KERNELS
assert collect_env()['MMCV CUDA Compiler'] == 'not available'
boxes = torch.rand(3, 5)
try:
    mmcv.ops.nms_rotated(boxes, boxes[:, 0], 0.5)
except NotImplementedError as error:
    assert 'nms_rotated' in str(error) and len(str(error)) < 200, error
else:
    raise AssertionError('nms_rotated ran')
sam3d_plugin.ops.install()
boxes = DepthInstance3DBoxes(torch.rand(3, 7))
assert boxes.overlaps(boxes, boxes).diagonal().allclose(torch.ones(3))
print('passed')
"""


@pytest.fixture
def lite(tmp_path):
    """A folder that holds mmcv as it is without compiled operations."""
    package = tmp_path / 'mmcv'
    package.mkdir()
    for path in Path(mmcv.__file__).parent.iterdir():
        if not path.name.startswith(('_ext', '__pycache__')):
            (package / path.name).symlink_to(path)
    return tmp_path


def run(lite, code):
    paths = os.pathsep.join((str(lite), str(ROOT)))
    return subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                          cwd=lite,
                          env=dict(os.environ, PYTHONPATH=paths),
                          capture_output=True,
                          text=True)


@pytest.mark.parametrize('order', IMPORTS)
def test_everything_imports_without_compiled_operations(lite, order):
    if order == 'mmcv_first':
        assert 'mmcv._ext' in run(lite, IMPORTS[order]).stderr
        source = Path(mmcv_ext.__file__)
        (lite / 'mmcv' / '_ext.py').write_text(source.read_text())
    code = f'LITE = {str(lite)!r}\n{IMPORTS[order]}\n{CHECKS}'
    result = run(lite, code)
    assert result.stdout.endswith('passed\n'), result.stderr


def test_compiled_operations_come_first(lite):
    for name in ('_ext.py', '_ext.abi3.so'):
        (lite / 'mmcv' / name).touch()
    code = ('import sys, sam3d_plugin, importlib.util as util\n'
            'assert "mmcv._ext" not in sys.modules\n'
            'print(util.find_spec("mmcv._ext").origin)')
    assert run(lite, code).stdout.endswith('_ext.abi3.so\n')


def test_nothing_happens_without_mmcv(lite):
    # -S and -E leave out installed packages; the plugin's folder has no mmcv.
    code = (f'import sys; sys.path = [{str(ROOT / "sam3d_plugin")!r}, '
            '*sys.path[1:]]\nimport mmcv_ext; mmcv_ext.provide()\n'
            'assert "mmcv._ext" not in sys.modules; print("passed")')
    result = subprocess.run([sys.executable, '-S', '-E', '-c', code],
                            capture_output=True,
                            text=True)
    assert result.stdout == 'passed\n', result.stderr


def test_the_wheel_brings_the_file(tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    for name in ('pyproject.toml', 'setup.py', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / 'sam3d_plugin', source / 'sam3d_plugin')
    subprocess.run([
        sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation',
        '--no-deps', '--quiet', '-w',
        str(tmp_path),
        str(source)
    ],
                   check=True)
    wheel, = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as content:
        text = content.read('mmcv/_ext.py').decode()
    assert text == Path(mmcv_ext.__file__).read_text()
