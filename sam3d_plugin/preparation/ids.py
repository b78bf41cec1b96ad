"""Ids of instances and regions as other programs count them."""
from typing import Optional

import numpy as np

# What stands for "none" where ids begin at 0.
# 2**31 - 1 is 2**31 as float32.
_NO_ID = (255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32)


def find_no_id(ids: np.ndarray) -> Optional[int]:
    """The id that stands for none where ids are counted from 0.

    It is the only negative number (-1, -100), or the largest number of an
    integer type if it is far above all others; None where 0 stands for none.
    """
    present = np.unique(ids)
    if present[0] < 0 and (len(present) == 1 or present[1] >= 0):
        return int(present[0])
    highest = int(present[-1])
    below = int(present[-2]) if len(present) > 1 else 0
    if highest in _NO_ID and below < highest // 2:
        return highest
    return None
