"""The transformer encoders of 3DETR and 3DETR-m.

Shapes: B scenes, G tokens, C channels, H heads.
"""
from copy import deepcopy
from typing import Optional, Sequence, Tuple

import numpy as np
import torch
from mmdet3d.models.layers import PointSAModule
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError
from .token_packing import find_packing


def outside_radius(xyz: Tensor, radius: float) -> Tensor:
    """Pairs of tokens that are too far apart to see each other.

    Args:
        xyz (Tensor): (B, G, 3) meters.
        radius (float): Meters.

    Returns:
        Tensor: (B, G, G) bool, True from ``radius`` on. A token always sees
        itself.
    """
    return torch.cdist(xyz, xyz) >= radius


@MODELS.register_module()
class ThreeDETREncoder(BaseModule):
    """Pre-norm self-attention without positions, as 3DETR has it.

    With radii it is the encoder of 3DETR-m: a layer attends within its radius
    only. It can take the place of the encoder in ``PointTokenBackbone``, for
    3DETR on tokens of a tokenizer.

    Args:
        embed_dims (int): Channels C. Defaults to 256.
        num_heads (int): Attention heads H. Defaults to 4.
        feedforward_dims (int): Hidden width of the MLPs. Defaults to 128.
        dropout (float): Defaults to 0.1.
        depth (int): Layers. Defaults to 3.
        radii (Optional[Sequence[float]]): Of each layer, meters; all tokens
            see each other when None. 3DETR-m has (0.16, 0.64, 1.44): its
            paper names 0.4, 0.8 and 1.2, its released code compares distances
            with the squares of these.
        downsample (Optional[dict]): Arguments of mmdet3d's
            ``PointSAModule`` after the first layer; see :meth:`encode`.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 num_heads: int = 4,
                 feedforward_dims: int = 128,
                 dropout: float = 0.1,
                 depth: int = 3,
                 radii: Optional[Sequence[float]] = None,
                 downsample: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if radii is not None and len(radii) != depth:
            raise UserError(f'{depth} layers need {depth} radii, got '
                            f'{len(radii)}')
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.radii = radii
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                embed_dims,
                num_heads,
                feedforward_dims,
                dropout,
                batch_first=True,
                norm_first=True) for _ in range(depth))
        self.downsample = None
        if downsample is not None:
            # mmdet3d's module changes the list of channels it is given.
            self.downsample = PointSAModule(**deepcopy(downsample))

    def init_weights(self) -> None:
        """Xavier for every matrix of the layers, as published."""
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self,
                x: Tensor,
                centers: Tensor,
                is_padding: Optional[Tensor] = None,
                num_tokens: Optional[np.ndarray] = None) -> Tensor:
        """Encode tokens without downsampling.

        Args:
            x (Tensor): (B, G, C) token features.
            centers (Tensor): (B, G, 3) token centers, meters.
            is_padding (Optional[Tensor]): (B, G) bool, True for tokens that
                are never attended to.
            num_tokens (Optional[np.ndarray]): (B,) tokens of each scene,
                where the CPU knows them.

        Returns:
            Tensor: (B, G, C).

        Raises:
            ValueError: When tokens are padded or the encoder downsamples.
        """
        if self.downsample is not None:
            raise UserError('the tokens of a tokenizer are not downsampled: '
                            'set downsample=None in the encoder')
        if is_padding is not None and find_packing(is_padding, num_tokens):
            raise UserError('ThreeDETREncoder takes no padding: set '
                            'split=True, num_tokens=N in the tokenizer')
        return self.encode(x, centers)[1]

    def encode(self, x: Tensor,
               xyz: Tensor) -> Tuple[Tensor, Tensor, Optional[Tensor]]:
        """Encode tokens.

        Args:
            x (Tensor): (B, G, C) token features.
            xyz (Tensor): (B, G, 3) their positions, meters.

        Returns:
            Tuple[Tensor, Tensor, Optional[Tensor]]: (B, G', 3) positions and
            (B, G', C) features of the tokens that are left, and (B, G') int64
            which of the input they are, None when all.
        """
        indices = None
        for i, layer in enumerate(self.layers):
            x = layer(x, src_mask=self._mask(i, xyz))
            if i == 0 and self.downsample is not None:
                xyz, features, indices = self.downsample(
                    xyz,
                    x.transpose(1, 2).contiguous())
                x, indices = features.transpose(1, 2), indices.long()
        return xyz, x, indices

    def _mask(self, layer: int, xyz: Tensor) -> Optional[Tensor]:
        """(B * H, G, G) bool, True where a token must not look."""
        if self.radii is None:
            return None
        mask = outside_radius(xyz, self.radii[layer])
        return mask.repeat_interleave(self.num_heads, dim=0)
