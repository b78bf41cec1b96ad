"""Where networks run."""
import pytest
import torch

from sam3d_plugin.preparation.running.devices import find_device
from sam3d_plugin.store.errors import StoreError


def test_every_local_rank_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setenv('LOCAL_RANK', '2')
    assert find_device('auto') == torch.device('cuda', 2)
    monkeypatch.delenv('LOCAL_RANK')
    monkeypatch.setenv('SLURM_LOCALID', '3')
    assert find_device('auto') == torch.device('cuda', 3)
    monkeypatch.delenv('SLURM_LOCALID')
    assert find_device('auto') == torch.device('cuda', 0)


def test_without_a_gpu_it_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert find_device('auto') == torch.device('cpu')
    with pytest.raises(StoreError, match='sees no GPU; use auto or cpu'):
        find_device('cuda')


def test_an_unknown_device_is_refused():
    with pytest.raises(StoreError, match='device=gpu is unknown'):
        find_device('gpu')
