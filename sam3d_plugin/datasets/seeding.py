"""Random numbers that depend on nothing but the sample."""
import random
from contextlib import contextmanager
from typing import Iterator, NamedTuple

import numpy as np
import torch

from ..ops.random_state import keep_random_state


class SampleKey(NamedTuple):
    """The sample of a run that :class:`SeededSampler` asks a dataset for."""
    idx: int  # Of the frame in the dataset
    epoch: int = 0  # Of the run, from 0
    seed: int = 0  # Of the run


@contextmanager
def seeded(key: SampleKey) -> Iterator[None]:
    """Seed numpy, random and torch (CPU) for one sample, then restore them.

    Whatever a pipeline draws, mmdet3d's own transforms included, is then the
    same in any worker, in any order, before and after a resume.
    """
    words = np.random.SeedSequence(list(key)).generate_state(12)
    with keep_random_state():
        np.random.seed(words[:4])
        random.seed(words[4:8].tobytes())
        torch.default_generator.manual_seed(int(words[8:10].view(np.int64)[0]))
        yield


def sample_generator() -> np.random.Generator:
    """A generator that follows numpy's global state.

    ``np.random.Generator`` chooses points without replacement several times
    faster than the global functions.
    """
    return np.random.default_rng(np.random.randint(2**31, size=4))
