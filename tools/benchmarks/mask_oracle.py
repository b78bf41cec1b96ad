"""Networks that know the objects of an image, to measure prompts without SAM.

Shapes: P prompts, R masks, H W pixels.
"""
from typing import List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sam3d_plugin.preparation.regions.generators.prompted import Prompted

_SCALE = 4  # SAM's logits have a quarter of its input's side


class MaskOracle:
    """Answers a point with the object that it is on, and with its group.

    The group is the object with all others of which its box holds the
    greater part: a table with what stands on it, as SAM's largest mask of a
    point often has it. Points on pixels of no object have no mask.

    Args:
        maps (Sequence[np.ndarray]): (H, W) ids of the objects of each image,
            0 = none, in the order in which images are encoded.
        side (int): Longer side of the input, pixels. Defaults to 1024.
    """
    device = torch.device('cpu')
    mask_threshold = 0.0

    def __init__(self, maps: Sequence[np.ndarray], side: int = 1024) -> None:
        self.maps = iter(maps)
        self.side = side

    def encode(self, crops: Sequence[np.ndarray]) -> List[Tensor]:
        """(h, w) ids of each crop, at the resolution of the logits."""
        size = (self.side // _SCALE, self.side // _SCALE)
        return [
            F.interpolate(
                torch.as_tensor(next(self.maps).astype(float))[None, None],
                size)[0, 0].long() for _ in crops
        ]

    def place(self, grid: np.ndarray, size: Tuple[int, int]) -> Tensor:
        """(P, 2) pixels of the square input."""
        return torch.as_tensor(grid * self.side, dtype=torch.float32)

    def prompt(self, encoded: Tensor, points: Tensor) -> Prompted:
        """Masks of the object at each point and of its group, (P, 2)."""
        column, row = (points / _SCALE).long().unbind(1)
        ids, place = encoded[row, column].unique(return_inverse=True)
        masks = torch.stack([
            torch.stack([encoded == one,
                         group_of(encoded, int(one))]) for one in ids
        ])
        # A group of one is the object itself.
        has_group = (masks[:, 0] != masks[:, 1]).flatten(1).any(1)
        iou = (ids > 0)[:, None] & torch.stack(
            [torch.ones_like(has_group), has_group], 1)
        logits = torch.where(masks, 10., -10.)[place]
        return Prompted(iou[place].float(),
                        lambda is_wanted: logits[is_wanted])

    def upscale(self, logits: Tensor, size: Tuple[int, int]) -> Tensor:
        """(R, H, W) of (R, h, w)."""
        if len(logits) == 0:  # which interpolation refuses
            return logits.new_zeros(0, *size)
        return F.interpolate(logits[None], size, mode='bilinear')[0]


def group_of(ids: Tensor, one: int) -> Tensor:
    """(h, w) bool, an object and those that its box holds for the most part.
    """
    rows, columns = (ids == one).nonzero().unbind(1)
    in_box = torch.zeros_like(ids, dtype=torch.bool)
    in_box[rows.min():rows.max() + 1, columns.min():columns.max() + 1] = True
    size = int(ids.max()) + 1
    total = ids.flatten().bincount(minlength=size)
    inside = ids[in_box].bincount(minlength=size)
    is_held = 2 * inside > total
    is_held[one] = True
    return is_held[ids]
