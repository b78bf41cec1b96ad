"""Point sampling that is the same in every evaluation."""
from typing import Any

from mmdet3d.datasets import PointSample
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.ops.random_state import seeded


@TRANSFORMS.register_module()
class SeededPointSample(PointSample):
    """``PointSample`` that draws the same points of a scan every time.

    For test pipelines: scores of the same weights are then the same, in the
    validation of a training and in ``tools/test.py``, whatever else has drawn
    random numbers, and copies of a scan give the same result. Further
    arguments are those of ``PointSample``.

    Required Keys:

    - points (:obj:`BasePoints`)

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
        """Sample with the seed of this step."""
        with seeded(self.seed):
            return super().transform(results)
