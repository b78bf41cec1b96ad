"""Modules between encoder and head."""
from .masked_token_decoder import MaskedTokenDecoder

__all__ = ['MaskedTokenDecoder']
