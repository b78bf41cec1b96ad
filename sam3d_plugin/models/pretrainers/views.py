"""Views, columns and images that a pipeline must provide.

Shapes: B scenes, N points.
"""
from typing import List, Mapping, Optional, Tuple

from mmdet3d.structures import Det3DDataSample
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


def origin_columns(data_samples: Optional[List[Det3DDataSample]],
                   method: str) -> List[int]:
    """Columns that say where points were before augmentation.

    Args:
        data_samples (Optional[List[Det3DDataSample]]): B frames, which name
            the columns.
        method (str): Who needs them.

    Returns:
        List[int]: Of x, y and z.

    Raises:
        UserError: When there are none.
    """
    columns = data_samples[0].metainfo.get('point_columns',
                                           {}) if data_samples else {}
    if 'origin' not in columns:
        raise UserError(f"{method} needs the origins of points: put 'origin' "
                        'into the columns of LoadRGBDPoints')
    return columns['origin']


def check_image(found: Mapping, kind: str, advice: str) -> None:
    """Refuse a sample or a batch without an image and its camera.

    Args:
        found (Mapping): What it has by name, see ``LoadFrameImage``.
        kind (str): ``'color'`` or ``'depth'``.
        advice (str): What to do.

    Raises:
        UserError: When a key is missing.
    """
    keys = (f'{kind}_{name}' for name in ('image', 'intrinsics', 'pose'))
    missing = [key for key in keys if key not in found]
    if missing:
        raise UserError(f'{missing[0]} is missing: {advice}')
