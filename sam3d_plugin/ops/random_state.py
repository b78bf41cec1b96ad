"""Random numbers that leave the caller's generators as they were.

For code that draws from global generators, as mmdet3d's transforms and
torch's dropout do. ``torch.manual_seed`` is not used here: it seeds every
CUDA device, and ``fork_rng`` restores only those that it is given.
"""
import random
from contextlib import contextmanager
from typing import Iterator, Optional

import numpy as np
import torch


@contextmanager
def keep_random_state(device: Optional[torch.device] = None) -> Iterator[None]:
    """Restore random, numpy and torch's generators at the end.

    Args:
        device (Optional[torch.device]): Whose generator is restored beside
            that of the CPU, where it is a CUDA device.

    Yields:
        None: While numbers may be drawn.
    """
    is_cuda = device is not None and device.type == 'cuda'
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if is_cuda else []):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


@contextmanager
def seeded(seed: int, device: Optional[torch.device] = None) -> Iterator[None]:
    """Seed random, numpy and torch, and restore their state at the end.

    Args:
        seed (int): From 0 to 2**32 - 1.
        device (Optional[torch.device]): A CUDA device with an index that is
            seeded, too. No other device is.

    Yields:
        None: While numbers may be drawn.
    """
    with keep_random_state(device):
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        if device is not None and device.type == 'cuda':
            torch.cuda.default_generators[device.index].manual_seed(seed)
        yield
