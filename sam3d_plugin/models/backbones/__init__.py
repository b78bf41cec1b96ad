"""Backbones and their parts."""
from .external_encoder import ExternalEncoder
from .graph_conv_stack import GraphConvStack
from .plain_point_transformer import PlainPointTransformer, TransformerBlock
from .plain_vision_transformer import PlainVisionTransformer
from .point_patch_embed import PointPatchEmbed
from .point_token_backbone import PointTokenBackbone
from .sparse_token_encoder import SparseTokenEncoder
from .sparse_unet import SparseVoxelUNet
from .sparse_unet_backbone import SparseUNetBackbone
from .stock_point_backbone import StockPointBackbone
from .three_detr_backbone import ThreeDETRBackbone
from .three_detr_encoder import ThreeDETREncoder
from .token_encoder import TokenBackbone, TokenEncoder

__all__ = [
    'ExternalEncoder', 'GraphConvStack', 'PlainPointTransformer',
    'PlainVisionTransformer', 'PointPatchEmbed', 'PointTokenBackbone',
    'SparseTokenEncoder', 'SparseUNetBackbone', 'SparseVoxelUNet',
    'StockPointBackbone', 'ThreeDETRBackbone', 'ThreeDETREncoder',
    'TokenBackbone', 'TokenEncoder', 'TransformerBlock'
]
