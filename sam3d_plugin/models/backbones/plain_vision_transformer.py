"""A plain vision transformer whose weights are those of timm's models.

Shapes: B images, H W pixels, h w patches, T tokens, C channels.
"""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError


def patch_grid(images: Tensor, side: int) -> Tuple[int, int]:
    """Count the patches of images.

    Args:
        images (Tensor): (B, 3, H, W).
        side (int): Of a patch, pixels.

    Returns:
        Tuple[int, int]: Rows h and columns w.

    Raises:
        UserError: When H or W is not a multiple of the side.
    """
    height, width = images.shape[-2:]
    if height % side or width % side:
        raise UserError(f'images of {width}x{height} have no patches of '
                        f'{side} pixels: resize them to multiples of it, as '
                        'LoadFrameImage does with size')
    return height // side, width // side


class _Attention(nn.Module):
    """Self-attention of tokens (B, T, C)."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class _MLP(nn.Module):
    """Two layers on each token."""

    def __init__(self, embed_dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _LayerScale(nn.Module):
    """A learnt factor per channel."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Block(nn.Module):
    """Pre-norm self-attention and MLP, each with a residual."""

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float,
                 layer_scale: bool, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = _Attention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = _MLP(embed_dims, int(embed_dims * mlp_ratio))
        self.ls1, self.ls2 = (
            _LayerScale(embed_dims) if layer_scale else nn.Identity()
            for _ in range(2))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x))))
        return x + self.drop_path(self.ls2(self.mlp(self.norm2(x))))


@MODELS.register_module()
class PlainVisionTransformer(BaseModule):
    """ViT (Dosovitskiy et al., ICLR 2021), parameters named as in timm.

    ``tools/preparation/export_vit.py`` writes its weights.

    Args:
        embed_dims (int): Channels C. Defaults to 768.
        depth (int): Number of blocks. Defaults to 12.
        num_heads (int): Attention heads. Defaults to 12.
        mlp_ratio (float): Width of the MLP over C. Defaults to 4.
        patch_size (int): Side of a patch, pixels. Defaults to 16.
        image_size (int): Side of the images that the stored position
            embedding is for, pixels. Defaults to 224.
        layer_scale (bool): Whether branches have factors, as in DINOv2.
            Defaults to False.
        drop_path (float): Drop path rate, the same in every block. Defaults
            to 0.
        init_cfg (Optional[dict]): Initialization config. By default linear
            layers are truncated normal with std 0.02.
    """

    def __init__(
        self,
        embed_dims: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.,
        patch_size: int = 16,
        image_size: int = 224,
        layer_scale: bool = False,
        drop_path: float = 0.,
        init_cfg: Optional[dict] = dict(
            type='TruncNormal', layer='Linear', std=.02)
    ) -> None:
        super().__init__(init_cfg)
        # Of the blocks; files of weights name theirs.
        self.sizes = dict(
            embed_dims=embed_dims,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            layer_scale=layer_scale)
        self.embed_dims = embed_dims
        self.patch_size = patch_size
        self.side = image_size // patch_size
        self.patch_embed = nn.ModuleDict(
            dict(proj=nn.Conv2d(3, embed_dims, patch_size, patch_size)))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.pos_embed = nn.Parameter(
            .02 * torch.randn(1, 1 + self.side**2, embed_dims))
        self.blocks = nn.ModuleList(
            _Block(embed_dims, num_heads, mlp_ratio, layer_scale, drop_path)
            for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images.

        Args:
            images (Tensor): (B, 3, H, W), standardized as the weights want.

        Returns:
            Tensor: (B, 1 + h w, C) after the last norm, the class token
            first.

        Raises:
            ValueError: When a side is not a multiple of the patch.
        """
        place = self._positions(*patch_grid(images, self.patch_size))
        x = self.patch_embed['proj'](images).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1)
        x = x + place
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def _positions(self, height: int, width: int) -> Tensor:
        """Position embedding (1, 1 + h w, C), resized if need be."""
        if height == width == self.side:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].transpose(1, 2).unflatten(
            2, (self.side, self.side))
        grid = F.interpolate(
            grid, (height, width), mode='bicubic', antialias=True)
        return torch.cat(
            (self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)), dim=1)
