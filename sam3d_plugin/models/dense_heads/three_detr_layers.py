"""Position embedding, decoder and MLPs of 3DETR.

Axes: L decoder layers, B scenes, Q queries, G tokens, C channels.
"""
import math
from typing import List, Optional, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError


def normalize_positions(xyz: Tensor, scene_min: Tensor,
                        scene_max: Tensor) -> Tensor:
    """Positions as fractions of the scene.

    Args:
        xyz (Tensor): (B, G, 3) meters.
        scene_min (Tensor): (B, 3) lowest coordinates of the scene's points.
        scene_max (Tensor): (B, 3) highest ones.

    Returns:
        Tensor: (B, G, 3), 0 at the minimum and 1 at the maximum. Positions
        outside the scene are outside [0, 1].
    """
    size = scene_size(scene_min, scene_max)
    return (xyz - scene_min[:, None]) / size[:, None]


def scene_size(scene_min: Tensor, scene_max: Tensor) -> Tensor:
    """Size of the scene, at least 0.1 m along every axis, as in 3DETR.

    Args:
        scene_min (Tensor): (..., 3) meters.
        scene_max (Tensor): (..., 3) meters.

    Returns:
        Tensor: (..., 3) meters.
    """
    return (scene_max - scene_min).clamp(min=0.1)


class FourierPositionEmbedding(nn.Module):
    """Sine and cosine of random projections of normalised positions.

    The frequencies are drawn once and are part of the checkpoint.

    Args:
        embed_dims (int): Channels C, an even number.
        scale (float): Standard deviation of the frequencies, in periods per
            scene. Defaults to 1.
    """

    def __init__(self, embed_dims: int, scale: float = 1.) -> None:
        super().__init__()
        if embed_dims % 2:
            raise UserError('half of the channels are sines, half cosines: '
                            f'embed_dims must be even, got {embed_dims}')
        self.frequencies: Tensor
        self.register_buffer('frequencies',
                             torch.randn(3, embed_dims // 2) * scale)

    def forward(self, xyz: Tensor, scene_min: Tensor,
                scene_max: Tensor) -> Tensor:
        """Embed positions.

        Args:
            xyz (Tensor): (B, G, 3) meters.
            scene_min (Tensor): (B, 3) lowest coordinates of the scene.
            scene_max (Tensor): (B, 3) highest ones.

        Returns:
            Tensor: (B, G, C).
        """
        phase = 2 * math.pi * normalize_positions(xyz, scene_min, scene_max)
        phase = phase @ self.frequencies
        return torch.cat((phase.sin(), phase.cos()), dim=-1)


class PointwiseMLP(nn.Sequential):
    """Linear layers over the last axis, each hidden one with BatchNorm.

    Args:
        channels (Sequence[int]): Input, hidden and output channels.
        dropout (float): After each hidden layer. Defaults to 0.
        activate_output (bool): Whether the output gets BatchNorm and ReLU
            like the hidden layers. Defaults to False.
    """

    def __init__(self,
                 channels: Sequence[int],
                 dropout: float = 0.,
                 activate_output: bool = False) -> None:
        layers: List[nn.Module] = []
        last = len(channels) - 2
        for i, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
            is_activated = i < last or activate_output
            layers.append(nn.Linear(inputs, outputs, bias=not is_activated))
            if is_activated:
                layers += [nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
            if i < last and dropout:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers.

        Args:
            x (Tensor): (..., inputs).

        Returns:
            Tensor: (..., outputs).
        """
        rows = super().forward(x.reshape(-1, x.shape[-1]))
        return rows.reshape(*x.shape[:-1], -1)


class ThreeDETRDecoderLayer(BaseModule):
    """Pre-norm self-attention, cross-attention and MLP.

    Positions are added to queries and keys in front of every attention, and
    never to values.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Attention heads.
        feedforward_dims (int): Hidden width of the MLP.
        dropout (float): Of attention weights, hidden units and residuals.
    """

    def __init__(self, embed_dims: int, num_heads: int, feedforward_dims: int,
                 dropout: float) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(
            embed_dims, num_heads, dropout, batch_first=True)
        self.cross_attention: nn.Module = nn.MultiheadAttention(
            embed_dims, num_heads, dropout, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, feedforward_dims), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(feedforward_dims, embed_dims))
        self.norms = nn.ModuleList(nn.LayerNorm(embed_dims) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self,
                x: Tensor,
                memory: Tensor,
                query_position: Tensor,
                memory_position: Tensor,
                bias: Optional[Tensor] = None) -> Tensor:
        """Update the queries.

        Args:
            x (Tensor): (B, Q, C) contents of the queries.
            memory (Tensor): (B, G, C) tokens.
            query_position (Tensor): (B, Q, C).
            memory_position (Tensor): (B, G, C).
            bias (Optional[Tensor]): Added to the logits of the
                cross-attention, in its form.

        Returns:
            Tensor: (B, Q, C).
        """
        content = self.norms[0](x)
        query = content + query_position
        x = x + self.dropout(
            self.self_attention(query, query, content, need_weights=False)[0])
        query = self.norms[1](x) + query_position
        x = x + self.dropout(
            self.cross_attention(
                query,
                memory + memory_position,
                memory,
                attn_mask=bias,
                need_weights=False)[0])
        return x + self.dropout(self.mlp(self.norms[2](x)))


class ThreeDETRDecoder(BaseModule):
    """Decoder layers, each of which gives box features.

    Args:
        embed_dims (int): Channels C. Defaults to 256.
        num_layers (int): Layers L. Defaults to 8.
        num_heads (int): Attention heads. Defaults to 4.
        feedforward_dims (int): Hidden width of the MLPs. Defaults to 256.
        dropout (float): Defaults to 0.1.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 num_layers: int = 8,
                 num_heads: int = 4,
                 feedforward_dims: int = 256,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.layers = nn.ModuleList(
            ThreeDETRDecoderLayer(embed_dims, num_heads, feedforward_dims,
                                  dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dims)

    def init_weights(self) -> None:
        """Xavier for every matrix, as published."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, memory: Tensor, query_position: Tensor,
                memory_position: Tensor) -> Tensor:
        """Decode the queries.

        Args:
            x (Tensor): (B, Q, C) first contents of the queries.
            memory (Tensor): (B, G, C) tokens.
            query_position (Tensor): (B, Q, C).
            memory_position (Tensor): (B, G, C).

        Returns:
            Tensor: (L, B, Q, C) box features after every layer, normalised.
        """
        outputs = []
        for layer in self.layers:
            x = layer(x, memory, query_position, memory_position)
            outputs.append(self.norm(x))
        return torch.stack(outputs)
