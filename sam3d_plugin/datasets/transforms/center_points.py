"""Centering of complete scans, as pre-training centers frames."""
import torch
from mmdet3d.registry import TRANSFORMS

from sam3d_plugin.ops.scene_origin import check_center, find_origin
from .base import Step


@TRANSFORMS.register_module()
class CenterPoints(Step):
    """Move a scan to the origin that ``LoadRGBDPoints`` gives its frames.

    Segmentation data sets of mmdet3d do not align scans, and raw scans may
    begin anywhere. For scans without boxes; it stands before sampling, so
    that the origin does not depend on the sample.

    Required Keys:

    - points (:obj:`BasePoints`), z up

    Modified Keys:

    - points (:obj:`BasePoints`)

    Args:
        center (str): See ``LoadRGBDPoints``.
    """

    def __init__(self, center: str = 'floor') -> None:
        check_center(center)
        self.center = center

    def transform(self, results: dict) -> dict:
        """Move the points."""
        points = results['points']
        origin = find_origin(points.coord.double().numpy(), self.center)
        points.translate(torch.from_numpy(-origin).to(points.tensor))
        return results
