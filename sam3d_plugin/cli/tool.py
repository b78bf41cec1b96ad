"""A tool's work, whose errors end in one sentence.

Imports in a moment: a tool imports what its work needs in its ``main``, so
that ``--help`` answers at once and an interruption while packages are being
imported is handled as well.
"""
import argparse
import gc
import sys
import traceback
from typing import Callable

from .interruption import report_interruption, was_interrupted


def run_tool(main: Callable[[argparse.Namespace], None],
             args: argparse.Namespace) -> int:
    """Run a tool and turn the errors it foresees into one sentence.

    Args:
        main (Callable[[argparse.Namespace], None]): The tool.
        args (argparse.Namespace): Its options; ``traceback`` shows errors in
            full.

    Returns:
        int: Exit status: 0, 2 after an error that was explained, 130 after
        an interruption.
    """
    try:
        from ..engine.console import warnings_in_log_file
        with warnings_in_log_file():
            main(args)
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            return report_interruption(
                '; continue with --resume' if hasattr(args, 'resume') else '')
        from .errors import explain
        sentence = explain(error)
        if sentence is None or getattr(args, 'traceback', False):
            raise
        _log_traceback()
        print(f'error: {sentence}', file=sys.stderr)
        return 2
    finally:
        leave_process_group()
    return 0


def _log_traceback() -> None:
    """Keep the traceback in the log file of the run."""
    from mmengine.logging import MMLogger

    from ..engine.console import file_only
    MMLogger.get_current_instance().info(traceback.format_exc(), **file_only())


def leave_process_group() -> None:
    """End the process group, if there is one, in this order on purpose.

    gloo's threads abort the process when they outlive the group, which a
    wrapped model keeps alive until it is collected.
    """
    dist = sys.modules.get('torch.distributed')
    # An interrupted import leaves a module that lacks the function.
    if dist is not None and getattr(dist, 'is_initialized', bool)():
        gc.collect()
        dist.destroy_process_group()
