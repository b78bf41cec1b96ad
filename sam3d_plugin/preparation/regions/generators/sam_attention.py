"""Attention between few tokens and many pixels, with fewer multiplications.

SAM's decoder projects the pixels of every prompt to keys, values or queries,
although a prompt has only T = 7 tokens. A projection is linear, so it can be
moved to the tokens' side: q (W k) = (q W) k. Then pixels are multiplied with
h T = 56 folded tokens instead of with the 128 rows of a projection and again
with the tokens. The result is the same up to rounding.

Axis legend: P prompts, T tokens, N pixels, h heads, d channels of a head, C
channels.
"""
import math

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn


class FoldedAttention(nn.Module):
    """The same as an attention of SAM's decoder, when one side is short.

    Args:
        attention (Attention): Whose weights are used.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.heads = attention.num_heads
        self.scale = 1 / math.sqrt(attention.internal_dim // self.heads)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend.

        Args:
            q (Tensor): (P, T, C) or (P, N, C) what asks.
            k (Tensor): (P, N, C) or (P, T, C) what is compared.
            v (Tensor): The same shape, what is taken.

        Returns:
            Tensor: The shape of ``q``. P may be 1 on one side.
        """
        if q.shape[1] < k.shape[1]:
            return self._tokens_ask(q, k, v)
        return self._pixels_ask(q, k, v)

    def _tokens_ask(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        project = self.attention
        query = self._split(project.q_proj(q))
        # The bias of the keys shifts all scores of a token alike.
        folded = torch.einsum('pthd,hdc->phtc', query * self.scale,
                              self._by_head(project.k_proj.weight))
        scores = folded.flatten(1, 2) @ k.transpose(1, 2)
        seen = (scores.softmax(dim=-1) @ v).unflatten(1, (self.heads, -1))
        values = torch.einsum('phtc,hdc->pthd', seen,
                              self._by_head(project.v_proj.weight))
        return project.out_proj(values.flatten(2) + project.v_proj.bias)

    def _pixels_ask(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        project = self.attention
        key = self._split(project.k_proj(k)) * self.scale
        folded = torch.einsum('pthd,hdc->phtc', key,
                              self._by_head(project.q_proj.weight))
        offset = torch.einsum('pthd,hd->pht', key,
                              self._by_head(project.q_proj.bias))
        scores = q @ folded.flatten(1, 2).transpose(1, 2)
        scores = scores + offset.flatten(1)[:, None]
        weights = scores.unflatten(2, (self.heads, -1)).softmax(dim=-1)
        values = torch.einsum(
            'pthd,chd->phtc', self._split(project.v_proj(v)),
            project.out_proj.weight.unflatten(1, (self.heads, -1)))
        return weights.flatten(2) @ values.flatten(1, 2) + (
            project.out_proj.bias)

    def _split(self, tokens: Tensor) -> Tensor:
        """(P, T, h d) to (P, T, h, d)."""
        return tokens.unflatten(2, (self.heads, -1))

    def _by_head(self, weight: Tensor) -> Tensor:
        """(h d, ...) to (h, d, ...)."""
        return weight.unflatten(0, (self.heads, -1))


def fold_attention(sam: Sam) -> Sam:
    """Let the decoder of a SAM attend with fewer multiplications.

    Args:
        sam (Sam): Is changed; its weights are the same.

    Returns:
        Sam: The argument.
    """
    transformer = sam.mask_decoder.transformer
    for layer in transformer.layers:
        layer.cross_attn_token_to_image = FoldedAttention(
            layer.cross_attn_token_to_image)
        layer.cross_attn_image_to_token = FoldedAttention(
            layer.cross_attn_image_to_token)
    transformer.final_attn_token_to_image = FoldedAttention(
        transformer.final_attn_token_to_image)
    return sam
