"""Scans of points in ScanNet's prepared form."""
from argparse import ArgumentTypeError
from math import isfinite

# How a scan may name its axis that points up.
UP_AXES = ('z', '-z', 'y', '-y', 'x', '-x')


def up_axis(text: str) -> str:
    """One of ``UP_AXES`` from an option, which may be a vector such as
    ``0,-1,0``; a type of argparse.

    Raises ArgumentTypeError when it is neither.
    """
    if text in UP_AXES:
        return text
    try:
        vector = [float(word) for word in text.split(',')]
    except ValueError:
        vector = []
    used = [i for i, value in enumerate(vector) if value]
    if len(vector) != 3 or len(used) != 1 or not isfinite(sum(vector)):
        raise ArgumentTypeError(
            f'{text}: use one of {", ".join(UP_AXES)}, or a vector along an '
            'axis, such as 0,1,0; turn scans with another one before')
    return ('-' if vector[used[0]] < 0 else '') + 'xyz'[used[0]]
