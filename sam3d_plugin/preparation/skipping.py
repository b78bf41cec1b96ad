"""Frames and scans that cannot be used are skipped, with the reason."""
from typing import Callable, Iterable, List, TypeVar, Union

from ..store.errors import FrameError

Item = TypeVar('Item')
Made = TypeVar('Made')


def try_each(function: Callable[[Item], Made],
             items: Iterable[Item]) -> List[Union[Made, FrameError]]:
    """What a function makes of each item, or the FrameError that says why it
    makes nothing."""
    results: List[Union[Made, FrameError]] = []
    for item in items:
        try:
            results.append(function(item))
        except FrameError as error:
            results.append(error)
    return results
