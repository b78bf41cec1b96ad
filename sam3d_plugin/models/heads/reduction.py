"""Reduction of token values to one number."""
import torch
from torch import Tensor


def frame_mean(values: Tensor, is_counted: Tensor) -> Tensor:
    """Average over the counted tokens of a frame, then over frames.

    A frame without counted tokens counts as 0, so that the mean over the
    batches of several processes is that of one large batch.

    Args:
        values (Tensor): (B, G).
        is_counted (Tensor): (B, G) bool.

    Returns:
        Tensor: () the mean.
    """
    counted = torch.where(is_counted, values, 0).sum(1)
    return (counted / is_counted.sum(1).clamp(min=1)).mean()


def pool_tokens(features: Tensor, is_padding: Tensor, pool: str) -> Tensor:
    """Pool the tokens of each frame.

    Args:
        features (Tensor): (B, G, C).
        is_padding (Tensor): (B, G) bool, True for tokens left out.
        pool (str): ``'mean'`` or ``'max'``.

    Returns:
        Tensor: (B, C) float32.
    """
    features, padding = features.float(), is_padding[..., None]
    if pool == 'max':
        return features.masked_fill(padding, float('-inf')).amax(1)
    return features.masked_fill(padding, 0).sum(1) / (~padding).sum(1)
