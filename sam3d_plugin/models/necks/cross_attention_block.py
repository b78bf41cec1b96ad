"""Queries that look at tokens.

Shapes: B scenes, Q queries, V tokens, C channels.
"""
import torch.nn.functional as F
from torch import Tensor, nn


class CrossAttentionBlock(nn.Module):
    """Pre-norm cross-attention and MLP, each with a residual.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Attention heads, a divisor of C.
        mlp_ratio (float): Width of the MLP over C.
    """

    def __init__(self, embed_dims: int, num_heads: int,
                 mlp_ratio: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        hidden_dims = int(embed_dims * mlp_ratio)
        self.query_norm = nn.LayerNorm(embed_dims)
        self.token_norm = nn.LayerNorm(embed_dims)
        self.query = nn.Linear(embed_dims, embed_dims)
        self.key_value = nn.Linear(embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.mlp_norm = nn.LayerNorm(embed_dims)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, hidden_dims), nn.GELU(),
            nn.Linear(hidden_dims, embed_dims))

    def forward(self, queries: Tensor, tokens: Tensor,
                is_padding: Tensor) -> Tensor:
        """Mix tokens into queries.

        Args:
            queries (Tensor): (B, Q, C).
            tokens (Tensor): (B, V, C).
            is_padding (Tensor): (B, V) bool, True for tokens that are never
                looked at.

        Returns:
            Tensor: (B, Q, C), without a last norm.
        """
        tokens = tokens.masked_fill(is_padding[..., None], 0)
        key, value = self.key_value(self.token_norm(tokens)).chunk(2, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.query(self.query_norm(queries)), key, value))
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=~is_padding[:, None, None, :])
        queries = queries + self.proj(mixed.transpose(1, 2).flatten(2))
        return queries + self.mlp(self.mlp_norm(queries))
