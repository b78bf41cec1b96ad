"""What a network that is prompted with points offers, whoever made it.

Shapes: P prompts, M masks of each, R masks, H W pixels.
"""
from dataclasses import dataclass
from typing import Any, Callable, Protocol, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor


@dataclass
class Prompted:
    """Answer to some prompts."""
    iou: Tensor  # (P, M) predicted IoU of each prompt's masks
    # (R, h, w) logits of the masks (P, M) that are wanted
    logits: Callable[[Tensor], Tensor]


class PromptedNetworks(Protocol):
    """An image encoder, and a decoder of one foreground point per prompt.

    Attributes:
        device: Where the networks are.
        side: Longer side of the encoder's input, pixels.
        mask_threshold: Logit from which a pixel is in a mask.
    """
    device: torch.device
    side: int
    mask_threshold: float

    def encode(self, crops: Sequence[np.ndarray]) -> Sequence[Any]:
        """What :meth:`prompt` needs of (H, W, 3) RGB images of any sizes."""
        ...

    def place(self, grid: np.ndarray, size: Tuple[int, int]) -> Tensor:
        """(P, 2) pixels of the encoder's input for a grid (P, 2) of u and v,
        0 to 1, in a crop of H, W."""
        ...

    def prompt(self, encoded: Any, points: Tensor) -> Prompted:
        """Answer points (P, 2), as :meth:`place` gives them, in one crop."""
        ...

    def upscale(self, logits: Tensor, size: Tuple[int, int]) -> Tensor:
        """(R, H, W) logits at the resolution of their crop."""
        ...
