"""Point sampling that is the same in every evaluation."""
import zlib
from typing import Any

from mmdet3d.datasets import PointSample
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.ops.random_state import seeded
from .check_points import points_path


@TRANSFORMS.register_module()
class SeededPointSample(PointSample):
    """``PointSample`` that draws the same points of a scan every time.

    For test pipelines: scores of the same weights are then the same, in the
    validation of a training and in ``tools/test.py``, whatever else has drawn
    random numbers. Further arguments are those of ``PointSample``.

    Required Keys:

    - points (:obj:`BasePoints`)
    - lidar_points (dict, optional), with ``lidar_path``

    Modified Keys:

    - points (:obj:`BasePoints`)

    Args:
        num_points (int): Points of the sample.
        seed (int): Another one draws other points, for several evaluations of
            the same weights.
        **kwargs (Any): As ``PointSample``.
    """

    def __init__(self, num_points: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(num_points, **kwargs)
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Sample with a seed made of the name of the points' file."""
        name = points_path(results).rsplit('/', 1)[-1]
        with seeded((zlib.crc32(name.encode()) + self.seed) % 2**32):
            return super().transform(results)
