"""Semantic segmentation of points that have features of their own.

Shapes: B scenes, N points, C channels.
"""
from typing import Any, Dict, Optional

from mmdet3d.models.decode_heads.decode_head import Base3DDecodeHead
from mmdet3d.registry import MODELS
from torch import Tensor

from ...store.errors import UserError


@MODELS.register_module()
class PointSegHead(Base3DDecodeHead):
    """One linear layer on the features of the points.

    It stands in mmdet3d's ``EncoderDecoder3D`` behind a backbone that gives
    all points features, such as ``SparseUNetBackbone`` without seeds.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels C of the backbone. Defaults to 96.
        dropout_ratio (float): Before the layer. Defaults to 0.
        loss_decode (dict): Loss. By default the cross-entropy, averaged over
            the labelled points only, so that it does not shrink with the
            share of points that have labels.
        ignore_index (int): Label of points without one. Defaults to 255.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 96,
                 dropout_ratio: float = 0.,
                 loss_decode: dict = dict(
                     type='mmdet.CrossEntropyLoss',
                     use_sigmoid=False,
                     avg_non_ignore=True,
                     loss_weight=1.0),
                 ignore_index: int = 255,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(
            channels=in_channels,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            init_cfg=init_cfg)

    def forward(self, feats_dict: Dict[str, Any]) -> Tensor:
        """Classify the points.

        Args:
            feats_dict (Dict[str, Any]): ``point_features`` (B, C, N).

        Returns:
            Tensor: (B, num_classes, N) logits.

        Raises:
            UserError: When the backbone gives no features of all points.
        """
        if 'point_features' not in feats_dict:
            raise UserError('PointSegHead needs features of all points: take '
                            'SparseUNetBackbone with num_seeds=None')
        return self.cls_seg(feats_dict['point_features'])
