"""Console log filter."""
import logging
import os
import sys
import warnings
from contextlib import contextmanager
from typing import Any, Iterator, Tuple

from mmengine.logging import MMLogger
from mmengine.logging.logger import MMFormatter

# Written by mmengine and mmdet3d to every log; useful in the file only.
_QUIET_FUNCTIONS = ('_log_env', )
_QUIET_STARTS: Tuple[str,
                     ...] = ('Hooks will be executed',
                             'Distributed training is not used, ',
                             'Exp name: ', 'Checkpoints will be saved to ',
                             'Load checkpoint from ', 'Loads checkpoint by ',
                             'paramwise_options', 'The length of ',
                             'The number of instances ', '-' * 30,
                             'Auto resumed from ',
                             'Did not find last_checkpoint', 'resumed epoch: ',
                             'The prefix is not set in metric class ',
                             '"HardDiskBackend" is the alias',
                             '"FileClient" will be deprecated')
# One line per metric and class: the table before it says the same.
_METRIC_STARTS = ('Epoch(val)', 'Epoch(test)', 'Iter(val)', 'Iter(test)')
_MAX_METRIC_LINE = 600
_MAX_LOSSES = 8


def file_only() -> dict:
    """Keyword arguments for a log call that the console must not show."""
    return dict(extra=dict(file_only=True))


class ConsoleFilter(logging.Filter):
    """Keep mmengine's page-long records off the console.

    Other warnings and errors pass. The log file gets everything.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the console shows the record."""
        text = str(record.msg)
        if record.levelno > logging.INFO:
            return not text.startswith(_QUIET_STARTS)
        if text.startswith(_METRIC_STARTS) and len(text) > _MAX_METRIC_LINE:
            return False
        if getattr(record, 'file_only', False):
            return False
        return (record.funcName not in _QUIET_FUNCTIONS
                and not text.startswith(_QUIET_STARTS))


class ConsoleFormatter(MMFormatter):
    """Shorten a training line of many losses to the total loss.

    GroupFree3D alone logs 32 of them a line; the log file and TensorBoard
    keep them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as the console shows it."""
        return shorten_losses(super().format(record))


def shorten_losses(line: str) -> str:
    """Cut a training line of mmengine with many losses after the total."""
    head, total, rest = line.partition('  loss: ')
    value, *parts = rest.split('  ')
    if '(train)' not in head or len(parts) <= _MAX_LOSSES:
        return line
    return f'{head}{total}{value}  ({len(parts)} parts in the log file)'


@contextmanager
def warnings_in_log_file() -> Iterator[None]:
    """Send the libraries' warnings to the log file of the run.

    The file does not exist while packages are imported: their warnings are
    about versions that are pinned, and dropped.
    """
    install_console_filter(MMLogger.get_current_instance())

    def log(message: Any, category: Any, filename: str, lineno: int, *_:
            Any) -> None:
        MMLogger.get_current_instance().info(
            f'{filename}:{lineno}: {category.__name__}: {message}',
            **file_only())

    with warnings.catch_warnings():
        warnings.showwarning = log  # type: ignore[assignment]
        yield


@contextmanager
def without_shell_messages() -> Iterator[None]:
    """Hide what subprocesses write to the standard error.

    mmengine describes the environment by asking a shell for programs, such as
    a compiler, that need not be there.
    """
    sys.stderr.flush()
    original = os.dup(2)
    try:
        with open(os.devnull, 'w') as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


def install_console_filter(logger: logging.Logger) -> None:
    """Put filter and formatter on the logger's console, once."""
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            continue
        if not any(isinstance(f, ConsoleFilter) for f in handler.filters):
            handler.addFilter(ConsoleFilter())
            handler.setFormatter(
                ConsoleFormatter(color=True, datefmt='%m/%d %H:%M:%S'))
