"""Decoder from visible tokens to all tokens of a scene."""
from typing import Optional

import torch
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.structures import PointTokens


@MODELS.register_module()
class MaskedTokenDecoder(BaseModule):
    """A transformer that fills the masked places (docs/method.md, "Stage 2").

    A masked place starts as the learnt mask token; the transformer adds the
    position embedding of every center, so the mask token tells only where.

    Args:
        transformer (dict): Config of the transformer over all tokens.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 transformer: dict,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.transformer = MODELS.build(transformer)
        self.embed_dims = self.transformer.embed_dims
        self.mask_token = nn.Parameter(torch.empty(self.embed_dims))
        nn.init.trunc_normal_(self.mask_token, std=.02)

    def forward(self, visible_features: Tensor, visible_indices: Tensor,
                visible_is_padding: Tensor, tokens: PointTokens) -> Tensor:
        """Decode all tokens from the visible ones.

        Args:
            visible_features (Tensor): (B, V, C) encoded visible tokens.
            visible_indices (Tensor): (B, V) int64, the place of each among
                the tokens of its scene, all different within a scene.
            visible_is_padding (Tensor): (B, V) bool, True where there is no
                visible token; its place is not a visible one.
            tokens (PointTokens): All G tokens of a scene.

        Returns:
            Tensor: (B, G, C) after the last norm; undefined for padding.
        """
        mask_token = self.mask_token.to(visible_features.dtype)
        values = torch.where(visible_is_padding[..., None], mask_token,
                             visible_features)
        places = visible_indices[..., None].expand_as(values)
        features = mask_token.expand(*tokens.is_padding.shape,
                                     -1).scatter(1, places, values)
        return self.transformer(features, tokens.centers, tokens.is_padding,
                                tokens.num_tokens)
