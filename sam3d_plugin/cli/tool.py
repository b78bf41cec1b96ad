"""Entry point of the tools, with errors as one sentence.

Imports in a moment: a tool imports what its work needs in its ``main``, so
that ``--help`` answers at once and an interruption while packages are being
imported is handled as well.
"""
import argparse
import sys
import traceback
from typing import Callable, Optional

from .interruption import report_interruption, was_interrupted

# Exit statuses after an error; 130 follows Ctrl-C.
PREPARATION, TRAINING = 1, 2


def run_tool(main: Callable[[argparse.Namespace], Optional[int]],
             args: argparse.Namespace,
             status: int = TRAINING) -> int:
    """Run a tool and turn the errors it foresees into one sentence.

    Returns what the tool returns or 0, 130 after an interruption, and after an
    error ``status``: ``TRAINING`` for tools that train or predict,
    ``PREPARATION`` for the others. Of ``args``, ``traceback`` shows errors in
    full, ``resume`` says that a stopped run needs this option.
    """
    try:
        return _run(main, args, has_log=status == TRAINING) or 0
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            hint = '; rerun the command to resume' * (status == PREPARATION)
            return report_interruption('; continue with --resume' if hasattr(
                args, 'resume') else hint)
        from .errors import explain
        sentence = explain(error)
        if sentence is None or getattr(args, 'traceback', False):
            raise
        if status == TRAINING:
            _log_traceback()
        print(f'error: {sentence}', file=sys.stderr)
        return status


def _run(main: Callable[[argparse.Namespace], Optional[int]],
         args: argparse.Namespace, has_log: bool) -> Optional[int]:
    """Run a tool; with a log file, warnings go there."""
    if not has_log:
        return main(args)
    from ..engine.console import warnings_in_log_file
    with warnings_in_log_file():
        return main(args)


def _log_traceback() -> None:
    """Keep the traceback in the log file of the run."""
    from mmengine.logging import MMLogger

    from ..engine.console import file_only
    MMLogger.get_current_instance().info(traceback.format_exc(), **file_only())
