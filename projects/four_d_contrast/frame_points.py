"""Points of a frame that know where they were, and the same at other places.

Shapes: L loaded points, N points of a view.
"""
from typing import Any

import numpy as np
import torch
from mmdet3d.structures import BasePoints

from sam3d_plugin.store.errors import UserError

# Centers of the points of a frame differ by rounding alone, meters.
SAME_CENTER = 1e-4


def origins_of(points: Any) -> np.ndarray:
    """Places of loaded points.

    Args:
        points (Any): What ``points`` of a sample are.

    Returns:
        np.ndarray: (L, 3) world, meters, float64.

    Raises:
        UserError: For points with other columns, or that were moved.
    """
    columns = getattr(points, 'attribute_dims', None) or {}
    if list(columns) != ['origin']:
        raise UserError('PlaceMovingObject makes points that have xyz and '
                        "origin: set columns=('origin', ) of LoadRGBDPoints")
    values = points.tensor.double().numpy()
    origins = values[:, columns['origin']]
    centers = origins - values[:, :3]
    if np.abs(centers - centers[:1]).max(initial=0) > SAME_CENTER:
        raise UserError('points are not where LoadRGBDPoints put them: move '
                        'augmentations behind PlaceMovingObject, into the '
                        'transforms of TwoViews')
    return origins


def moved(points: BasePoints, places: np.ndarray) -> BasePoints:
    """Points at other places (N, 3) of the same world, with their center."""
    center = points.tensor[0, 3:6] - points.tensor[0, :3]
    origins = torch.from_numpy(places).float()
    return points.new_point(torch.cat([origins - center, origins], dim=1))
