"""Sampler whose order can be resumed anywhere."""
from typing import Iterator, Optional, Sized

import numpy as np
from mmdet3d.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler

from .seeding import SampleKey


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """``DefaultSampler`` that tells the dataset seed and epoch too.

    Its order is a function of (seed, epoch), and every sample one of (seed,
    epoch, index), so that neither the number of workers nor a resume changes
    anything. Nor does the number of processes at an equal total batch: step k
    takes the k-th batch of the order, dealt out sample by sample. Samples at
    the end of the order that do not go round are skipped in that epoch, as
    the loader's ``drop_last`` does with a batch that is not full; repeating
    others in their place could make one step more.

    Args:
        dataset (Sized): The samples.
        shuffle (bool): Whether each epoch has an order of its own.
        seed (Optional[int]): Of the order; None draws one.
    """

    _num_skipped = 0

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: Optional[int] = None) -> None:
        super().__init__(dataset, shuffle, seed, round_up=False)
        self.num_samples = len(dataset) // self.world_size
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[SampleKey]:
        """The samples of this process in this epoch."""
        mine = self.order()[self.rank:self.total_size:self.world_size]
        begin, self._num_skipped = self._num_skipped, 0
        for index in mine[begin:]:
            yield SampleKey(int(index), self.epoch, self.seed)

    def order(self) -> np.ndarray:
        """Indices of the samples of this epoch, of all processes."""
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed,
                                           self.epoch]).permutation(order)
        return order

    def skip(self, num_samples: int) -> None:
        """Leave out the first samples of the next pass, without reading them.

        For a run that is resumed in the middle of an epoch; the length stays
        that of a complete pass.
        """
        self._num_skipped = num_samples
