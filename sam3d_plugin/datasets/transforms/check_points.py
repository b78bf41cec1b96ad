"""Check of the points that a scan is trained on."""
import torch
from mmdet3d.registry import TRANSFORMS

from ...store.errors import UserError
from .base import Step


def points_path(results: dict) -> str:
    """File of a scan's points, '' when they were given as an array."""
    return results.get('lidar_points', {}).get('lidar_path', '')


@TRANSFORMS.register_module()
class CheckPoints(Step):
    """Refuse scans with non-finite points or too few of them.

    It stands after ``LoadPointsFromFile``, where the file can still be named.

    Required Keys:

    - points (:obj:`BasePoints`)
    - lidar_points (dict, optional), with ``lidar_path``

    Args:
        min_points (int): Points that the scan must have at least.
    """

    def __init__(self, min_points: int = 1) -> None:
        self.min_points = min_points

    def transform(self, results: dict) -> dict:
        """Check the points.

        Raises ValueError when the scan is not fit for training.
        """
        points = results['points']
        path = points_path(results) or 'the scan'
        if len(points) < self.min_points:
            raise UserError(
                f'{path} holds {len(points)} points, fewer than the '
                f'{self.min_points} needed; leave the scan out of the split')
        num_bad = int((~torch.isfinite(points.tensor).all(dim=1)).sum())
        if num_bad:
            raise UserError(
                f'{path}: {num_bad} of {len(points)} points are not finite; '
                'import the scan again with --drop-invalid')
        return results
