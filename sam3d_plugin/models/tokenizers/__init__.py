"""Tokenizers."""
from .base import BaseTokenizer
from .knn_tokenizer import KNNTokenizer
from .sam_tokenizer import SAMTokenizer

__all__ = ['BaseTokenizer', 'KNNTokenizer', 'SAMTokenizer']
