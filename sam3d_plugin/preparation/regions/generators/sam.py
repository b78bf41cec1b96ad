"""Regions from SAM: "segment everything", merged into one map per frame.

Shapes: H W pixels.
"""
import multiprocessing
from dataclasses import asdict, fields
from typing import Any, Collection, Dict, List, Optional, Sequence, Union

import numpy as np
import torch

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike
from ....store.posed_images import RGBDFrame
from ...running.devices import find_device
from .base import OVERLAP_RULES, RegionGenerator, check_areas, merge_masks
from .sam_masks import BatchedMaskGenerator, MaskSettings
from .sam_models import check_model_type, describe_checkpoint, load_sam

DTYPES = dict(
    float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)


class SAMRegions(RegionGenerator):
    """Regions from ``segment_anything``'s networks.

    The masks are those of ``SamAutomaticMaskGenerator`` with the same
    settings, whose names and defaults these are. On a GPU the generator stays
    in the main process; on CPUs every worker loads the networks once.

    Args:
        checkpoint (PathLike): Weights, e.g. ``sam_vit_h_4b8939.pth``; local
            path or URI.
        model_type (str): ``'vit_b'``, ``'vit_l'`` or ``'vit_h'`` to be sure
            that the file holds it; ``'auto'`` takes any SAM.
        device (str): see :func:`find_device`.
        dtype (str): What the image encoder computes in; only ``'float32'``
            gives the stock masks.
        batch_size (Optional[int]): Images that the encoder gets at once;
            None is 8 on a GPU and 1 on the CPU. Halved when memory runs out.
        points_per_batch (Optional[int]): Prompts that the decoder gets at
            once; None is 256 on a GPU and 32 on the CPU. Halved when memory
            runs out.
        overlap (str): Which mask gets a pixel of several; see
            :func:`merge_masks`. ``'score'`` goes by the predicted IoU.
        min_area (int): Smallest region, pixels.
        max_area (Optional[int]): Largest region, pixels; None sets no limit.
        points_per_side (int): See :class:`MaskSettings`, as for all below.
        pred_iou_thresh (float): Least predicted IoU.
        stability_score_thresh (float): Least stability.
        stability_score_offset (float): How stability is measured.
        box_nms_thresh (float): From which IoU boxes are duplicates.
        crop_n_layers (int): Layers of crops.
        crop_nms_thresh (float): The same between crops.
        crop_overlap_ratio (float): Overlap of crops.
        crop_n_points_downscale_factor (int): Coarser grids in crops.
        min_mask_region_area (int): Smallest part and hole of a mask, pixels.
        backend_args (BackendArgs): Of the checkpoint's file backend.
    """
    name = 'sam'
    needs_depth = False

    def __init__(self,
                 checkpoint: PathLike,
                 model_type: str = 'auto',
                 device: str = 'auto',
                 dtype: str = 'float32',
                 batch_size: Optional[int] = None,
                 points_per_batch: Optional[int] = None,
                 overlap: str = 'smaller',
                 min_area: int = 1,
                 max_area: Optional[int] = None,
                 points_per_side: int = MaskSettings.points_per_side,
                 pred_iou_thresh: float = MaskSettings.pred_iou_thresh,
                 stability_score_thresh: float = MaskSettings.
                 stability_score_thresh,
                 stability_score_offset: float = MaskSettings.
                 stability_score_offset,
                 box_nms_thresh: float = MaskSettings.box_nms_thresh,
                 crop_n_layers: int = MaskSettings.crop_n_layers,
                 crop_nms_thresh: float = MaskSettings.crop_nms_thresh,
                 crop_overlap_ratio: float = MaskSettings.crop_overlap_ratio,
                 crop_n_points_downscale_factor: int = MaskSettings.
                 crop_n_points_downscale_factor,
                 min_mask_region_area: int = MaskSettings.min_mask_region_area,
                 backend_args: BackendArgs = None) -> None:
        given = locals()
        self.masks = MaskSettings(
            **
            {field.name: given[field.name]
             for field in fields(MaskSettings)})
        check_model_type(model_type)
        _check_choice('dtype', dtype, DTYPES)
        _check_choice('overlap', overlap, OVERLAP_RULES)
        check_areas(min_area, max_area)
        self.checkpoint = str(checkpoint)
        self.model_type = model_type
        self.backend_args = backend_args
        self.device = find_device(device)
        self.dtype = dtype
        self.overlap = overlap
        self.min_area = min_area
        self.max_area = max_area
        is_gpu = self.device.type != 'cpu'
        self.in_process = is_gpu
        sizes = (8, 256) if is_gpu else (1, 32)
        self.batch_size = _batch('batch_size', batch_size, sizes[0])
        self.points_per_batch = _batch('points_per_batch', points_per_batch,
                                       sizes[1])
        self._described: Optional[Dict[str, str]] = None
        self._generator: Optional[BatchedMaskGenerator] = None

    def __getstate__(self) -> Dict[str, Any]:
        # Workers load the networks themselves.
        return dict(self.__dict__, _generator=None)

    def settings(self) -> Dict[str, Any]:
        """Settings that determine the maps, which batch sizes do not.

        StoreError when the checkpoint is missing or of another model.
        """
        if self._described is None:
            self._described = describe_checkpoint(self.checkpoint,
                                                  self.model_type,
                                                  self.backend_args)
        return dict(
            **self._described,
            dtype=self.dtype,
            overlap=self.overlap,
            min_area=self.min_area,
            max_area=self.max_area,
            **asdict(self.masks))

    def generate(
            self, frames: Sequence[RGBDFrame]
    ) -> List[Union[np.ndarray, FrameError]]:
        """See :class:`RegionGenerator`; reads the color images only."""
        found = self.load().generate([frame.color for frame in frames])
        results: List[Union[np.ndarray, FrameError]] = []
        for frame, (masks, iou) in zip(frames, found):
            try:
                results.append(
                    merge_masks(
                        list(masks),
                        f'{frame.scan}/{frame.name}',
                        self.overlap,
                        scores=iou.tolist()
                        if self.overlap == 'score' else None,
                        min_area=self.min_area,
                        max_area=self.max_area))
            except FrameError as error:
                results.append(error)
        return results

    def load(self) -> BatchedMaskGenerator:
        """The networks, loaded at the first call."""
        if self._generator is None:
            self._generator = self._build()
        return self._generator

    def _build(self) -> BatchedMaskGenerator:
        if multiprocessing.parent_process() is not None:
            # Workers share the cores; each is one.
            torch.set_num_threads(1)
        sam = load_sam(self.checkpoint, self.model_type, self.backend_args)
        return BatchedMaskGenerator(
            sam.to(self.device), self.masks, self.batch_size,
            self.points_per_batch, DTYPES[self.dtype])


def _check_choice(option: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise StoreError(f'{option} {value!r} is unknown; choose one of '
                         f'{", ".join(choices)}')


def _batch(option: str, size: Optional[int], default: int) -> int:
    if size is not None and size < 1:
        raise StoreError(f'invalid {option} {size}: must be >= 1')
    return default if size is None else size
