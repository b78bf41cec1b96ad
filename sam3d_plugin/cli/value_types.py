"""Argument types that check values before the work begins."""
import argparse
import math
import os
from pathlib import Path
from typing import Callable


def output_file(text: str) -> str:
    """A file that can be written, or an address in an object store."""
    if '://' not in text and Path(text).is_dir():
        raise argparse.ArgumentTypeError(f'{text!r} is a folder; name a file')
    return _check_folder(text, Path(text).parent)


def output_folder(text: str) -> str:
    """A folder that exists or can be made, or an address."""
    return _check_folder(text, Path(text))


def _check_folder(text: str, folder: Path) -> str:
    """Refuse '', as of an unset variable, and what is below a file."""
    if not text:
        raise argparse.ArgumentTypeError('the path is empty')
    if '://' in text:
        return text
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f'{folder} is a file, not a folder')
    if not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f'{folder} cannot be written')
    return text


def number_in(low: float, high: float = math.inf) -> Callable[[str], float]:
    """Type of the numbers between two, both included; NaN is none of them."""

    def convert(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            bound = '' if high == math.inf else f' and <= {high:g}'
            raise argparse.ArgumentTypeError(
                f'{text} must be >= {low:g}{bound}')
        return number

    return convert


def whole_number(text: str) -> int:
    """Type of the integers >= 0."""
    return int(number_in(0)(str(int(text))))


def device_name(text: str) -> str:
    """A device of torch that this machine has."""
    import torch
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(
            f'this machine has no device {text}') from error
    return text
