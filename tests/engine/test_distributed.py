"""Tests of starting several processes without a GPU."""
import weakref

import pytest
import torch
from torch import nn

from sam3d_plugin.engine import distributed
from sam3d_plugin.engine.distributed import (check_gpu_count, export_ranks,
                                             init_gloo)


@pytest.fixture
def no_ranks(monkeypatch):
    """Environment without a launcher, restored afterwards."""
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR',
                 'MASTER_PORT', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize('launcher', ['pytorch', 'mpi', 'slurm'])
def test_absent_launcher_is_a_sentence(no_ranks, launcher):
    no_ranks.setenv('MASTER_ADDR', 'localhost')
    with pytest.raises(ValueError, match='needs RANK.*torchrun'):
        init_gloo(launcher)


def test_ranks_of_mpi_and_slurm_are_exported(no_ranks):
    for name, value in (('RANK', '3'), ('LOCAL_RANK', '1'), ('SIZE', '4')):
        no_ranks.setenv(f'OMPI_COMM_WORLD_{name}', value)
    no_ranks.setenv('MASTER_ADDR', 'node1')
    export_ranks('mpi')
    assert distributed.os.environ['RANK'] == '3'
    assert distributed.os.environ['WORLD_SIZE'] == '4'
    no_ranks.setenv('SLURM_PROCID', '2')
    no_ranks.setenv('SLURM_LOCALID', '0')
    no_ranks.setenv('SLURM_NTASKS', '8')
    export_ranks('slurm')
    assert distributed.os.environ['RANK'] == '2'
    assert distributed.os.environ['LOCAL_RANK'] == '0'


def test_more_processes_than_gpus_is_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setenv('LOCAL_RANK', '0')
    check_gpu_count()
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(ValueError, match='process 2 .*CUDA_VISIBLE_DEVICES='):
        check_gpu_count()


@pytest.mark.skipif(torch.cuda.is_available(), reason='gloo is for the CPU')
def test_gloo_run_wraps_the_model_and_reverts_sync_batchnorm(
        no_ranks, build, capsys):
    for name, value in dict(
            RANK='0',
            LOCAL_RANK='0',
            WORLD_SIZE='1',
            MASTER_ADDR='localhost',
            MASTER_PORT='0').items():
        no_ranks.setenv(name, value)
    at_exit = []
    no_ranks.setattr('atexit.register', at_exit.append)
    try:
        runner = build(
            launcher='pytorch',
            model=dict(type='ToyModel', norm='SyncBatchNorm'))
        runner.train()
        assert torch.distributed.get_backend() == 'gloo'
        assert runner.model.device_ids is None
        assert not isinstance(runner.model.module.norm, nn.SyncBatchNorm)
        assert 'plain BatchNorm' in capsys.readouterr().out
        wrapped = weakref.ref(runner.model)
    finally:
        del runner
        for end in reversed(at_exit):
            end()
    assert not torch.distributed.is_initialized()
    # A model alive after the group would keep gloo's threads running.
    assert wrapped() is None
