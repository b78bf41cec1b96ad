"""Which implementation an operation takes."""
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from sam3d_plugin.ops import _mmcv


def make_extension(cuda_version):
    """Return a module as Python makes it from a compiled file."""
    module = ModuleType('mmcv._ext')
    loader = ExtensionFileLoader('mmcv._ext', 'mmcv/_ext.so')
    module.__spec__ = ModuleSpec('mmcv._ext', loader)
    module.get_compiling_cuda_version = lambda: cuda_version
    return module


@pytest.mark.parametrize('extension, expected', [
    (make_extension('13.0'), True),
    (make_extension('not available'), False),
    (ModuleType('mmcv._ext'), False),
    (None, False),
], ids=['cuda', 'cpu only', 'stub', 'missing'])  # yapf: disable
def test_kernels_of_mmcv(monkeypatch, extension, expected):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', extension)
    assert _mmcv.has_kernels.__wrapped__() is expected


@pytest.mark.parametrize('is_cuda, has_kernels, expected',
                         [(False, True, 'cpu'), (True, True, 'mmcv'),
                          (True, False, 'torch')])
def test_backend(monkeypatch, is_cuda, has_kernels, expected):
    monkeypatch.setattr(_mmcv, 'has_kernels', lambda: has_kernels)
    tensor = SimpleNamespace(is_cuda=is_cuda)
    assert _mmcv.backend_of(tensor) == expected


def test_triton_that_cannot_start_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'triton', None)
    with pytest.warns(RuntimeWarning, match='Triton'):
        assert not _mmcv.has_triton.__wrapped__()
