"""Features of single points, to compare them with each other."""
from typing import Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops.propagation import propagate_three_nn
from sam3d_plugin.structures import PointTokens
from .defaults import LINEAR_INIT


@MODELS.register_module()
class PointProjector(BaseModule):
    """An MLP on what a point's nearest tokens know, and where it is there.

    Tokens are larger than the distances of points that a contrast tells
    apart, so the MLP also sees the point relative to the nearest center.

    Args:
        in_channels (int): Channels of the tokens. Defaults to 256.
        hidden_channels (int): Hidden width of the MLP. Defaults to 256.
        out_channels (int): Defaults to 32.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 in_channels: int = 256,
                 hidden_channels: int = 256,
                 out_channels: int = 32,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.mlp = nn.Sequential(
            nn.Linear(in_channels + 3, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, out_channels))

    def forward(self, points: Tensor, tokens: PointTokens,
                features: Tensor) -> Tensor:
        """Project the interpolated features of points.

        Args:
            points (Tensor): (B, P, 3) xyz, meters, any points of the scenes.
            tokens (PointTokens): G tokens of the same scenes.
            features (Tensor): (B, G, C) of the tokens, undefined for padding.

        Returns:
            Tensor: (B, P, out_channels) float32 of length 1.
        """
        mixed, offsets = propagate_three_nn(points, tokens.centers, features,
                                            tokens.is_padding)
        projected = self.mlp(torch.cat((mixed, offsets), dim=-1))
        return F.normalize(projected.float(), dim=-1)
