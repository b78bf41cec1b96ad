"""Trainings of a few steps, without what takes most of their time."""
import contextlib
from unittest import mock

from mmengine.config import config
from mmengine.dataset import base_dataset
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import runner
from mmengine.visualization import Visualizer


def _as_it_is(text, **_):
    return text, True


@contextlib.contextmanager
def short_start():
    """Leave out what mmengine does for people at the start of a run.

    It formats the whole config four times, half a second each, asks for the
    versions of compilers, and collects garbage for each data set.
    """
    with mock.patch.object(config, 'FormatCode', _as_it_is), \
            mock.patch.object(runner, 'collect_env', dict), \
            mock.patch.object(base_dataset, 'gc', mock.Mock()):
        yield


def forget_runs():
    """Drop loggers and such, which are shared by name within a process."""
    for manager in (MMLogger, MessageHub, Visualizer):
        manager._instance_dict.clear()
