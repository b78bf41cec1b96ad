"""PiMAE's networks: image branch, joint encoder and decoder.

Chen et al., PiMAE, CVPR 2023, section 3.

Shapes: B scenes, G point tokens, P patches of an image (h rows of w), V
visible ones, S pixels of a patch's side, C D channels.
"""
from typing import Optional, Sequence, Tuple

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.backbones.plain_point_transformer import \
    TransformerBlock
from sam3d_plugin.models.backbones.plain_vision_transformer import patch_grid
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.models.pretrainers.masking import VisibleTokens
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.structures import PointTokens


def patchify(images: Tensor, side: int) -> Tensor:
    """Patches (B, P, 3 S S) of images (B, 3, H, W), row by row."""
    height, width = patch_grid(images, side)
    x = images.unflatten(3, (width, side)).unflatten(2, (height, side))
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpatchify(patches: Tensor, grid: Tuple[int, int]) -> Tensor:
    """Images (B, 3, H, W) of patches (B, P, 3 S S); undoes ``patchify``."""
    side = int((patches.shape[2] // 3)**.5)
    x = patches.unflatten(2, (3, side, side)).unflatten(1, grid)
    return x.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def grid_positions(like: Tensor, grid: Tuple[int, int]) -> Tensor:
    """Sines and cosines (P, C) of row and column, as in MAE.

    ``like`` (..., C) gives channels, a multiple of 4, and device.
    """
    channels = like.shape[-1]
    powers = torch.arange(channels // 4, device=like.device) / (channels // 4)
    frequency = 10000.**-powers
    rows, columns = (
        torch.arange(n, device=like.device)[:, None] * frequency for n in grid)
    row, column = (
        torch.cat((x.sin(), x.cos()), dim=1) for x in (rows, columns))
    height, width = grid
    return torch.cat(
        (column.repeat(height, 1), row.repeat_interleave(width, dim=0)), dim=1)


def take(values: Tensor, indices: Tensor) -> Tensor:
    """Items (B, V, C) at indices (B, V) of values (B, P, C)."""
    return values.gather(1, indices[..., None].expand(-1, -1, values.shape[2]))


def choose_patches(is_avoided: Tensor, ratio: float,
                   generators: Sequence[np.random.Generator]) -> Tensor:
    """Choose the patches that the encoder sees.

    ceil((1 - ratio) P) of an image: random ones that are not avoided, and
    only where these are too few, avoided ones too.

    Args:
        is_avoided (Tensor): (B, P) bool.
        ratio (float): Share of hidden patches, in [0, 1).
        generators (Sequence[np.random.Generator]): One per image.

    Returns:
        Tensor: (B, V) int64 in rising order.
    """
    num_patches = is_avoided.shape[1]
    num_hidden = int(ratio * num_patches + 1e-6)
    keys = np.stack(
        [generator.random(num_patches) for generator in generators])
    order = (to_device(keys, is_avoided.device) + is_avoided).argsort(dim=1)
    return order[:, :num_patches - num_hidden].sort(dim=1)[0]


@MODELS.register_module()
class ImageBranch(BaseModule):
    """The blocks of a vision transformer on the visible patches of images.

    Args:
        transformer (dict): Config of a ``PlainVisionTransformer``. It has no
            class token here, and positions are sines.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 transformer: dict,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        model = MODELS.build(transformer)
        self.patch_size = model.patch_size
        self.patch_embed = model.patch_embed
        self.blocks = model.blocks
        self.norm = model.norm

    def forward(self, images: Tensor, visible: Tensor) -> Tensor:
        """Encode patches.

        Args:
            images (Tensor): (B, 3, H, W), standardized.
            visible (Tensor): (B, V) int64, the patches to see.

        Returns:
            Tensor: (B, V, C).

        Raises:
            UserError: When a side is not a multiple of the patch.
        """
        grid = patch_grid(images, self.patch_size)
        x = self.patch_embed['proj'](images).flatten(2).transpose(1, 2)
        x = take(x + grid_positions(x, grid), visible)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


@MODELS.register_module()
class JointTransformer(BaseModule):
    """Blocks over the tokens of both kinds, each with a mark of its kind.

    Args:
        embed_dims (int): Channels C. Defaults to 256.
        depth (int): Number of blocks. Defaults to 3.
        num_heads (int): Attention heads. Defaults to 4.
        mlp_ratio (float): Width of the MLP over C. Defaults to 2.
        drop_path (float): Drop path rate. Defaults to 0.1.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 depth: int = 3,
                 num_heads: int = 4,
                 mlp_ratio: float = 2.,
                 drop_path: float = 0.1,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.modality = nn.Parameter(.02 * torch.randn(2, embed_dims))
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dims, num_heads, mlp_ratio, drop_path)
            for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims)

    def forward(self, points: Tensor,
                patches: Tensor) -> Tuple[Tensor, Tensor]:
        """Mix point tokens (B, G, C) and patches (B, P, C)."""
        x = torch.cat((points + self.modality[0], patches + self.modality[1]),
                      dim=1)
        for block in self.blocks:
            x = block(x)
        mixed = self.norm(x)
        return mixed[:, :points.shape[1]], mixed[:, points.shape[1]:]


@MODELS.register_module()
class PointImageDecoder(BaseModule):
    """A joint block, then blocks for each kind, over all tokens and patches.

    Args:
        in_channels (int): Channels C of the encoder. Defaults to 256.
        embed_dims (int): Channels D. Defaults to 192.
        depth (int): Blocks of either kind. Defaults to 2.
        joint_depth (int): Joint blocks before. Defaults to 1.
        num_heads (int): Attention heads. Defaults to 3.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 in_channels: int = 256,
                 embed_dims: int = 192,
                 depth: int = 2,
                 joint_depth: int = 1,
                 num_heads: int = 3,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        sizes = dict(embed_dims=embed_dims, num_heads=num_heads)
        self.enter = nn.Linear(in_channels, embed_dims)
        self.mask_tokens = nn.Parameter(.02 * torch.randn(2, embed_dims))
        self.joint = JointTransformer(depth=joint_depth, **sizes)
        self.points = MODELS.build(
            dict(type='PlainPointTransformer', depth=depth, **sizes))
        model = MODELS.build(
            dict(type='PlainVisionTransformer', depth=depth, **sizes))
        self.patch_blocks, self.patch_norm = model.blocks, model.norm

    def forward(self, encoded: Tensor, visible: VisibleTokens,
                tokens: PointTokens, patches: Tensor, visible_patches: Tensor,
                grid: Tuple[int, int]) -> Tuple[Tensor, Tensor]:
        """Decode all tokens and patches from the visible ones.

        Args:
            encoded (Tensor): (B, V, C) visible tokens; none is padding.
            visible (VisibleTokens): Their places.
            tokens (PointTokens): All G tokens.
            patches (Tensor): (B, V', C) visible patches.
            visible_patches (Tensor): (B, V') int64, their places.
            grid (Tuple[int, int]): Rows and columns of all P patches.

        Returns:
            Tuple[Tensor, Tensor]: (B, G, D) and (B, P, D).
        """
        num_tokens = tokens.centers.shape[1]
        points = self._fill(encoded, visible.indices, 0, num_tokens)
        images = self._fill(patches, visible_patches, 1, grid[0] * grid[1])
        positions = grid_positions(images, grid)
        points, images = self.joint(
            points + self.points.position_embedding(tokens.centers),
            images + positions)
        points = self.points(points, tokens.centers)
        images = images + positions
        for block in self.patch_blocks:
            images = block(images)
        return points, self.patch_norm(images)

    def _fill(self, features: Tensor, places: Tensor, modality: int,
              size: int) -> Tensor:
        """Features at their places, mask tokens elsewhere: (B, size, D)."""
        values = self.enter(features)
        mask_token = self.mask_tokens[modality].to(values.dtype)
        places = places[..., None].expand_as(values)
        return mask_token.expand(len(values), size,
                                 -1).scatter(1, places, values)
