"""The same places in two views.

Shapes: B clouds, G tokens, C channels.
"""
from typing import Tuple

import torch
from torch import Tensor


def match_tokens(origins: Tensor, others: Tensor, is_candidate: Tensor,
                 radius: float) -> Tuple[Tensor, Tensor]:
    """Find the nearest token of another view.

    Args:
        origins (Tensor): (B, G, 3) centers before augmentation, meters.
        others (Tensor): (B, G', 3) those of the other view.
        is_candidate (Tensor): (B, G') bool, False for padding.
        radius (float): Largest distance, meters.

    Returns:
        Tuple[Tensor, Tensor]: (B, G) int64 places in the other view, and
        (B, G) bool, False where it has no token within the radius.
    """
    distances = torch.cdist(
        origins, others, compute_mode='donot_use_mm_for_euclid_dist')
    distances = distances.masked_fill(~is_candidate[:, None], torch.inf)
    nearest, places = distances.min(-1)
    return places, nearest <= radius


def of_other_view(values: Tensor) -> Tensor:
    """Swap the two views of every frame in (2 B, ...)."""
    return values.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
