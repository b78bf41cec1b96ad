"""Distributed training without a GPU.

mmengine's ``init_dist`` selects a CUDA device whatever the backend is. On a
machine without one the process group is therefore made here, before mmengine
looks for it.
"""
import gc
import os
import subprocess
from datetime import timedelta
from typing import Dict, Optional

import torch
from torch import distributed as dist

from ..store.errors import UserError

_MPI = dict(
    RANK='OMPI_COMM_WORLD_RANK',
    LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK',
    WORLD_SIZE='OMPI_COMM_WORLD_SIZE')
_SLURM = dict(
    RANK='SLURM_PROCID', LOCAL_RANK='SLURM_LOCALID', WORLD_SIZE='SLURM_NTASKS')
_SOURCES: Dict[str, Dict[str, str]] = dict(pytorch={}, mpi=_MPI, slurm=_SLURM)
_NEEDED = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')


def init_gloo(launcher: str, timeout: Optional[float] = None) -> None:
    """Join the process group of the launcher with gloo, on the CPU.

    Raises ValueError if the launcher's variables are not set.
    """
    export_ranks(launcher)
    dist.init_process_group(
        'gloo', timeout=timedelta(seconds=timeout) if timeout else None)


def leave_process_group() -> None:
    """End the process group, if there is one, in this order on purpose.

    gloo's threads abort the process when they outlive the group, which a
    wrapped model keeps alive until it is collected.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()


def export_ranks(launcher: str) -> None:
    """Give the ranks of the launcher the names that torch reads.

    Raises ValueError if the launcher did not set its variables.
    """
    for name, source in _SOURCES[launcher].items():
        if source in os.environ:
            os.environ[name] = os.environ[source]
    if launcher != 'pytorch':
        os.environ.setdefault('MASTER_PORT', '29500')
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_slurm_host()
    absent = [name for name in _NEEDED if name not in os.environ]
    if absent:
        raise UserError(
            f'--launcher {launcher} needs {", ".join(absent)}; start with '
            'torchrun --nproc_per_node=N tools/train.py CONFIG --launcher '
            'pytorch, or leave --launcher out for one process')


def _first_slurm_host() -> str:
    """Name of the first node of the SLURM job."""
    names = subprocess.run(
        ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']],
        check=True,
        capture_output=True,
        text=True)
    return names.stdout.split()[0]


def check_gpu_count() -> None:
    """Refuse more processes on this machine than it has GPUs.

    Raises ValueError if a process would find no GPU of its own.
    """
    local = int(os.environ.get('LOCAL_RANK', 0))
    if local >= torch.cuda.device_count():
        raise UserError(
            f'process {local + 1} on this machine has no GPU of its own '
            f'({torch.cuda.device_count()} present); start fewer processes, '
            'or set CUDA_VISIBLE_DEVICES= to run all of them on the CPU')
