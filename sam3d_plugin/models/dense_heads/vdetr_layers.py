"""Position bias and decoder layer of V-DETR.

Axes: B scenes, Q queries, G tokens, C channels, H heads, T cells of a table
along an axis.
"""
import math
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...store.errors import UserError
from .three_detr_layers import ThreeDETRDecoderLayer

# Which end of a box each of its vertices is at, along x, y and z.
VERTICES = tuple((x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1))


def offsets_in_boxes(boxes: Tensor, xyz: Tensor) -> Tensor:
    """Positions of all tokens seen from the center of every box.

    Args:
        boxes (Tensor): (B, Q, 7) geometric center and size in meters, yaw in
            radians.
        xyz (Tensor): (B, G, 3) meters, in the same frame.

    Returns:
        Tensor: (B, Q, G, 3) meters along the axes of the box. Moving or
        turning boxes and tokens together about z changes nothing.
    """
    x, y, z = (xyz[:, None] - boxes[:, :, None, :3]).unbind(-1)
    cos, sin = boxes[..., 6:].cos(), boxes[..., 6:].sin()
    return torch.stack((x * cos + y * sin, y * cos - x * sin, z), dim=-1)


def signed_log(offsets: Tensor) -> Tensor:
    """Compress offsets, so that a table is finest near 0.

    Args:
        offsets (Tensor): Meters.

    Returns:
        Tensor: The same shape: the sign times log8(512 |offset| + 1), an odd
        function with 4 at almost 8 m (released code; the paper has
        log(|offset| + 1)).
    """
    return offsets.sign() * torch.log2(512 * offsets.abs() + 1) / 3


class VertexPositionBias(nn.Module):
    """3D vertex relative position encoding (paper, section 3.2).

    An MLP for each of the 8 vertices of a box turns the offset of a token
    from the vertex into a bias for every head. It is evaluated on a small
    table of offsets only, which is read with linear interpolation.

    Args:
        num_heads (int): Attention heads H.
        hidden_dims (int): Width of the MLPs. Defaults to 128.
        table_size (int): Entries T of a table along each axis. Defaults to
            10.
        limit (float): The table covers [-limit, limit] of
            :func:`signed_log`; farther tokens get its border. Defaults to 4.
    """

    def __init__(self,
                 num_heads: int,
                 hidden_dims: int = 128,
                 table_size: int = 10,
                 limit: float = 4.) -> None:
        super().__init__()
        self.limit = limit
        self.mlps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(3, hidden_dims), nn.ReLU(
                    inplace=True), nn.Linear(hidden_dims, num_heads))
            for _ in VERTICES)
        steps = torch.linspace(-limit, limit, table_size)
        z, y, x = torch.meshgrid(steps, steps, steps, indexing='ij')
        self.entries: Tensor
        self.register_buffer(
            'entries', torch.stack((x, y, z), dim=-1), persistent=False)

    def tables(self) -> Tensor:
        """Evaluate the MLPs.

        Returns:
            Tensor: (8, H, T, T, T) a table for each vertex, with the axes in
            the order z, y, x, as ``grid_sample`` reads x from the last one.
        """
        tables = torch.stack([mlp(self.entries) for mlp in self.mlps])
        return tables.permute(0, 4, 1, 2, 3)

    def forward(self, boxes: Tensor, xyz: Tensor) -> Tensor:
        """Bias of every token for every query.

        Args:
            boxes (Tensor): (B, Q, 7) boxes of the queries, meters, radians.
            xyz (Tensor): (B, G, 3) positions of the tokens, meters.

        Returns:
            Tensor: (B, H, Q, G) float32, the sum over the vertices.
        """
        boxes, xyz = boxes.float(), xyz.float()
        centered = offsets_in_boxes(boxes, xyz)
        half = boxes[:, :, None, 3:6] / 2
        # A vertex is at the lower or the upper end of every axis.
        ends = torch.stack((centered + half, centered - half))
        ends = signed_log(ends) / self.limit
        bias = xyz.new_zeros(())
        for table, (x, y, z) in zip(self.tables().float(), VERTICES):
            grid = torch.stack(
                (ends[x, ..., 0], ends[y, ..., 1], ends[z, ..., 2]), -1)
            bias = bias + F.grid_sample(
                table[None],
                grid.reshape(1, 1, 1, -1, 3),
                padding_mode='border',
                align_corners=True)
        return bias.reshape(-1, *centered.shape[:3]).transpose(0, 1)


class MultiQueryAttention(nn.Module):
    """Attention whose heads have queries of their own, but one key and value.

    Called as ``nn.MultiheadAttention`` with ``batch_first=True``.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Heads H, a divisor of C.
        dropout (float): Of the attention weights.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 dropout: float) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise UserError(f'{embed_dims} channels do not fit {num_heads} '
                            'heads: change num_heads of the decoder')
        self.num_heads = num_heads
        head_dims = embed_dims // num_heads
        self.query_projection = nn.Linear(embed_dims, embed_dims)
        self.key_projection = nn.Linear(embed_dims, head_dims)
        self.value_projection = nn.Linear(embed_dims, head_dims)
        self.output_projection = nn.Linear(embed_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)

    def forward(self,
                query: Tensor,
                key: Tensor,
                value: Tensor,
                attn_mask: Optional[Tensor] = None,
                need_weights: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
        """Attend.

        Args:
            query (Tensor): (B, Q, C).
            key (Tensor): (B, G, C).
            value (Tensor): (B, G, C).
            attn_mask (Optional[Tensor]): (B, H, Q, G) added to the logits.
            need_weights (bool): Whether to return the attention weights.
                Defaults to False.

        Returns:
            Tuple[Tensor, Optional[Tensor]]: (B, Q, C), and (B, H, Q, G)
            weights where they are asked for.
        """
        queries = self.query_projection(query).unflatten(
            -1, (self.num_heads, -1)).transpose(1, 2)
        keys = self.key_projection(key)[:, None].transpose(2, 3)
        logits = queries @ keys / math.sqrt(keys.shape[2])
        if attn_mask is not None:
            logits = logits + attn_mask
        weights = self.dropout(logits.softmax(dim=-1))
        mixed = weights @ self.value_projection(value)[:, None]
        output = self.output_projection(mixed.transpose(1, 2).flatten(2))
        return output, weights if need_weights else None


class VDETRDecoderLayer(ThreeDETRDecoderLayer):
    """3DETR's layer, whose cross-attention sees where the boxes are.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Attention heads H. Defaults to 4.
        feedforward_dims (int): Hidden width of the MLP. Defaults to 256.
        dropout (float): Of attention weights, hidden units and residuals.
            Defaults to 0.1.
    """

    def __init__(self,
                 embed_dims: int,
                 num_heads: int = 4,
                 feedforward_dims: int = 256,
                 dropout: float = 0.1) -> None:
        super().__init__(embed_dims, num_heads, feedforward_dims, dropout)
        self.cross_attention = MultiQueryAttention(embed_dims, num_heads,
                                                   dropout)
        self.position_bias = VertexPositionBias(num_heads)
