"""Modules between encoder and head."""
from .cross_attention_block import CrossAttentionBlock
from .masked_token_decoder import MaskedTokenDecoder

__all__ = ['CrossAttentionBlock', 'MaskedTokenDecoder']
