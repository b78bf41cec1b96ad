"""Importing this package registers every model component."""
from .backbones import (PlainPointTransformer, PointPatchEmbed,
                        PointTokenBackbone)
from .tokenizers import KNNTokenizer, SAMTokenizer

__all__ = [
    'KNNTokenizer', 'PlainPointTransformer', 'PointPatchEmbed',
    'PointTokenBackbone', 'SAMTokenizer'
]
