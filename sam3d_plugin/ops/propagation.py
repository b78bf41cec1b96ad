"""From token features to point features.

Shapes: B scenes, N points, G tokens, C channels.
"""
from typing import Optional, Tuple

import torch
from torch import Tensor

from .grouping import three_interpolate
from .neighbors import three_nn

# Meters added to distances, so that a point on a center has a weight.
_EPSILON = 1e-8
# Meters to which padding is moved.
_FAR = 1e6


def inverse_distance_weights(distances: Tensor) -> Tensor:
    """Weigh neighbors by the inverse of their distance.

    A neighbor at distance infinity, which :func:`three_nn` reports where
    there are fewer than three tokens, weighs nothing.

    Args:
        distances (Tensor): (B, N, 3) meters, not squared.

    Returns:
        Tensor: (B, N, 3), sum 1.
    """
    inverse = 1 / (distances + _EPSILON)
    return inverse / inverse.sum(dim=2, keepdim=True)


def propagate_three_nn(
        points: Tensor,
        centers: Tensor,
        features: Tensor,
        is_padding: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
    """Interpolate the features of each point's three nearest tokens.

    Args:
        points (Tensor): (B, N, 3) meters.
        centers (Tensor): (B, G, 3) token centers, same frame.
        features (Tensor): (B, G, C).
        is_padding (Optional[Tensor]): (B, G) bool, tokens to leave out; every
            scene has at least one other.

    Returns:
        Tuple[Tensor, Tensor]: Features (B, N, C), a mean weighted with the
        inverse distance, and the points relative to the nearest token's
        center (B, N, 3), meters.
    """
    if is_padding is not None:
        centers = centers.masked_fill(is_padding[..., None], _FAR)
        features = features.masked_fill(is_padding[..., None], 0)
    distances, indices = three_nn(points, centers)
    mixed = three_interpolate(
        features.transpose(1, 2).contiguous(), indices,
        inverse_distance_weights(distances))
    nearest = indices[..., 0].long()
    return mixed.transpose(1, 2), points - gather_tokens(centers, nearest)


def interpolate_tokens(points: Tensor,
                       centers: Tensor,
                       features: Tensor,
                       is_padding: Optional[Tensor] = None) -> Tensor:
    """Interpolate the features of each point's three nearest tokens.

    Args:
        points (Tensor): (B, N, 3) meters.
        centers (Tensor): (B, G, 3) token centers, same frame.
        features (Tensor): (B, G, C).
        is_padding (Optional[Tensor]): (B, G) bool, tokens to leave out; every
            scene has at least one other.

    Returns:
        Tensor: (B, N, C), a mean weighted with the inverse distance.
    """
    return propagate_three_nn(points.contiguous(), centers, features,
                              is_padding)[0]


def propagate_own_token(points: Tensor, centers: Tensor, features: Tensor,
                        point_tokens: Tensor) -> Tuple[Tensor, Tensor]:
    """Give each point the feature of the token it belongs to.

    Args:
        points (Tensor): (B, N, 3) meters.
        centers (Tensor): (B, G, 3) token centers, same frame.
        features (Tensor): (B, G, C).
        point_tokens (Tensor): (B, N) int64, the token of each point.

    Returns:
        Tuple[Tensor, Tensor]: Features (B, N, C) and the points relative to
        their token's center (B, N, 3), meters.
    """
    return (gather_tokens(features, point_tokens),
            points - gather_tokens(centers, point_tokens))


def gather_tokens(values: Tensor, token_indices: Tensor) -> Tensor:
    """Pick what belongs to the token of each point.

    Args:
        values (Tensor): (B, G, C).
        token_indices (Tensor): (B, N) int64.

    Returns:
        Tensor: (B, N, C).
    """
    num_scenes, num_tokens, channels = values.shape
    first_token = torch.arange(
        num_scenes, device=values.device)[:, None] * num_tokens
    rows = (token_indices + first_token).reshape(-1)
    picked = values.reshape(-1, channels).index_select(0, rows)
    return picked.reshape(num_scenes, -1, channels)
