"""Image encoders by name."""
from typing import Any, Dict, Mapping, Tuple

from ...running.named_parts import build_by_name
from .base import ImageEncoder, fit_size

__all__ = ['ENCODERS', 'ImageEncoder', 'build_encoder', 'fit_size']

# Module and class; imported only when asked for, since timm is expensive.
ENCODERS: Dict[str, Tuple[str, str]] = dict(
    timm=('timm_encoder', 'TimmEncoder'),
    transformers=('transformers_encoder', 'TransformersEncoder'),
    standin=('standin', 'StandInEncoder'),
    handcrafted=('handcrafted', 'HandcraftedEncoder'))


def build_encoder(name: str, options: Mapping[str, Any]) -> ImageEncoder:
    """Build an encoder; StoreError for unknown names and options."""
    return build_by_name('image encoder', ENCODERS, __name__, name, options)
