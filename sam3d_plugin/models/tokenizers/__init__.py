"""Points to PointTokens."""
from .knn_tokenizer import KNNTokenizer
from .sam_tokenizer import SAMTokenizer

__all__ = ['KNNTokenizer', 'SAMTokenizer']
