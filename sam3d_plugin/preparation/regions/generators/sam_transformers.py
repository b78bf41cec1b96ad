"""SAM 2 and SAM 3 from ``transformers``, prompted as SAM is.

Shapes: P prompts, M masks of each, R masks, H W pixels.
"""
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...transformers_models import describe_folder, load_folder
from .prompted import Prompted
from .sam import DTYPES, PromptedRegions


class TransformersSAM:
    """Networks of SAM 2 or of SAM 3's tracker.

    They look at the image squashed to a square, as they were trained.

    Args:
        model (Any): ``Sam2Model`` or ``Sam3TrackerModel``.
        processor (Any): Its image processor.
        dtype (torch.dtype): What the image encoder computes in.
    """
    mask_threshold = 0.0

    def __init__(self, model: Any, processor: Any, dtype: torch.dtype) -> None:
        self.model = model
        self.processor = processor
        self.dtype = dtype
        self.device = model.device
        self.side = model.prompt_encoder.input_image_size

    def encode(self, crops: Sequence[np.ndarray]) -> List[List[Tensor]]:
        """(1, C, h, w) maps of three levels of each crop, finest first."""
        pixels = self.processor(images=list(crops), return_tensors='pt')
        with torch.autocast(
                self.device.type, self.dtype, enabled=self.dtype
                != torch.float32):
            maps = self.model.get_image_embeddings(pixels['pixel_values'].to(
                self.device))
        return [[level[i:i + 1].float() for level in maps]
                for i in range(len(crops))]

    def place(self, grid: np.ndarray, size: Tuple[int, int]) -> Tensor:
        """(P, 2) pixels of the square for a grid (P, 2), 0 to 1."""
        return torch.as_tensor(
            grid * self.side, dtype=torch.float32, device=self.device)

    def prompt(self, encoded: List[Tensor], points: Tensor) -> Prompted:
        """Three masks of each point (P, 2)."""
        labels = torch.ones(
            1, len(points), 1, dtype=torch.int, device=points.device)
        # The model puts its own position embeddings into the list.
        answer = self.model(
            image_embeddings=list(encoded),
            input_points=points[None, :, None],
            input_labels=labels,
            multimask_output=True)
        masks = answer.pred_masks[0]
        return Prompted(answer.iou_scores[0],
                        lambda is_wanted: masks[is_wanted])

    def upscale(self, logits: Tensor, size: Tuple[int, int]) -> Tensor:
        """(R, H, W) of (R, h, w)."""
        if len(logits) == 0:  # which interpolation refuses
            return logits.new_zeros(0, *size)
        return F.interpolate(logits[None], size, mode='bilinear')[0]


@dataclass(kw_only=True)
class SAM2Regions(PromptedRegions):
    """Regions from SAM 2 or 2.1.

    ``checkpoint`` is the folder of a model of the Hugging Face hub, e.g.
    ``sam2.1-hiera-large``. Settings default to those of SAM 2's own automatic
    masks.
    """
    name = 'sam2'
    models: ClassVar[Dict[str, str]] = dict(
        sam2='Sam2Model', sam2_video='Sam2Model')

    pred_iou_thresh: float = 0.8

    def describe(self) -> Dict[str, str]:
        """See :func:`describe_folder`."""
        return describe_folder(self.checkpoint, self.models)

    def load_networks(self) -> TransformersSAM:
        """See :func:`load_folder`."""
        model, processor = load_folder(self.checkpoint, self.models,
                                       self.torch_device)
        return TransformersSAM(model, processor, DTYPES[self.dtype])


@dataclass(kw_only=True)
class SAM3Regions(SAM2Regions):
    """Regions from SAM 3's tracker, which is prompted as SAM 2 is."""
    name = 'sam3'
    models: ClassVar[Dict[str, str]] = dict(
        sam3_video='Sam3TrackerModel', sam3_tracker='Sam3TrackerModel')
