"""Geometric targets: the points that a token stands for."""
from typing import Any

import torch
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError


@MODELS.register_module()
class NeighborhoodTargets(nn.Module):
    """The points of each token relative to its center; no regions needed."""

    uses_regions = False

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Any) -> Tensor:
        """Collect the neighborhoods.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): G tokens of K points each.
            data_samples (Any): Unused.

        Returns:
            Tensor: (B, G, K, 3) meters from the center.

        Raises:
            ValueError: When tokens hold different numbers of points.
        """
        counts = tokens.member_counts
        if (counts != counts.max()).any():
            raise UserError('neighborhood targets need tokens of equal size:'
                            ' set tokenizer to a KNNTokenizer')
        members = points.reshape(-1, 3)[tokens.member_points]
        members = members.reshape(*counts.shape, -1, 3)
        return (members - tokens.centers[:, :, None]).float()
