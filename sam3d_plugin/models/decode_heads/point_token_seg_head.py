"""Semantic segmentation of points from the features of tokens.

Shapes: B scenes, N points, G tokens, D depths, C channels.
"""
from typing import Any, Dict, Optional, Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmdet3d.models.decode_heads.decode_head import Base3DDecodeHead
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.ops.propagation import (propagate_own_token,
                                          propagate_three_nn)
from ...store.errors import UserError

PROPAGATIONS = ('three_nn', 'own_token')
_TOKEN_KEYS = ('token_features', 'token_centers', 'point_tokens')


@MODELS.register_module()
class PointTokenSegHead(Base3DDecodeHead):
    """Propagate tokens of several depths to the points and classify these.

    A point's input is the feature that its tokens propagate to it, the
    maximum and the mean of all tokens of the scene, and its own position
    relative to its token's center, without which points of one token could
    not differ. The first layer of the MLP over their concatenation is
    written as three, so that the tokens' and the scene's shares are computed
    once per token and scene: the same function at a fraction of the work.

    It stands in mmdet3d's ``EncoderDecoder3D`` behind ``PointTokenBackbone``
    with ``feature_depths``.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels C of one depth. Defaults to 256.
        num_depths (int): Depths D, the length of the backbone's
            ``feature_depths``. Defaults to 3.
        hidden_channels (Sequence[int]): Widths of the MLP before the
            classifier. Defaults to (512, 256).
        propagation (str): ``'three_nn'``, the three nearest token centers
            weighted by inverse distance, or ``'own_token'``, the token that
            the point belongs to, for tokens that share out all points.
            Defaults to 'three_nn'.
        offset_channels (int): Hidden width of the layers on a point's
            position in its token; 0 leaves the position out. Defaults
            to 64.
        dropout_ratio (float): Before the classifier. Defaults to 0.5.
        norm_cfg (dict): Norm over the points: ``BN1d``, ``SyncBN`` or
            ``LN``. Defaults to ``dict(type='BN1d')``.
        loss_decode (dict): Loss. By default the cross-entropy, averaged over
            the labelled points only, so that it does not shrink with the
            share of points that have labels.
        ignore_index (int): Label of points without one. Defaults to 255.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 256,
                 num_depths: int = 3,
                 hidden_channels: Sequence[int] = (512, 256),
                 propagation: str = 'three_nn',
                 offset_channels: int = 64,
                 dropout_ratio: float = 0.5,
                 norm_cfg: dict = dict(type='BN1d'),
                 loss_decode: dict = dict(
                     type='mmdet.CrossEntropyLoss',
                     use_sigmoid=False,
                     avg_non_ignore=True,
                     loss_weight=1.0),
                 ignore_index: int = 255,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(
            channels=hidden_channels[-1],
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            init_cfg=init_cfg)
        if propagation not in PROPAGATIONS:
            raise UserError(f'propagation {propagation!r} is none of '
                            f'{", ".join(PROPAGATIONS)}')
        self.propagation = propagation
        self.num_depths = num_depths
        first, *others = hidden_channels
        token_channels = in_channels * num_depths
        self.token_layer = nn.Linear(token_channels, first, bias=False)
        self.scene_layer = nn.Linear(2 * token_channels, first)
        self.offset_layers = nn.Sequential(
            nn.Linear(3, offset_channels), nn.ReLU(inplace=True),
            nn.Linear(offset_channels, first,
                      bias=False)) if offset_channels else None
        layers = [build_norm_layer(norm_cfg, first)[1], nn.ReLU(inplace=True)]
        for inputs, outputs in zip(hidden_channels, others):
            layers += [
                nn.Linear(inputs, outputs, bias=False),
                build_norm_layer(norm_cfg, outputs)[1],
                nn.ReLU(inplace=True)
            ]
        self.point_layers = nn.Sequential(*layers)

    def forward(self, feats_dict: Dict[str, Any]) -> Tensor:
        """Classify the points.

        Args:
            feats_dict (Dict[str, Any]): What ``PointTokenBackbone`` returns.

        Returns:
            Tensor: (B, num_classes, N) logits.

        Raises:
            ValueError: When the backbone gives other features than the
                config of the head says.
        """
        self._check(feats_dict)
        points = feats_dict['sa_xyz'][0]
        tokens = torch.cat(feats_dict['token_features'], dim=2)
        scene = torch.cat((tokens.amax(dim=1), tokens.mean(dim=1)), dim=1)
        hidden, offsets = self._propagate(
            points, feats_dict,
            self.token_layer(tokens) + self.scene_layer(scene)[:, None])
        hidden = hidden.flatten(0, 1)
        if self.offset_layers is not None:
            hidden = hidden + self.offset_layers(offsets.flatten(0, 1))
        features = self.point_layers(hidden)
        features = features.reshape(*points.shape[:2], -1)
        return self.cls_seg(features.transpose(1, 2))

    def _propagate(self, points: Tensor, feats_dict: Dict[str, Any],
                   hidden: Tensor) -> tuple:
        """Propagate (B, G, C) to the points, with the points' offsets.

        The scene's share may come along, because weights sum to 1.
        """
        centers = feats_dict['token_centers']
        if self.propagation == 'three_nn':
            return propagate_three_nn(points, centers, hidden)
        return propagate_own_token(points, centers, hidden,
                                   feats_dict['point_tokens'])

    def _check(self, feats_dict: Dict[str, Any]) -> None:
        """Compare what the backbone gives with what this head was built for.
        """
        if not all(key in feats_dict for key in _TOKEN_KEYS):
            raise UserError(
                'PointTokenSegHead needs token features: take '
                'PointTokenBackbone with feature_depths, for example (1, 2, '
                '3)')
        num_depths = len(feats_dict['token_features'])
        if num_depths != self.num_depths:
            raise UserError(
                f'the backbone gives {num_depths} depths and the head has '
                f'num_depths={self.num_depths}: set it to the length of '
                'feature_depths')
        if (self.propagation == 'own_token'
                and feats_dict['point_tokens'] is None):
            raise UserError(
                "propagation='own_token' needs tokens that share out all "
                'points, as SAMTokenizer makes them; with kNN tokens set '
                "propagation='three_nn'")
