"""The implementations that every operation is tested in."""
import pytest
import torch

from sam3d_plugin.ops import _mmcv, _torch_ops

GPU = ('cuda', 'cuda in torch') if torch.cuda.is_available() else ()


@pytest.fixture(params=('cpu', 'cpu in torch') + GPU)
def device(request, monkeypatch):
    """Return a device, on which plain torch may stand in for kernels."""
    place, _, is_plain = request.param.partition(' in ')
    if is_plain:
        monkeypatch.setattr(_mmcv, 'backend_of', lambda tensor: 'torch')
    if place == 'cpu':
        monkeypatch.setattr(_torch_ops, 'has_triton', lambda: False)
    return place


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    """Make plain torch work in several chunks."""
    monkeypatch.setattr(_torch_ops, '_MAX_PAIRS', 5000)
