"""Ids of instances and regions as other programs count them."""
from typing import Optional, Tuple

import numpy as np

# What stands for "none" where ids begin at 0.
# 2**31 - 1 is 2**31 as float32.
_NO_ID = (255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32)


def find_no_id(ids: np.ndarray, dtype: np.dtype) -> Tuple[Optional[int], bool]:
    """The id that stands for none where ids are counted from 0.

    It is the only negative number (-1, -100), or the largest number of an
    integer type if more ids are missing right below it than elsewhere. If
    fewer are, but some, the largest number of the file's own type may be
    either.

    Args:
        ids (np.ndarray): Integers of any shape.
        dtype (np.dtype): Their type in the file.

    Returns:
        Tuple[Optional[int], bool]: The id, None where 0 stands for none, and
        whether that is certain.
    """
    present = np.unique(ids)
    if present[0] < 0 and (len(present) == 1 or present[1] >= 0):
        return int(present[0]), True
    highest = int(present[-1])
    below = int(present[-2]) if len(present) > 1 else 0
    gap = highest - below - 1
    if highest not in _NO_ID or present[0] < 0 or gap == 0:
        return None, True
    missing = below + 1 - np.count_nonzero(present < highest)
    if gap > missing:
        return highest, True
    is_largest = dtype.kind in 'iu' and highest == np.iinfo(dtype).max
    return (highest, False) if is_largest else (None, True)
