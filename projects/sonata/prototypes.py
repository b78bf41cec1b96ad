"""Prototypes and the assignment of tokens to them.

Shapes: K prototypes, C channels.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from torch import Tensor, nn


@torch.no_grad()
def sinkhorn(scores: Tensor,
             is_counted: Tensor,
             temperature: float,
             num_iterations: int = 3) -> Tensor:
    """Share tokens out so that every prototype gets as much as any other.

    Softmax of each token, then, in turn, division of prototypes by what they
    got in all processes and of tokens by what they gave (Sinkhorn-Knopp;
    Caron et al., NeurIPS 2020).

    Args:
        scores (Tensor): (..., K) similarity of tokens and prototypes.
        is_counted (Tensor): (...) bool, False for tokens left out.
        temperature (float): Divides the scores.
        num_iterations (int): Turns; 0 for the softmax alone. Defaults to 3.

    Returns:
        Tensor: (..., K) float32. A counted token's shares sum to 1, those of
        others are 0; a prototype's shares sum nearly to the number of counted
        tokens over K.
    """
    shares = (scores.float() / temperature).softmax(-1)
    shares = shares * is_counted[..., None]
    for _ in range(num_iterations):
        totals = shares.flatten(0, -2).sum(0)
        all_reduce(totals)
        shares = shares / totals.clamp(min=torch.finfo().tiny)
        given = shares.sum(-1, keepdim=True)
        shares = shares / given.clamp(min=torch.finfo().tiny)
    return shares


@MODELS.register_module()
class PrototypeHead(BaseModule):
    """Cosines of projected tokens and learned prototypes.

    Args:
        in_channels (int): Channels of a token. Defaults to 256.
        hidden_channels (int): Hidden width of the MLP. Defaults to 4096.
        out_channels (int): Channels of a prototype. Defaults to 256.
        num_prototypes (int): K. Defaults to 4096.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(
        self,
        in_channels: int = 256,
        hidden_channels: int = 4096,
        out_channels: int = 256,
        num_prototypes: int = 4096,
        init_cfg: Optional[dict] = dict(
            type='TruncNormal', layer='Linear', std=.02)
    ) -> None:
        super().__init__(init_cfg)
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, out_channels))
        self.prototypes = nn.Parameter(
            torch.randn(num_prototypes, out_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Scores (..., K) of features (..., C), from -1 to 1, in float32."""
        features = self.mlp(features)
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(
                F.normalize(features.float(), dim=-1),
                F.normalize(self.prototypes.float(), dim=-1))
