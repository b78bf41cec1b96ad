"""Ctrl-C ends a tool in one sentence, from its first import on.

Every tool imports this module before anything else: libraries take seconds to
import, and some turn an interruption into an error of their own.
"""
import os
import signal
import sys
import threading
from types import TracebackType
from typing import Any, Optional, Type

STATUS = 130


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error that replaced it.

    mmengine, for one, turns whatever happens while it formats a config into
    a syntax error.
    """
    seen = set()
    found: Optional[BaseException] = error
    while found is not None and id(found) not in seen:
        if isinstance(found, KeyboardInterrupt):
            return True
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return False


def report_interruption(hint: str = '') -> int:
    """Say that the user stopped the tool; its exit status."""
    print(f'error: interrupted{hint}', file=sys.stderr)
    return STATUS


def _end(kind: Type[BaseException], error: BaseException,
         trace: Optional[TracebackType]) -> None:
    """What Python calls with an error that a tool did not catch."""
    if was_interrupted(error):
        sys.exit(report_interruption())
    if isinstance(error, BrokenPipeError):  # as of "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.__excepthook__(kind, error, trace)


def _repeat(lost: Any) -> None:
    """What Python calls with an error that nothing could catch.

    An interruption in a callback of the garbage collector would be lost; it
    comes again in a moment, when the callback has ended.
    """
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    try:
        # A real signal wakes a main thread that sleeps or waits.
        again = threading.Timer(0.5, signal.pthread_kill,
                                (threading.main_thread().ident, signal.SIGINT))
        again.daemon = True
        again.start()
    except KeyboardInterrupt:  # On a busy machine it comes before that ends.
        _repeat(lost)


sys.excepthook = _end
sys.unraisablehook = _repeat
