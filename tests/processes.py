"""Processes that start in milliseconds, because their imports are done.

A server, started once per test session, imports the packages and forks every
process. It has one thread and sees no GPU, so that results are bitwise the
same and forking is safe whatever the tests before have used.
"""
import multiprocessing
import os
import socket
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

from .short_runs import short_start

ROOT = Path(__file__).resolve().parents[1]
_CONTEXT = multiprocessing.get_context('forkserver')
# With what a run imports at first use: a second of every process.
_MODULES = [
    'mmengine.testing', 'sam3d_plugin', 'tests.short_runs',
    'sam3d_plugin.cli.tool', 'sam3d_plugin.cli.training',
    'tests.datasets.frame_store', 'tests.models.pretraining_cases',
    'projects.point_mae', 'torch._dynamo', 'mmdet3d.engine',
    'mmdet3d.visualization'
]
_ENVIRONMENT = dict(
    PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')


def _run(target, *arguments):
    """What a process does."""
    with short_start():
        target(*arguments)


def start(target, *arguments):
    """Start a process that runs a function of a module."""
    with mock.patch.dict(os.environ, _ENVIRONMENT):
        _CONTEXT.set_forkserver_preload(_MODULES)
        forkserver.ensure_running()
    process = _CONTEXT.Process(target=_run, args=(target, *arguments))
    process.start()
    return process


def run_all(target, arguments, timeout=200):
    """Run processes side by side and wait for all of them."""
    processes = [start(target, *values) for values in arguments]
    for process in processes:
        process.join(timeout)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert not any(codes), f'processes ended with {codes}'


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(('localhost', 0))
        return found.getsockname()[1]
