"""Sparse voxel U-Nets: Res16UNet34C, MinkUNet14A and their kind.

Shapes: V voxels, C channels.
"""
from typing import Optional, Sequence

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops.voxels import VoxelGrid
from ...store.errors import UserError
from .sparse_layers import (SparseBlocks, SparseConv, SparseStep, VoxelNorm,
                            voxel_levels)


@MODELS.register_module()
class SparseVoxelUNet(BaseModule):
    """A residual U-Net on occupied voxels (Choy et al., CVPR 2019).

    By default Res16UNet34C, the SR-UNet of PointContrast: four times half
    the resolution, and back with what was there before. Only voxels that hold
    points have features.

    Args:
        in_channels (int): Channels of the input. Defaults to 3.
        out_channels (Optional[int]): Channels of the last, linear layer.
            Defaults to None, which leaves it out.
        stem_channels (int): Channels of the first convolution. Defaults
            to 32.
        stem_kernel (int): Its size. Defaults to 3.
        encoder_channels (Sequence[int]): Channels after each step down.
            Defaults to (32, 64, 128, 256).
        decoder_channels (Sequence[int]): Channels after each step up.
            Defaults to (256, 128, 96, 96).
        encoder_blocks (Sequence[int]): Basic blocks after each step down.
            Defaults to (2, 3, 4, 6).
        decoder_blocks (Sequence[int]): Basic blocks after each step up.
            Defaults to (2, 2, 2, 2).
        momentum (float): Share of a batch in the statistics of norms.
            Defaults to 0.05, as in PointContrast's pre-training.
        init_cfg (Optional[dict]): As in mmengine.
    """

    def __init__(self,
                 in_channels: int = 3,
                 out_channels: Optional[int] = None,
                 stem_channels: int = 32,
                 stem_kernel: int = 3,
                 encoder_channels: Sequence[int] = (32, 64, 128, 256),
                 decoder_channels: Sequence[int] = (256, 128, 96, 96),
                 encoder_blocks: Sequence[int] = (2, 3, 4, 6),
                 decoder_blocks: Sequence[int] = (2, 2, 2, 2),
                 momentum: float = 0.05,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        depth = len(encoder_channels)
        if {len(decoder_channels),
                len(encoder_blocks),
                len(decoder_blocks)} != {depth}:
            raise UserError(
                f'SparseVoxelUNet has {depth} encoder_channels: '
                'decoder_channels, encoder_blocks and decoder_blocks must be '
                'as many')
        self.in_channels = in_channels
        self.stem = SparseConv(in_channels, stem_channels, stem_kernel)
        self.stem_norm = VoxelNorm(stem_channels, momentum=momentum)
        widths = (stem_channels, *encoder_channels)
        self.down, self.encode = nn.ModuleList(), nn.ModuleList()
        for width, wider, count in zip(widths, widths[1:], encoder_blocks):
            self.down.append(SparseStep(width, width, momentum))
            self.encode.append(SparseBlocks(width, wider, count, momentum))
        self.up, self.decode = nn.ModuleList(), nn.ModuleList()
        width = widths[-1]
        for skip, mine, count in zip(widths[-2::-1], decoder_channels,
                                     decoder_blocks):
            self.up.append(SparseStep(width, mine, momentum))
            self.decode.append(
                SparseBlocks(mine + skip, mine, count, momentum))
            width = mine
        self.embed_dims = out_channels or width
        self.head = nn.Identity() if out_channels is None else nn.Linear(
            width, out_channels)

    def forward(self, features: Tensor, grid: VoxelGrid) -> Tensor:
        """Encode the voxels of a batch.

        Args:
            features (Tensor): (V, in_channels).
            grid (VoxelGrid): V voxels.

        Returns:
            Tensor: (V, ``embed_dims``): out_channels, or without the last
            layer the decoder's.
        """
        grids, maps = voxel_levels(grid, len(self.down))
        features = self.stem_norm(self.stem(features, grid)).relu()
        skips = []
        for level, (down, encode) in enumerate(zip(self.down, self.encode)):
            skips.append(features)
            features = encode(down(features, maps[level]), grids[level + 1])
        for up, decode in zip(self.up, self.decode):
            level = len(skips) - 1
            features = up(features, maps[level].reversed())
            features = decode(
                torch.cat((features, skips.pop()), dim=1), grids[level])
        return self.head(features)
