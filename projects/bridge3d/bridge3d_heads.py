"""What Bridge3D predicts beside neighborhoods, and how it is compared.

Shapes: B frames, G tokens, V visible tokens, C channels.
"""
from typing import Optional

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import check_width, frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.models.losses import DistillLoss
from sam3d_plugin.models.necks import CrossAttentionBlock


@MODELS.register_module()
class SceneTokenHead(BaseModule):
    """A learnt token that reads the visible ones and becomes a feature.

    It does not train the encoder.

    Args:
        out_channels (int): Channels of the frame's feature.
        in_channels (int): Channels C. Defaults to 256.
        num_heads (int): Attention heads. Defaults to 4.
        mlp_ratio (float): Width of the MLP over C. Defaults to 2.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 out_channels: int,
                 in_channels: int = 256,
                 num_heads: int = 4,
                 mlp_ratio: float = 2.,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.scene_token = nn.Parameter(torch.empty(in_channels))
        nn.init.trunc_normal_(self.scene_token, std=.02)
        self.block = CrossAttentionBlock(in_channels, num_heads, mlp_ratio)
        self.norm = nn.LayerNorm(in_channels)
        self.proj = nn.Linear(in_channels, out_channels)
        self.item_loss = DistillLoss()

    def forward(self, encoded: Tensor, is_padding: Tensor) -> Tensor:
        """Predict the frame's feature.

        Args:
            encoded (Tensor): (B, V, C) encoder features.
            is_padding (Tensor): (B, V) bool.

        Returns:
            Tensor: (B, out_channels).
        """
        token = self.scene_token.expand(len(encoded), 1, -1)
        token = self.block(token, encoded.detach(), is_padding)
        return self.proj(self.norm(token[:, 0]))

    def loss(self, encoded: Tensor, is_padding: Tensor, targets: Tensor,
             name: str) -> Tensor:
        """Smooth-L1 () to the frames' features (B, C'), named for errors."""
        check_width(targets, self.proj.out_features, name, 'SceneTokenHead')
        return self.item_loss(self(encoded, is_padding), targets).mean()


@MODELS.register_module()
class RegionPoolHead(BaseModule):
    """Features of regions from tokens in them, by one linear layer.

    Args:
        out_channels (int): Channels of a region's feature.
        in_channels (int): Channels C. Defaults to 256.
        pool (bool): Whether the tokens of a region predict its feature
            together, by their mean; otherwise each on its own. Defaults to
            True.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 out_channels: int,
                 in_channels: int = 256,
                 pool: bool = True,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.pool = pool
        self.proj = nn.Linear(in_channels, out_channels)
        self.item_loss = DistillLoss()

    def loss(self, decoded: Tensor, region_ids: Tensor, is_counted: Tensor,
             targets: Tensor, name: str) -> Tensor:
        """Compare tokens, or the means of regions, with their features.

        Args:
            decoded (Tensor): (B, G, C) tokens.
            region_ids (Tensor): (B, G) int64, the region of each.
            is_counted (Tensor): (B, G) bool.
            targets (Tensor): (B, G, C') feature of its region.
            name (str): What the features are, for errors.

        Returns:
            Tensor: () mean over tokens, or regions, of a frame, then over
            frames.
        """
        check_width(targets, self.proj.out_features, name, 'RegionPoolHead')
        if not self.pool:
            losses = self.item_loss(self.proj(decoded), targets)
            return frame_mean(losses, is_counted)
        pooled, counts = pool_regions(decoded, region_ids, is_counted)
        losses = self.item_loss(self.proj(pooled), targets)
        # Each token of a region stands for its share of it.
        shares = is_counted / counts.clamp(min=1)
        totals = (losses.masked_fill(~is_counted, 0) * shares).sum(1)
        return (totals / shares.sum(1).clamp(min=1)).mean()


def pool_regions(features: Tensor, region_ids: Tensor,
                 is_counted: Tensor) -> tuple:
    """Mean of the counted tokens in the region of each token.

    Args:
        features (Tensor): (B, G, C).
        region_ids (Tensor): (B, G) int64.
        is_counted (Tensor): (B, G) bool.

    Returns:
        tuple: Means (B, G, C) float32, and the number (B, G) of tokens that
        they are of; 0 without any.
    """
    is_mate = region_ids[:, :, None] == region_ids[:, None]
    is_mate = (is_mate & is_counted[:, None]).float()
    counts = is_mate.sum(-1)
    features = features.float().masked_fill(~is_counted[..., None], 0)
    return is_mate @ features / counts.clamp(min=1)[..., None], counts
