"""Which labels of a scan are kept when there are to be few."""
import zlib
from typing import Optional

import numpy as np

from ...store.errors import UserError


def check_number(name: str, number: Optional[int]) -> None:
    """Refuse to keep none.

    Args:
        name (str): Of the option.
        number (Optional[int]): Labels to keep; None keeps every one.

    Raises:
        ValueError: When it is below 1.
    """
    if number is not None and number < 1:
        raise UserError(f'{name} must be at least 1, got {number}; leave the '
                        'scan out instead')


def choose(candidates: np.ndarray, number: int, results: dict,
           seed: int) -> np.ndarray:
    """Choose some of a scan's labels.

    The scan's name and the seed alone decide: the same ones in every epoch,
    worker, run and machine, and a larger number holds those of a smaller one.

    Args:
        candidates (np.ndarray): (L,) int, what can be kept.
        number (int): How many to keep, of fewer all.
        results (dict): Result dict of a pipeline, with ``lidar_points``.
        seed (int): Which.

    Returns:
        np.ndarray: (<= number,) of the candidates, in random order.
    """
    name = results['lidar_points']['lidar_path'].rsplit('/', 1)[-1]
    # RandomState, because its streams are frozen for all time.
    generator = np.random.RandomState([zlib.crc32(name.encode()), seed])
    return generator.permutation(candidates)[:number]
