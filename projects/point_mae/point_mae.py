"""Point-MAE (Pang et al., ECCV 2022) on the tokens of scene frames.

Axis legend: B scenes, N points, G tokens, K neighbours, C channels; M
neighborhoods, those of masked tokens.
"""
from typing import Any, Dict, Optional

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.models.pretrainers import (MaskedPointPretrainer,
                                             MaskedPrediction)
from sam3d_plugin.structures import PointTokens


@torch.no_grad()
def nearest(sources: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """Nearest target of every source point.

    Args:
        sources (Tensor): (M, K, 3).
        targets (Tensor): (M, K', 3).
        chunk (int): Neighborhoods compared at a time, to bound memory.

    Returns:
        Tensor: (M, K) int64 index into the targets of the same neighborhood.
    """
    return torch.cat([
        torch.cdist(s, t,
                    compute_mode='donot_use_mm_for_euclid_dist').argmin(-1)
        for s, t in zip(sources.split(chunk), targets.split(chunk))
    ])


def one_way(sources: Tensor, targets: Tensor, chunk: int) -> Tensor:
    """Mean squared distance (M,) of source points to their nearest target."""
    indices = nearest(sources, targets, chunk)[..., None].expand_as(sources)
    return (sources - targets.gather(1, indices)).square().sum(-1).mean(-1)


def chamfer_l2(first: Tensor, second: Tensor, chunk: int = 1024) -> Tensor:
    """Chamfer distance of squared lengths, both ways added up.

    The pairing has no gradient, so no K x K' matrix is kept for backward.

    Args:
        first (Tensor): (M, K, 3) float32.
        second (Tensor): (M, K', 3) float32.
        chunk (int): See :func:`nearest`. Defaults to 1024.

    Returns:
        Tensor: (M,) square metres; 0 for equal sets in any order.
    """
    return one_way(first, second, chunk) + one_way(second, first, chunk)


@MODELS.register_module()
class NeighborhoodTargets(nn.Module):
    """The points of each token relative to its centre; no regions needed."""

    uses_regions = False

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Any) -> Tensor:
        """Collect the neighborhoods.

        Args:
            points (Tensor): (B, N, 3) xyz, metres.
            tokens (PointTokens): Tokens of K points each.
            data_samples (Any): Not looked at.

        Returns:
            Tensor: (B, G, K, 3) metres from the centre.

        Raises:
            ValueError: When tokens hold different numbers of points.
        """
        counts = tokens.member_counts
        if (counts != counts.max()).any():
            raise ValueError('Point-MAE predicts neighborhoods of equal size:'
                             ' set tokenizer to a KNNTokenizer')
        members = points.reshape(-1, 3)[tokens.member_points]
        members = members.reshape(*counts.shape, -1, 3)
        return (members - tokens.centers[:, :, None]).float()


@MODELS.register_module()
class NeighborhoodHead(BaseModule):
    """K x 3 coordinates of every masked token by one linear layer.

    Args:
        num_neighbors (int): Points K of a token, as in the tokenizer.
        in_channels (int): Channels of the decoder. Defaults to 256.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_neighbors: int,
                 in_channels: int = 256,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.num_neighbors = num_neighbors
        self.proj = nn.Linear(in_channels, 3 * num_neighbors)

    def forward(self, decoded: Tensor) -> Tensor:
        """Predict coordinates (..., 3 K) from decoder tokens (..., C)."""
        return self.proj(decoded)

    def loss(self, decoded: Tensor, targets: Tensor,
             is_masked: Tensor) -> Dict[str, Tensor]:
        """Compare masked neighborhoods.

        Args:
            decoded (Tensor): (B, G, C) decoder tokens.
            targets (Tensor): (B, G, K, 3) metres from the centre.
            is_masked (Tensor): (B, G) bool, never True for padding.

        Returns:
            Dict[str, Tensor]: ``loss_chamfer``.

        Raises:
            ValueError: When the tokens have another number of points.
        """
        if targets.shape[2] != self.num_neighbors:
            raise ValueError(f'tokens have {targets.shape[2]} points, the '
                             f'head predicts {self.num_neighbors}: give '
                             'tokenizer and head the same num_neighbors')
        predictions = self(decoded[is_masked]).float()
        distances = chamfer_l2(
            predictions.unflatten(-1, (-1, 3)), targets[is_masked])
        losses = distances.new_zeros(is_masked.shape)
        losses = losses.masked_scatter(is_masked, distances)
        return dict(loss_chamfer=frame_mean(losses, is_masked))


@MODELS.register_module()
class PointMAE(MaskedPointPretrainer):
    """Reconstruct the neighborhoods of masked tokens."""

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare with the points that were hidden."""
        return self.head.loss(outputs.decoded, targets, outputs.is_masked)
