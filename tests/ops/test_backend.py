"""Which implementation an operation takes."""
import sys
from types import SimpleNamespace

import pytest

from sam3d_plugin import mmcv_ext
from sam3d_plugin.ops import _mmcv


def compiled_for(cuda_version):
    return SimpleNamespace(get_compiling_cuda_version=lambda: cuda_version)


@pytest.mark.parametrize(
    'extension, expected', [(compiled_for('13.0'), True),
                            (compiled_for('not available'), False),
                            (mmcv_ext, False), (None, False)],
    ids=['cuda', 'cpu only', 'stub', 'missing'])
def test_kernels_of_mmcv(monkeypatch, extension, expected):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', extension)
    assert _mmcv.has_cuda_kernels.__wrapped__() is expected


@pytest.mark.parametrize('is_cuda, has_kernels, expected',
                         [(False, True, 'cpu'), (True, True, 'mmcv'),
                          (True, False, 'torch')])
def test_backend(monkeypatch, is_cuda, has_kernels, expected):
    monkeypatch.setattr(_mmcv, 'has_cuda_kernels', lambda: has_kernels)
    tensor = SimpleNamespace(is_cuda=is_cuda)
    assert _mmcv.backend_of(tensor) == expected


def test_triton_that_cannot_start_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'triton', None)
    with pytest.warns(RuntimeWarning, match='Triton'):
        assert not _mmcv.has_triton.__wrapped__()
