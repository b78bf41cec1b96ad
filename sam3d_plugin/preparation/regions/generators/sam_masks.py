"""SAM's "segment everything", for several images at once.

With SAM's networks it finds the masks of
``segment_anything.SamAutomaticMaskGenerator``, in its order, for the same
settings. Masks are kept as the decoder's
small logits until it is known which survive, instead of as run lengths.

Shapes: B crops, P prompts, R masks, H W pixels.
"""
from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

import numpy as np
import torch
from segment_anything.utils import amg
from torch import Tensor
from torchvision.ops import batched_nms, box_area

from ....store.errors import UserError
from .prompted import PromptedNetworks
from .sam_batched import HalvingBatches

# The masks of one image (R, H, W) bool, and their predicted IoU (R,).
Found = Tuple[np.ndarray, np.ndarray]


@dataclass
class MaskSettings:
    """Settings of the automatic masks, named and defaulted as in SAM."""
    points_per_side: int = 32  # Prompts per side of the grid
    pred_iou_thresh: float = 0.88  # Least predicted IoU
    stability_score_thresh: float = 0.95  # Least stability
    # By how much the threshold of the logits is moved to measure the stability
    stability_score_offset: float = 1.0
    # IoU of boxes from which masks of one crop are duplicates
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0  # Layers of crops; layer i has 4^i crops
    crop_nms_thresh: float = 0.7  # As ``box_nms_thresh``, between crops
    # Overlap of the first layer's crops, in shorter sides of the image
    crop_overlap_ratio: float = 512 / 1500
    # How much coarser the grid gets with every layer
    crop_n_points_downscale_factor: int = 1
    # Smallest separate part and smallest hole of a mask, pixels; smaller ones
    # are removed and filled
    min_mask_region_area: int = 0
    # Object-aware prompts: the grid is prompted from coarse to fine, without
    # the points inside masks that are found already and cover at most this
    # share of the crop; 0 prompts all points, as SAM does
    skip_covered: float = 0.0

    def __post_init__(self) -> None:
        coarser = self.crop_n_points_downscale_factor**self.crop_n_layers
        if self.points_per_side // coarser < 1:
            raise UserError(
                f'points_per_side {self.points_per_side} leaves the last of '
                f'{self.crop_n_layers} layers of crops no prompt; raise it')
        if not 0 <= self.skip_covered <= 1:
            raise UserError(f'invalid skip_covered {self.skip_covered}: it is '
                            'a share of the image, 0 to 1')


@dataclass
class Crop:
    """A part of an image that SAM looks at by itself."""
    pixels: np.ndarray  # (H, W, 3) uint8, RGB
    box: List[int]  # Left, top, right, bottom in the image, pixels
    layer: int  # 0 for the whole image
    image_size: Tuple[int, int]  # H, W of the image

    @property
    def size(self) -> Tuple[int, int]:
        """H, W."""
        height, width = self.pixels.shape[:2]
        return height, width


@dataclass
class Candidates:
    """Masks that may be kept."""
    logits: Tensor  # (R, h, w) of the crop's padded input
    iou: Tensor  # (R,) predicted IoU
    boxes: Tensor  # (R, 4) left, top, right, bottom in the crop, pixels

    def __getitem__(self, keep: Tensor) -> 'Candidates':
        return Candidates(self.logits[keep], self.iou[keep], self.boxes[keep])


class BatchedMaskGenerator:
    """Finds the masks of images.

    Args:
        networks (PromptedNetworks): Of SAM, SAM 2 or SAM 3.
        settings (MaskSettings): What decides about masks.
        crops_per_batch (int): Crops that the encoder gets at once.
        points_per_batch (int): Prompts that the decoder gets at once.

    Attributes:
        prompts_decoded (int): Prompts that the decoder was given so far.
    """

    def __init__(self,
                 networks: PromptedNetworks,
                 settings: MaskSettings,
                 crops_per_batch: int = 1,
                 points_per_batch: int = 64) -> None:
        self.networks = networks
        self.settings = settings
        self.prompts_decoded = 0
        self.crops = HalvingBatches(crops_per_batch, 'images')
        self.prompts = HalvingBatches(points_per_batch, 'prompts')
        self.grids = amg.build_all_layer_point_grids(
            settings.points_per_side, settings.crop_n_layers,
            settings.crop_n_points_downscale_factor)

    @torch.inference_mode()
    def generate(self, images: Sequence[np.ndarray]) -> List[Found]:
        """Masks, best first, and predicted IoU of (H, W, 3) RGB images.

        StoreError when memory runs out even for one crop or prompt.
        """
        crops = [crop for image in images for crop in self._cut(image)]
        batches = self.crops.map(self._find_in_crops, crops)
        found = [candidates for batch in batches for candidates in batch]
        per_image = len(crops) // max(len(images), 1)
        return [
            self._clean(*self._join_crops(crops[start:start +
                                                per_image], found[start:start +
                                                                  per_image]))
            for start in range(0, len(crops), max(per_image, 1))
        ]

    def _cut(self, image: np.ndarray) -> List[Crop]:
        """All crops of an image; every image has the same number."""
        height, width = image.shape[:2]
        boxes, layers = amg.generate_crop_boxes(
            (height, width), self.settings.crop_n_layers,
            self.settings.crop_overlap_ratio)
        return [
            Crop(image[box[1]:box[3], box[0]:box[2]], box, layer,
                 (height, width)) for box, layer in zip(boxes, layers)
        ]

    def _find_in_crops(self, crops: Sequence[Crop]) -> List[Candidates]:
        """Masks of a batch of crops, duplicates in a crop removed."""
        encoded = self.networks.encode([crop.pixels for crop in crops])
        return [
            self._find_in_crop(crop, one) for crop, one in zip(crops, encoded)
        ]

    def _find_in_crop(self, crop: Crop, encoded: Any) -> Candidates:
        grid = self.grids[crop.layer]
        points = self.networks.place(grid, crop.size)
        rounds = [np.arange(len(grid))]
        if self.settings.skip_covered:
            rounds = coarse_to_fine(round(len(grid)**.5))
        batches: List[Candidates] = []
        for indices in rounds:
            chosen = points[torch.from_numpy(indices).to(points.device)]
            if batches:
                chosen = chosen[~self._is_covered(chosen, batches, crop.size)]
            self.prompts_decoded += len(chosen)
            batches += self.prompts.map(
                lambda batch: self._prompt(batch, encoded, crop.size), chosen)
        found = join(batches)
        height, width = crop.image_size
        found = found[~amg.is_box_near_crop_edge(found.boxes, crop.
                                                 box, [0, 0, width, height])]
        return found[_distinct(found.boxes, found.iou,
                               self.settings.box_nms_thresh)]

    def _is_covered(self, points: Tensor, batches: Sequence[Candidates],
                    size: Tuple[int, int]) -> Tensor:
        """(P,) bool, whether a found mask that covers at most the share
        ``skip_covered`` has the point, at the resolution of the logits."""
        masks = torch.cat([batch.logits for batch in batches
                           ]) > self.networks.mask_threshold
        height, width = masks.shape[1:]
        side = self.networks.side
        corner = self.networks.place(np.ones((1, 2)), size)[0] / side
        largest = self.settings.skip_covered * corner.prod() * height * width
        is_counted = masks.flatten(1).sum(1) <= largest
        is_covered = masks[is_counted].any(dim=0)
        cells = points.new_tensor([width, height]) * points / side
        column, row = cells.long().unbind(1)
        return is_covered[row.clamp(max=height - 1),
                          column.clamp(max=width - 1)]

    def _prompt(self, points: Tensor, encoded: Any,
                size: Tuple[int, int]) -> Candidates:
        """Masks of some prompts that are good and stable enough."""
        answer = self.networks.prompt(encoded, points)
        is_good = torch.ones_like(answer.iou, dtype=torch.bool)
        # SAM applies a threshold of 0 to neither of the two.
        if self.settings.pred_iou_thresh > 0:
            is_good = answer.iou > self.settings.pred_iou_thresh
        logits = answer.logits(is_good)
        is_stable, boxes = [], []
        for part in logits.split(len(points)):
            large = self.networks.upscale(part, size)
            is_stable.append(self._is_stable(large))
            boxes.append(
                amg.batched_mask_to_box(large > self.networks.mask_threshold))
        found = Candidates(logits, answer.iou[is_good], torch.cat(boxes))
        return found[torch.cat(is_stable)]

    def _is_stable(self, logits: Tensor) -> Tensor:
        threshold = self.settings.stability_score_thresh
        if threshold <= 0:
            return torch.ones(
                len(logits), dtype=torch.bool, device=logits.device)
        return amg.calculate_stability_score(
            logits, self.networks.mask_threshold,
            self.settings.stability_score_offset) >= threshold

    def _join_crops(self, crops: Sequence[Crop],
                    found: Sequence[Candidates]) -> Found:
        """Masks of one image, duplicates between its crops removed."""
        boxes = torch.cat([
            amg.uncrop_boxes_xyxy(candidates.boxes, crop.box)
            for crop, candidates in zip(crops, found)
        ])
        counts = torch.tensor([len(candidates.iou) for candidates in found])
        crop_of = torch.arange(len(crops)).repeat_interleave(counts)
        keep = torch.arange(len(boxes))
        if len(crops) > 1:  # masks of smaller crops are preferred
            areas = box_area(torch.tensor([crop.box for crop in crops]))
            scores = (1 / areas)[crop_of].to(boxes.device)
            keep = _distinct(boxes, scores,
                             self.settings.crop_nms_thresh).cpu()
        iou = torch.cat([candidates.iou for candidates in found]).cpu()
        masks = np.zeros((len(keep), *crops[0].image_size), dtype=bool)
        first = counts.cumsum(0) - counts
        for i, (crop, candidates) in enumerate(zip(crops, found)):
            place = (crop_of[keep] == i).nonzero()[:, 0]
            left, top, right, bottom = crop.box
            masks[place, top:bottom, left:right] = self._threshold(
                candidates.logits[keep[place] - first[i]], crop.size)
        return masks, iou[keep].numpy()

    def _threshold(self, logits: Tensor, size: Tuple[int, int]) -> np.ndarray:
        """(R, H, W) bool of logits that were kept."""
        parts = self.prompts.map(
            lambda part: (self.networks.upscale(part, size) > self.networks.
                          mask_threshold).cpu().numpy(), logits)
        return np.concatenate([np.zeros((0, *size), dtype=bool), *parts])

    def _clean(self, masks: np.ndarray, iou: np.ndarray) -> Found:
        """Remove small parts and holes, and what are duplicates then."""
        smallest = self.settings.min_mask_region_area
        if smallest <= 0 or len(masks) == 0:
            return masks, iou
        cleaned = [remove_small_parts(mask, smallest) for mask in masks]
        masks = np.stack([mask for mask, _ in cleaned])
        is_same = torch.tensor([not changed for _, changed in cleaned])
        boxes = amg.batched_mask_to_box(torch.from_numpy(masks))
        keep = _distinct(
            boxes, is_same.float(),
            max(self.settings.box_nms_thresh,
                self.settings.crop_nms_thresh)).numpy()
        return masks[keep], iou[keep]


def join(batches: Sequence[Candidates]) -> Candidates:
    """Candidates of all batches, in order; there is at least one."""
    return Candidates(*(torch.cat([getattr(batch, name) for batch in batches])
                        for name in ('logits', 'iou', 'boxes')))


def coarse_to_fine(side: int) -> List[np.ndarray]:
    """Deal out a grid of prompts to rounds.

    Args:
        side (int): Points per side.

    Returns:
        List[np.ndarray]: Indices of points, row by row: every fourth one,
        then every second one of the rest, then all others. Together each
        point once, in no round twice.
    """
    rows, columns = np.indices((side, side)).reshape(2, -1)
    number = np.full(side * side, 2)
    for turn, stride in ((1, 2), (0, 4)):
        is_in = (rows % stride == stride // 2) & (
            columns % stride == stride // 2)
        number[is_in] = turn
    rounds = [np.flatnonzero(number == turn) for turn in range(3)]
    return [indices for indices in rounds if len(indices)]


def remove_small_parts(mask: np.ndarray,
                       smallest: int) -> Tuple[np.ndarray, bool]:
    """Fill small holes of a mask, then remove its small separate parts.

    Args:
        mask (np.ndarray): (H, W) bool.
        smallest (int): Least area of a hole or part that stays, pixels.

    Returns:
        Tuple[np.ndarray, bool]: The mask, and whether it was changed.
    """
    mask, is_filled = amg.remove_small_regions(mask, smallest, mode='holes')
    mask, is_cut = amg.remove_small_regions(mask, smallest, mode='islands')
    return mask, is_filled or is_cut


def _distinct(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """(R,) indices of masks that are not duplicates, best first."""
    one_class = torch.zeros(len(boxes), device=boxes.device)
    return batched_nms(boxes.float(), scores, one_class, threshold)
