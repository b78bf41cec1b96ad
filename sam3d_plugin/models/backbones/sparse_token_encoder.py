"""Tokens that read a sparse voxel U-Net.

Shapes: B scenes, N points, G tokens, C channels.
"""
from typing import Optional

from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.ops.regions import segment_mean
from sam3d_plugin.structures import PointTokens
from .sparse_unet_backbone import SparseUNetBackbone
from .token_encoder import TokenBackbone


@MODELS.register_module()
class SparseTokenEncoder(TokenBackbone):
    """A sparse U-Net whose features are pooled over the points of tokens.

    With one SAM token for each region, methods that teach tokens of regions
    teach the voxels of a region together.

    Args:
        tokenizer (dict): Config of the tokenizer.
        voxel_size (float): Edge of a voxel, meters.
        unet (dict): Config of a ``SparseVoxelUNet``.
        region_column (int): See :class:`TokenBackbone`.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 tokenizer: dict,
                 voxel_size: float,
                 unet: dict,
                 region_column: int = 3,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(tokenizer, region_column, init_cfg)
        self.voxels = SparseUNetBackbone(voxel_size, unet)

    def encode_tokens(self, xyz: Tensor, tokens: PointTokens) -> Tensor:
        """Mean features (B, G, C) of tokens of points (B, N, 3)."""
        features = self.voxels.point_features(xyz).flatten(0, 1)
        members = features.index_select(0, tokens.member_points)
        means = segment_mean(members, tokens.member_offsets)
        return means.unflatten(0, tokens.is_padding.shape)

    def point_features(self, points: Tensor) -> Tensor:
        """Features (B, N, C) of points (B, N, 3 + D), of their voxels."""
        return self.voxels.point_features(points)

    def summary(self) -> str:
        """Return tokenizer and voxels in one line for the log."""
        return f'{super().summary()} · {self.voxels.summary()}'
