"""PointTokens to features."""
from .plain_point_transformer import PlainPointTransformer, TransformerBlock
from .point_patch_embed import PointPatchEmbed
from .point_token_backbone import PointTokenBackbone

__all__ = [
    'PlainPointTransformer', 'PointPatchEmbed', 'PointTokenBackbone',
    'TransformerBlock'
]
