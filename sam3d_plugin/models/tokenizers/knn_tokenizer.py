"""Tokens from neighborhoods of furthest point samples."""
from typing import Optional

import numpy as np
import torch
from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.ops import furthest_point_sample, knn
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from .base import BaseTokenizer


@MODELS.register_module()
class KNNTokenizer(BaseTokenizer):
    """Furthest point samples and their nearest neighbors, as in Point-MAE.

    Neighborhoods overlap, and a point may be in none. The center of a token
    is its furthest point sample.

    Args:
        num_tokens (int): Tokens per scene G.
        num_neighbors (int): Points per token K.
    """

    uses_regions = False

    def __init__(self, num_tokens: int, num_neighbors: int) -> None:
        super().__init__()
        if min(num_tokens, num_neighbors) < 1:
            raise UserError('num_tokens and num_neighbors must be >= 1, not '
                            f'{num_tokens} and {num_neighbors}')
        self.num_tokens = num_tokens
        self.num_neighbors = num_neighbors

    @property
    def points_needed(self) -> int:
        """int: Points a scene must have at least."""
        return max(self.num_tokens, self.num_neighbors)

    def summary(self) -> str:
        """See :class:`BaseTokenizer`."""
        return f'knn {self.num_tokens}×{self.num_neighbors}'

    @torch.no_grad()
    def forward(self,
                points: Tensor,
                region_ids: Optional[Tensor] = None) -> PointTokens:
        """Tokenize a batch of scenes.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            region_ids (Optional[Tensor]): Unused.

        Returns:
            PointTokens: ``num_tokens`` tokens a scene, none of them padding.

        Raises:
            ValueError: When a scene has fewer points than tokens, or than
                neighbors.
        """
        num_scenes, num_points, _ = points.shape
        if num_points < self.points_needed:
            raise UserError(
                f'{self.summary()} needs at least {self.points_needed} points '
                f'a scene, got {num_points}; raise num_points of PointSample '
                'or lower num_tokens and num_neighbors')
        points = points.float().contiguous()
        anchors = furthest_point_sample(points, self.num_tokens).long()
        centers = points.gather(1, anchors[..., None].expand(-1, -1, 3))
        members = knn(self.num_neighbors, points, centers).transpose(1, 2)
        first_point = torch.arange(
            num_scenes, device=points.device) * num_points
        member_points = members.long() + first_point[:, None, None]
        return PointTokens(
            centers=centers,
            anchor_indices=anchors,
            region_ids=torch.zeros_like(anchors),
            num_tokens=np.full(num_scenes, self.num_tokens),
            is_padding=torch.zeros_like(anchors, dtype=torch.bool),
            member_points=member_points.reshape(-1),
            member_offsets=torch.arange(
                0,
                member_points.numel() + 1,
                self.num_neighbors,
                device=points.device))
