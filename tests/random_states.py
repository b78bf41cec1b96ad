"""Proof that code leaves random generators alone."""
import random
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch

SEEDING = ('manual_seed', 'manual_seed_all', 'seed', 'seed_all')


@contextmanager
def unchanged_random_state():
    """Fail if a generator has another state at the end.

    Seeding CUDA fails at once, with or without a GPU: torch would seed every
    device, now or as soon as CUDA is used.
    """

    def refuse(*args):
        raise AssertionError('CUDA devices were seeded')

    def states():
        _, keys, *rest = np.random.get_state()
        return (random.getstate(), keys.tobytes(), rest,
                torch.get_rng_state().numpy().tobytes())

    before = states()
    with mock.patch.multiple(torch.cuda, **dict.fromkeys(SEEDING, refuse)):
        yield
    assert states() == before
