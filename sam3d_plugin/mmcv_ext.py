"""Stands in for ``mmcv._ext`` where mmcv has no compiled operations.

mmcv's modules ask for operations when they are imported, long before any is
called; here every name is a function that raises when it is called. ``make
setup`` copies this file to ``mmcv/_ext.py``, for processes that import mmcv
first. Beside a compiled ``_ext*.so`` the copy is never imported.
"""
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any, Callable

HAS_KERNELS = False


def get_compiler_version() -> str:
    """Return what mmcv's ``collect_env`` shows."""
    return 'n/a'


def get_compiling_cuda_version() -> str:
    """Return what mmcv says when it was compiled for the CPU."""
    return 'not available'


def __getattr__(name: str) -> Callable:
    """Return a function that refuses to stand in for an operation."""
    if name.startswith('__'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def missing(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f'{name} is a compiled operation of mmcv, which mmcv-lite lacks. '
            'Indoor models run without it; for others, replace mmcv-lite by '
            'mmcv 2.1.0 (`make setup MMCV=full`)')

    return missing


def provide() -> None:
    """Register this module as ``mmcv._ext`` if mmcv lacks it."""
    mmcv = find_spec('mmcv')
    if mmcv is None or 'mmcv._ext' in sys.modules:
        return
    folders = mmcv.submodule_search_locations
    if PathFinder.find_spec('mmcv._ext', folders) is None:
        sys.modules['mmcv._ext'] = sys.modules[__name__]
