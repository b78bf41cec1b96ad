"""Single RGB-D frames of a prepared data set, for pre-training."""
from typing import Callable, Dict, List, Optional, Sequence, Union

from mmdet3d.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from .frame_index import describe_skipped, index_frames, read_scan_names
from .frame_preflight import FrameFolders
from .seeding import SampleKey, seeded


@DATASETS.register_module()
class RGBDFrameDataset(BaseDataset):
    """Frames that have depth, regions and, where wanted, features and groups.

    One sample is one frame. What its pipeline draws at random depends on
    seed, epoch and index alone, which :class:`SeededSampler` hands over; a
    plain index is that of epoch 0 and seed 0. Frames are listed from
    manifests and kept as bytes, so that workers share them.

    Args:
        data_root (str): The data set. Defaults to ''.
        ann_file (str): List of scans (``.txt``) or annotation file
            (``.pkl``); empty for all scans. Defaults to ''.
        data_prefix (Optional[dict]): Folders that are not the usual ones:
            posed_images, region_maps, region_features and region_groups
            (``region_groups/train``); an empty one is not read.
        min_regions (int): Frames with fewer regions are left out. Defaults
            to 1.
        pipeline (Sequence[Union[dict, Callable]]): Transforms.
        indices (Union[int, Sequence[int], None]): Only these frames.
        test_mode (bool): Whether an unusable frame is an error instead of
            being replaced by another. Defaults to False.
        lazy_init (bool): Whether to list the frames at first use. Defaults to
            False.
        backend_args (Optional[dict]): Arguments of the file backend; the
            transforms that load have their own.
    """
    FOLDERS = dict(
        posed_images='posed_images',
        region_maps='region_maps',
        region_features='region_features',
        region_groups='region_groups/train')

    def __init__(self,
                 data_root: str = '',
                 ann_file: str = '',
                 data_prefix: Optional[dict] = None,
                 min_regions: int = 1,
                 pipeline: Sequence[Union[dict, Callable]] = (),
                 indices: Union[int, Sequence[int], None] = None,
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 backend_args: Optional[dict] = None) -> None:
        unknown = sorted(set(data_prefix or {}) - set(self.FOLDERS))
        if unknown:
            raise ValueError(f'data_prefix names {unknown[0]}; it may name '
                             f'{", ".join(self.FOLDERS)}')
        self.min_regions = min_regions
        self.backend_args = backend_args
        self.skipped: Dict[str, str] = {}
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix={
                **self.FOLDERS,
                **(data_prefix or {})
            },
            indices=indices,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init)

    def load_data_list(self) -> List[dict]:
        """List the frames.

        Returns:
            List[dict]: ``scan`` and ``frame`` of each.

        Raises:
            StoreError: See :func:`index_frames`.
        """
        scans = None
        if self.ann_file:
            scans = read_scan_names(self.ann_file, self.backend_args)
        index = index_frames(
            FrameFolders(**self.data_prefix), scans, self.min_regions,
            self.backend_args)
        self.skipped = index.skipped
        self._metainfo.update(feature_channels=index.channels)
        frames = [
            dict(scan=scan, frame=frame)
            for scan, names in index.frames.items() for frame in names
        ]
        print_log(
            f'{self.data_root}: {len(frames):,} frames of '
            f'{len(index.frames):,} scans'
            f'{"; " + describe_skipped(self.skipped) if self.skipped else ""}',
            logger='current')
        return frames

    def get_data_info(self, idx: int) -> dict:
        """What the pipeline starts from.

        Args:
            idx (int): Of the frame.

        Returns:
            dict: ``scan``, ``frame``, ``sample_idx`` and the folders.
        """
        return {**self.data_prefix, **super().get_data_info(idx)}

    def __getitem__(self, idx: Union[int, SampleKey]) -> dict:
        """One sample.

        Args:
            idx (Union[int, SampleKey]): A key, or the index of a frame.

        Returns:
            dict: What the pipeline packs.
        """
        key = idx if isinstance(idx, SampleKey) else SampleKey(int(idx))
        with seeded(key):
            return super().__getitem__(key.idx)

    def _join_prefix(self) -> None:
        """Join paths; folders that are not read have none."""
        self.data_prefix = {k: v for k, v in self.data_prefix.items() if v}
        super()._join_prefix()
