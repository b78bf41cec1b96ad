"""Single RGB-D frames of a prepared data set, for pre-training."""
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
from mmdet3d.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from ..store.errors import StoreError, UserError
from .frame_index import describe_skipped, index_frames, read_scan_names
from .seeding import SampleKey, seeded
from .transforms.base import all_steps, data_folder
from .transforms.load_frame_labels import CLASSES, LoadFrameLabels

_MAX_WORKERS = 256
# Samples that are tried for one that is usable
_MAX_TRIES = 100


@DATASETS.register_module()
class RGBDFrameDataset(BaseDataset):
    """Frames that are in every store which the pipeline reads.

    One sample is one frame. Steps of the pipeline name their stores in
    ``stores``. What the pipeline draws at random depends on seed, epoch and
    index alone, which :class:`SeededSampler` hands over; a plain index is
    that of epoch 0 and seed 0. Frames are listed from manifests and kept as
    bytes, so that workers share them.

    ``metainfo`` has ``point_columns``, the columns behind xyz by name, and
    ``group_counts``, ``feature_model`` and ``classes`` where the pipeline
    reads groups, region features and labels, for the modules of the model
    that ask for them (see ``PointRunner``).

    Args:
        data_root (str): The data set.
        ann_file (str): List of scans (``.txt``) or annotation file (``.pkl``);
            empty for all scans.
        pipeline (Sequence[Union[dict, Callable]]): Transforms.
        min_regions (int): Frames with fewer regions are left out, where the
            pipeline reads regions.
        indices (Union[int, Sequence[int], None]): Only these frames.
        test_mode (bool): Whether an unusable frame is an error instead of
            being replaced by another.
        lazy_init (bool): Whether to list the frames at first use.
        backend_args (Optional[dict]): Arguments of the file backend; the
            transforms that load have their own.
    """

    def __init__(self,
                 data_root: str = '',
                 ann_file: str = '',
                 pipeline: Sequence[Union[dict, Callable]] = (),
                 min_regions: int = 1,
                 indices: Union[int, Sequence[int], None] = None,
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 backend_args: Optional[dict] = None) -> None:
        self.min_regions = min_regions
        self.backend_args = backend_args
        self.skipped: Dict[str, str] = {}
        # Shared with the workers of a loader, each of which counts for itself.
        self._replaced = torch.zeros(_MAX_WORKERS + 1, dtype=torch.int64)
        self._replaced.share_memory_()
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix={},
            indices=indices,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init)

    def load_data_list(self) -> List[dict]:
        """``scan`` and ``frame`` of each frame; see :func:`index_frames`.

        Raises StoreError: See :func:`index_frames`.
        Raises ValueError when no step of the pipeline reads frames.
        """
        stores = self._stores()
        if 'posed_images' not in dict(stores):
            raise UserError('the pipeline of RGBDFrameDataset reads no '
                            'frames: begin it with LoadRGBDPoints')
        scans = None
        if self.ann_file:
            scans = read_scan_names(self.ann_file, self.backend_args)
        index = index_frames(stores, scans, self.min_regions,
                             self.backend_args)
        self.skipped = index.skipped
        for step in all_steps(self.pipeline.transforms):
            if hasattr(step, 'point_columns'):
                self._metainfo['point_columns'] = step.point_columns
            if isinstance(step, LoadFrameLabels):
                self._metainfo['classes'] = CLASSES
        if index.group_counts is not None:
            self._metainfo['group_counts'] = index.group_counts
        if index.feature_model is not None:
            self._metainfo['feature_model'] = index.feature_model
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

    def _stores(self) -> List[Tuple[str, str]]:
        """Kind and folder of each store that the pipeline reads."""
        root = dict(data_root=self.data_root)
        return [(kind, data_folder(root, folder))
                for step in all_steps(self.pipeline.transforms)
                for kind, folder in getattr(step, 'stores', ())]

    def get_data_info(self, idx: int) -> dict:
        """``data_root``, ``scan``, ``frame`` and ``sample_idx`` of a frame."""
        return dict(super().get_data_info(idx), data_root=self.data_root)

    def prepare_data(self, idx: int) -> Any:
        """What the pipeline makes of a frame; None is counted."""
        data = super().prepare_data(idx)
        if data is None:
            worker = get_worker_info()
            self._replaced[worker.id % _MAX_WORKERS if worker else -1] += 1
        return data

    @property
    def num_replaced(self) -> int:
        """Unusable samples that others replaced so far, in all workers."""
        return int(self._replaced.sum())

    def __getitem__(self, idx: Union[int, SampleKey]) -> dict:
        """What the pipeline packs of a key, or of the index of a frame.

        Raises StoreError when neither that frame nor any of those drawn in
        its place is usable.
        """
        key = idx if isinstance(idx, SampleKey) else SampleKey(int(idx))
        self.full_init()
        with seeded(key):
            index, tries = key.idx, 1 if self.test_mode else _MAX_TRIES
            for _ in range(tries):
                data = self.prepare_data(index)
                if data is not None:
                    return data
                index = self._rand_another()
        raise StoreError(
            f'{self.data_root}: {tries} samples in a row are unusable; the '
            'warnings in the log say why: prepare the data again, or change '
            'train_pipeline')
