"""Regions from SAM and its successors: "segment everything", merged into one
map per frame.

Shapes: H W pixels.
"""
import multiprocessing
from dataclasses import dataclass, fields
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike
from ....store.posed_images import RGBDFrame
from ...running.devices import find_device
from ...skipping import try_each
from .base import OVERLAP_RULES, RegionGenerator, check_areas, merge_masks
from .prompted import PromptedNetworks
from .sam_batched import SAMNetworks
from .sam_masks import BatchedMaskGenerator, Found, MaskSettings
from .sam_models import check_model_type, describe_checkpoint, load_sam

DTYPES = dict(
    float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)


@dataclass(kw_only=True)
class PromptedRegions(MaskSettings, RegionGenerator):
    """Regions from networks that are prompted with a grid of points.

    On a GPU the generator stays in the main process; on CPUs every worker
    loads the networks once.
    """
    needs_depth = False

    checkpoint: PathLike  # The networks' weights
    device: str = 'auto'  # see :func:`find_device`
    # What the image encoder computes in; only ``'float32'`` gives the stock
    # masks
    dtype: str = 'float32'
    # None until __post_init__.
    # Images that the encoder gets at once; None is 8 on a GPU and 1 on the
    # CPU. Halved when memory runs out
    batch_size: int = None  # type: ignore[assignment]
    # Prompts that the decoder gets at once; None is 256 on a GPU and 32 on the
    # CPU. Halved when memory runs out
    points_per_batch: int = None  # type: ignore[assignment]
    # Which mask gets a pixel of several; see :func:`merge_masks`. ``'score'``
    # goes by the predicted IoU
    overlap: str = 'smaller'
    min_area: int = 1  # Smallest region, pixels
    # Largest region, pixels; None sets no limit
    max_area: Optional[int] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value, choices in (('dtype', self.dtype, DTYPES),
                                       ('overlap', self.overlap,
                                        OVERLAP_RULES)):
            if value not in choices:
                raise StoreError(f'{option} {value!r} is unknown; choose one '
                                 f'of {", ".join(choices)}')
        check_areas(self.min_area, self.max_area)
        self.torch_device = find_device(self.device)
        self.in_process = self.torch_device.type != 'cpu'
        sizes = (8, 256) if self.in_process else (1, 32)
        for option, default in zip(('batch_size', 'points_per_batch'), sizes):
            size = getattr(self, option)
            if size is not None and size < 1:
                raise StoreError(f'invalid {option} {size}: must be >= 1')
            setattr(self, option, default if size is None else size)
        self._described: Optional[Dict[str, str]] = None
        self._generator: Optional[BatchedMaskGenerator] = None

    def __getstate__(self) -> Dict[str, Any]:
        # Workers load the networks themselves.
        return dict(self.__dict__, _generator=None)

    def describe(self) -> Dict[str, str]:
        """``model`` and ``checkpoint_sha256``; StoreError when the checkpoint
        is missing or of another model."""
        raise NotImplementedError

    def load_networks(self) -> PromptedNetworks:
        """The networks on their device; StoreError as :meth:`describe`."""
        raise NotImplementedError

    def settings(self) -> Dict[str, Any]:
        """Settings that determine the maps, which batch sizes do not.

        StoreError when the checkpoint is missing or of another model.
        """
        if self._described is None:
            self._described = self.describe()
        masks = self._masks()
        if not masks['skip_covered']:  # as in stores from before it existed
            del masks['skip_covered']
        return dict(
            **self._described,
            dtype=self.dtype,
            overlap=self.overlap,
            min_area=self.min_area,
            max_area=self.max_area,
            **masks)

    def _masks(self) -> Dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(MaskSettings)}

    def generate(
            self, frames: Sequence[RGBDFrame]
    ) -> List[Union[np.ndarray, FrameError]]:
        """See :class:`RegionGenerator`; reads the color images only."""
        found = self.load().generate([frame.color for frame in frames])
        return try_each(self._merge, list(zip(frames, found)))

    def _merge(self, found: Tuple[RGBDFrame, Found]) -> np.ndarray:
        frame, (masks, iou) = found
        return merge_masks(
            list(masks),
            f'{frame.scan}/{frame.name}',
            self.overlap,
            scores=iou.tolist() if self.overlap == 'score' else None,
            min_area=self.min_area,
            max_area=self.max_area)

    def load(self) -> BatchedMaskGenerator:
        """The networks, loaded at the first call.

        Raises StoreError when the checkpoint is missing or of another model.
        """
        if self._generator is None:
            if multiprocessing.parent_process() is not None:
                # Workers share the cores; each is one.
                torch.set_num_threads(1)
            self._generator = BatchedMaskGenerator(
                self.load_networks(), MaskSettings(**self._masks()),
                self.batch_size, self.points_per_batch)
        return self._generator


@dataclass(kw_only=True)
class SAMRegions(PromptedRegions):
    """Regions from ``segment_anything``'s networks.

    The masks are those of ``SamAutomaticMaskGenerator`` with the same
    :class:`MaskSettings`. ``checkpoint`` is a file, e.g.
    ``sam_vit_h_4b8939.pth``; local path or URI.
    """
    name = 'sam'

    # ``'vit_b'``, ``'vit_l'`` or ``'vit_h'`` to be sure that the file holds
    # it; ``'auto'`` takes any SAM
    model_type: str = 'auto'
    backend_args: BackendArgs = None  # Of the checkpoint's file backend

    def __post_init__(self) -> None:
        super().__post_init__()
        check_model_type(self.model_type)

    def describe(self) -> Dict[str, str]:
        """See :func:`describe_checkpoint`."""
        return describe_checkpoint(self.checkpoint, self.model_type,
                                   self.backend_args)

    def load_networks(self) -> SAMNetworks:
        """See :func:`load_sam`."""
        sam = load_sam(self.checkpoint, self.model_type, self.backend_args)
        return SAMNetworks(sam.to(self.torch_device), DTYPES[self.dtype])
