"""The order of samples, from which a run can be taken up anywhere."""
from typing import Iterator

import numpy as np
from mmdet3d.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler

from .seeding import SampleKey


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """``DefaultSampler`` that tells the dataset seed and epoch too.

    Its order is a function of (seed, epoch), and every sample one of (seed,
    epoch, index), so that neither the number of workers nor a resume changes
    anything. Arguments are those of ``DefaultSampler``; the runner gives the
    dataset and its own seed.
    """

    _num_skipped = 0

    def __iter__(self) -> Iterator[SampleKey]:
        """The samples of this process in this epoch.

        Yields:
            SampleKey: What the dataset is asked for.
        """
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed,
                                           self.epoch]).permutation(order)
        if self.round_up:
            order = np.resize(order, self.total_size)
        mine = order[self.rank:self.total_size:self.world_size]
        begin, self._num_skipped = self._num_skipped, 0
        for index in mine[begin:]:
            yield SampleKey(int(index), self.epoch, self.seed)

    def skip(self, num_samples: int) -> None:
        """Leave out the first samples of the next pass, without reading them.

        For a run that is resumed in the middle of an epoch.

        Args:
            num_samples (int): Samples that this process has seen already;
                the length stays that of a whole pass.
        """
        self._num_skipped = num_samples
