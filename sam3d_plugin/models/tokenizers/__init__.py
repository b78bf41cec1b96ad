"""Tokenizers."""
from .base import BaseTokenizer, describe_tokenizer, log_other_tokens
from .knn_tokenizer import KNNTokenizer
from .sam_tokenizer import SAMTokenizer

__all__ = [
    'BaseTokenizer', 'KNNTokenizer', 'SAMTokenizer', 'describe_tokenizer',
    'log_other_tokens'
]
