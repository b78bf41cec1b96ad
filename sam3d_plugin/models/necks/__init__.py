"""Encoded tokens to other tokens, or to points."""
from .masked_token_decoder import MaskedTokenDecoder
from .propagation import propagate_own_token, propagate_three_nn

__all__ = ['MaskedTokenDecoder', 'propagate_own_token', 'propagate_three_nn']
