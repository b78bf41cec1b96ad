"""Encoded tokens to other tokens."""
from .masked_token_decoder import MaskedTokenDecoder

__all__ = ['MaskedTokenDecoder']
