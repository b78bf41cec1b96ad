"""Which labels of a scan are kept when there are to be few."""
import zlib
from typing import Optional

import numpy as np

from ...store.errors import UserError


def check_number(name: str, number: Optional[int]) -> None:
    """Refuse to keep no label; None keeps every one."""
    if number is not None and number < 1:
        raise UserError(f'{name} must be at least 1, got {number}; leave the '
                        'scan out instead')


def choose(candidates: np.ndarray, number: int, results: dict,
           seed: int) -> np.ndarray:
    """Choose ``number`` of a scan's labels (L,), all if there are fewer.

    The scan's name and the seed alone decide: the same ones in every epoch,
    worker, run and machine, and a larger number holds those of a smaller one.
    They come in random order.
    """
    name = results['lidar_points']['lidar_path'].rsplit('/', 1)[-1]
    # RandomState, because its streams are frozen for all time.
    generator = np.random.RandomState([zlib.crc32(name.encode()), seed])
    return generator.permutation(candidates)[:number]
