"""Several data sets in one training, each batch of one of them."""
from pathlib import PurePath
from typing import Any, List, Optional, Sequence, Union

import numpy as np
from mmdet3d.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset

from sam3d_plugin.datasets import RGBDFrameDataset, SeededSampler
from sam3d_plugin.datasets.frame_index import read_scan_names
from sam3d_plugin.datasets.seeding import SampleKey, seeded
from sam3d_plugin.store.errors import UserError


@DATASETS.register_module()
class DomainDataset(Dataset):
    """Data sets one after the other, whose samples say where they are from.

    ``domain`` in the metainfo of a sample names its data set; ``domains`` in
    that of this one are the classes by data set. Indices go on behind the
    last sample: there, each sample is visited once more, with other random
    numbers.

    Args:
        domains (Sequence[str]): A name for each data set.
        datasets (Sequence[dict]): Configs of frames or scans with labels.
        ann_file (str): List of scans (``.txt`` or ``.pkl``); frames and scans
            of others are left out. Empty for all.

    Raises:
        UserError: Unless every data set has a name, classes, and a sample.
    """

    def __init__(self,
                 domains: Sequence[str],
                 datasets: Sequence[dict],
                 ann_file: str = '') -> None:
        if len(domains) != len(datasets):
            raise UserError(f'DomainDataset has {len(datasets)} datasets and '
                            f'{len(domains)} names: give each one in domains')
        self.domains = tuple(domains)
        self.datasets: List[Any] = [DATASETS.build(dict(d)) for d in datasets]
        scans = set(read_scan_names(ann_file)) if ann_file else None
        self.indices = [
            np.array([
                i for i in range(len(dataset))
                if scans is None or _scan_of(dataset.get_data_info(i)) in scans
            ]) for dataset in self.datasets
        ]
        self.sizes = [len(indices) for indices in self.indices]
        classes = {}
        for name, dataset, size in zip(domains, self.datasets, self.sizes):
            if 'classes' not in dataset.metainfo:
                raise UserError(f'data set {name} has no classes: put '
                                'LoadFrameLabels into its pipeline')
            if not size:
                raise UserError(f'data set {name} has none of the scans in '
                                f'{ann_file}: name others in ann_file')
            classes[name] = tuple(dataset.metainfo['classes'])
        self.metainfo = dict(domains=classes)

    def __len__(self) -> int:
        """Samples of all data sets."""
        return sum(self.sizes)

    def __getitem__(self, key: Union[int, SampleKey]) -> dict:
        """What the pipeline packs of a key, or of an index."""
        key = key if isinstance(key, SampleKey) else SampleKey(int(key))
        place = key.idx % len(self)
        ends = np.cumsum(self.sizes)
        domain = int(np.searchsorted(ends, place, side='right'))
        dataset = self.datasets[domain]
        index = int(self.indices[domain][place - ends[domain]])
        with seeded(key):
            if isinstance(dataset, RGBDFrameDataset):  # seeds its samples
                sample = dataset[SampleKey(index,
                                           *np.random.randint(2**31, size=2))]
            else:
                sample = dataset[index]
        sample['data_samples'].set_metainfo(dict(domain=self.domains[domain]))
        return sample

    @property
    def num_replaced(self) -> int:
        """Unusable frames that others replaced so far, in all workers."""
        return sum(
            getattr(dataset, 'num_replaced', 0) for dataset in self.datasets)


def _scan_of(info: dict) -> str:
    """Name of the scan of a frame, or of a scan."""
    return info['scan'] if 'scan' in info else PurePath(
        info['lidar_path']).stem


@DATA_SAMPLERS.register_module()
class DomainSampler(SeededSampler):
    """``SeededSampler`` whose batches are of one data set each.

    All processes together draw a batch from one data set. An epoch draws the
    data sets in a random order, each as often as its share says, and all
    samples of a data set before any of them again.

    Args:
        dataset (DomainDataset): The samples.
        batch_size (int): That of the loader, samples of a process.
        shares (Sequence[float]): Batches of each data set, over those of the
            others.
        epoch_length (Optional[int]): Samples of an epoch, of all processes.
            None for as many as the data sets have. Defaults to None.
        shuffle (bool): Whether each epoch has an order of its own.
        seed (Optional[int]): Of the order; None draws one.

    Raises:
        UserError: Unless there is a share > 0 for each data set, and an
            epoch has a batch of each.
    """

    def __init__(self,
                 dataset: DomainDataset,
                 batch_size: int,
                 shares: Sequence[float],
                 epoch_length: Optional[int] = None,
                 shuffle: bool = True,
                 seed: Optional[int] = None) -> None:
        super().__init__(dataset, shuffle, seed)
        if len(shares) != len(dataset.sizes) or min(shares) <= 0:
            raise UserError(f'shares {tuple(shares)} of DomainSampler must be '
                            'a number > 0 for each of the data sets '
                            f'{", ".join(dataset.domains)}')
        self.batch = batch_size * self.world_size
        num_batches = (epoch_length or len(dataset)) // self.batch
        self.num_samples = num_batches * batch_size
        self.total_size = num_batches * self.batch
        ends = np.cumsum(shares) / sum(shares) * num_batches
        self.num_batches = np.diff(np.rint(ends).astype(int), prepend=0)
        if not self.num_batches.all():
            name = dataset.domains[self.num_batches.argmin()]
            raise UserError(f'an epoch of {num_batches} batches has none of '
                            f'data set {name}: lower the batch size, or raise '
                            'its share or epoch_length of DomainSampler')

    def order(self) -> np.ndarray:
        """Places of the samples of an epoch, batch after batch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        domains = np.repeat(np.arange(len(self.num_batches)), self.num_batches)
        if self.shuffle:
            domains = rng.permutation(domains)
        order = np.empty((len(domains), self.batch), int)
        sizes = self.dataset.sizes
        for domain, (size, count) in enumerate(zip(sizes, self.num_batches)):
            needed = count * self.batch
            visits = np.arange(-(-needed // size))[:, None]
            places = np.tile(np.arange(size), (len(visits), 1))
            if self.shuffle:
                places = rng.permuted(places, axis=1)
            places += sum(sizes[:domain]) + visits * len(self.dataset)
            order[domains == domain] = places.reshape(-1)[:needed].reshape(
                -1, self.batch)
        return order.reshape(-1)
