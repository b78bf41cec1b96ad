"""Views of a batch.

Shapes: B scenes, N points.
"""
from typing import Tuple

from torch import Tensor

from ...store.errors import UserError


def split_views(points: Tensor) -> Tuple[Tensor, Tensor]:
    """Take the two views of every scene apart.

    Args:
        points (Tensor): (B, 2, N, 3 + D), of ``TwoViews``.

    Returns:
        Tuple[Tensor, Tensor]: (B, N, 3 + D) each.

    Raises:
        ValueError: When there are no two views.
    """
    if points.dim() != 4 or points.shape[1] != 2:
        raise UserError(f'points are {tuple(points.shape)}, not (frames, 2, '
                        'points, columns): put TwoViews into train_pipeline')
    first, second = points.unbind(1)
    return first, second
