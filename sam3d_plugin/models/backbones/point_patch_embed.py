"""A token's points become one feature: mini-PointNet."""
from typing import Optional, Sequence

from mmcv.cnn import build_norm_layer
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.ops import segment_ids, segment_max
from sam3d_plugin.structures import PointTokens
from .token_packing import find_packing


@MODELS.register_module()
class PointPatchEmbed(BaseModule):
    """Mini-PointNet over the center-relative points of each token.

    Layers 3-128-256, maximum over the token, 512-512-256, maximum, with a
    norm after the first and the third layer, as in Point-MAE and Bridge3D.
    It works on the flat list of members, so that norm statistics come from
    real points alone and uneven tokens cost no padding.

    Args:
        embed_dims (int): Channels of a token C. Defaults to 256.
        hidden_dims (Sequence[int]): Outputs of the first three layers.
            Defaults to (128, 256, 512).
        norm_cfg (dict): Norm of the hidden layers: ``BN1d``, ``SyncBN`` or
            ``LN``. Defaults to ``dict(type='BN1d')``.
        relative (bool): Whether points are seen from their token's center;
            otherwise from the scene's origin. Defaults to True.
        out_norm_cfg (Optional[dict]): Norm of the tokens, such as ``BN1d``.
            Without one, as published, tokens of short trainings are close to
            one vector. Defaults to None.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 hidden_dims: Sequence[int] = (128, 256, 512),
                 norm_cfg: dict = dict(type='BN1d'),
                 relative: bool = True,
                 out_norm_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        first, second, third = hidden_dims
        self.embed_dims = embed_dims
        self.relative = relative
        self.local_layers = nn.Sequential(
            nn.Linear(3, first),
            build_norm_layer(norm_cfg, first)[1], nn.ReLU(inplace=True),
            nn.Linear(first, second))
        # One linear layer over (token maximum, point feature), written as
        # two so that the token's share is computed once per token.
        self.token_layer = nn.Linear(second, third)
        self.point_layer = nn.Linear(second, third, bias=False)
        self.global_layers = nn.Sequential(
            build_norm_layer(norm_cfg, third)[1], nn.ReLU(inplace=True),
            nn.Linear(third, embed_dims))
        self.out_norm = None
        if out_norm_cfg is not None:
            self.out_norm = build_norm_layer(out_norm_cfg, embed_dims)[1]

    def forward(self, points: Tensor, tokens: PointTokens) -> Tensor:
        """Embed the tokens.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): Tokens of these points.

        Returns:
            Tensor: (B, G, C) token features; zero for padding.
        """
        offsets = tokens.member_offsets
        token_of_member = segment_ids(offsets, len(tokens.member_points))
        members = points.reshape(-1, 3)[tokens.member_points]
        if self.relative:
            centers = tokens.centers.reshape(-1, 3)
            members = members - centers[token_of_member]
        local = self.local_layers(members)
        maxima = segment_max(local, offsets)
        # In place: a third (M, hidden) array would cost as much as the sum.
        hidden = self.point_layer(local).add_(
            self.token_layer(maxima).index_select(0, token_of_member))
        features = segment_max(self.global_layers(hidden), offsets)
        features = features.reshape(*tokens.is_padding.shape, self.embed_dims)
        if self.out_norm is None:
            return features
        packing = find_packing(tokens.is_padding, tokens.num_tokens)
        if packing is None:
            return self.out_norm(features.flatten(0, 1)).view_as(features)
        return packing.pad(self.out_norm(packing.pack(features)))
