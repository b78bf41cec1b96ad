"""The tool for machines with a GPU, on the CPU and on the emulated GPU."""
import json

import pytest
import torch
from mmengine.logging import MMLogger

from sam3d_plugin import ops
from tests.emulated_cuda import emulated_cuda
from tests.tools.conftest import load_tool


@pytest.fixture
def tool():
    """The tool, which quietens mmengine's logger."""
    logger = MMLogger.get_instance('mmengine')
    level = logger.level
    yield load_tool('benchmarks/gpu_check')
    logger.setLevel(level)


def run(tool, path, device='cpu', *more):
    status = tool.main(
        ['--device', device, '--quick', '--json',
         str(path), *more])
    return status, json.loads(path.read_text())


def keep(monkeypatch, owner, count):
    """Only some models, whose steps other tests take."""
    names = list(owner.CONFIGS)[:count]
    monkeypatch.setattr(owner, 'CONFIGS',
                        {name: owner.CONFIGS[name]
                         for name in names})


def test_on_the_cpu(tool, tmp_path, monkeypatch):
    keep(monkeypatch, tool.gpu_parts.gpu_models, 6)
    status, record = run(tool, tmp_path / 'check.json')
    assert status == 0 and record['failed'] == {}
    assert record['versions']['torch'] and record['commit']
    parity, models, benchmark = (
        record['parts'][name]['items']
        for name in ('parity', 'models', 'benchmark'))
    assert len(parity) > 12 and len(models) == 6 and len(benchmark) == 4
    assert parity['knn 32']['differences'] == dict(torch=0)
    assert set(parity['knn 32']['not_run']) == {'mmcv', 'triton'}
    assert parity['KNNTokenizer']['not_run'] == dict(cuda='needs a GPU')
    assert models['VoteNet']['cpu']['predicted']
    assert benchmark['stage 2, bf16']['matmul_share'] > 0


def test_on_the_emulated_gpu(tool, tmp_path, monkeypatch):
    keep(monkeypatch, tool.gpu_parts.gpu_models, 2)
    with emulated_cuda():
        status, record = run(tool, tmp_path / 'check.json', 'cuda')
    assert status == 0 and record['failed'] == {}
    assert record['hardware']['device'] == 'emulated CUDA device'
    parity = record['parts']['parity']['items']
    assert set(parity['ball_query']['differences']) == {'mmcv', 'torch'}
    for name in ('segment_max', 'voxelize', 'sparse_conv'):
        assert set(parity[name]['differences']) == {'cuda'}


def test_a_wrong_operation_fails_and_the_rest_goes_on(tool, tmp_path,
                                                      monkeypatch):
    monkeypatch.setattr(
        ops, 'three_nn', lambda target, source:
        (torch.rand(target.shape), torch.zeros_like(target).int()))
    status, record = run(tool, tmp_path / 'check.json', 'cpu', '--parts',
                         'parity')
    assert status == 1
    assert list(record['failed']) == ['parity: three_nn']
    assert 'AssertionError' in record['failed']['parity: three_nn']
    assert record['parts']['parity']['items']['gather_points']


def test_what_time_does_not_allow_is_named(tool, tmp_path, capsys):
    status, record = run(tool, tmp_path / 'check.json', 'cpu', '--minutes',
                         '0')
    assert status == 1 and record['failed'] == {}
    assert 'VoteNet' in record['parts']['models']['unfinished']
    assert 'VoteNet' in capsys.readouterr().err


def test_without_a_gpu(tool, tmp_path, capsys):
    assert tool.main(['--json', str(tmp_path / 'check.json')]) == 2
    assert 'no device cuda' in capsys.readouterr().err
    assert not (tmp_path / 'check.json').exists()
