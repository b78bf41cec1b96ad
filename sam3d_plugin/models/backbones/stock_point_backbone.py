"""mmdet3d's own point backbones on our data."""
from typing import Dict, List, Optional

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from sam3d_plugin.ops.propagation import interpolate_tokens

# mmdet3d takes the floor of a scan to be at this share of its heights.
_FLOOR_QUANTILE = 0.0099


@MODELS.register_module()
class StockPointBackbone(BaseModule):
    """A backbone of mmdet3d that sees xyz, whatever columns points have.

    Our pipelines give points a column of region ids, which ``PointNet2SASSG``
    would take for a feature. This one drops it, so that stock and our
    backbones run on the same pipeline and differ in one line of a config.

    Args:
        backbone (dict): Config of the backbone.
        with_height (bool): Whether it gets the height above the floor as a
            fourth column, as mmdet3d's VoteNet does. Defaults to False.
        init_cfg (Optional[dict]): As in mmengine.
    """

    def __init__(self,
                 backbone: dict,
                 with_height: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.with_height = with_height

    def forward(self, points: Tensor) -> Dict[str, List[Tensor]]:
        """Run the backbone.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Dict[str, List[Tensor]]: What the backbone returns.
        """
        inputs = points[..., :3]
        if self.with_height:
            height = inputs[..., 2:]
            floor = torch.quantile(height, _FLOOR_QUANTILE, 1, keepdim=True)
            inputs = torch.cat([inputs, height - floor], dim=-1)
        return self.backbone(inputs.contiguous())

    def point_features(self, points: Tensor) -> Tensor:
        """Features of the points, interpolated from the last ``fp_xyz``.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Tensor: (B, N, C).
        """
        outputs = self(points)
        return interpolate_tokens(points[..., :3], outputs['fp_xyz'][-1],
                                  outputs['fp_features'][-1].transpose(1, 2))
