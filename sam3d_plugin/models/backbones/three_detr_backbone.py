"""Set abstraction and transformer encoder of 3DETR as a backbone."""
from copy import deepcopy
from typing import Dict, List, Optional

import torch
from mmdet3d.models.layers import PointSAModule
from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from sam3d_plugin.ops.propagation import interpolate_tokens
from ...store.errors import UserError


@MODELS.register_module()
class ThreeDETRBackbone(BaseModule):
    """Set abstraction of the points, then the encoder of 3DETR or 3DETR-m.

    The network sees xyz alone; further point columns are unused.

    Args:
        pre_encoder (dict): Arguments of mmdet3d's ``PointSAModule``.
        encoder (dict): Config of a ``ThreeDETREncoder``.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 pre_encoder: dict,
                 encoder: dict,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        # mmdet3d's module changes the list of channels that it is given.
        self.pre_encoder = PointSAModule(**deepcopy(pre_encoder))
        self.encoder = MODELS.build(encoder)

    def summary(self) -> str:
        """Return the settings in use, in one line for the log."""
        encoder = self.encoder
        radii = f'radii {tuple(encoder.radii)} m' if encoder.radii else 'plain'
        return (f'tokens: set abstraction {self.pre_encoder.num_point[0]} · '
                f'encoder: {radii}, no pretrained weights')

    def forward(self, points: Tensor) -> Dict[str, List[Tensor]]:
        """Encode a batch of scenes.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Dict[str, List[Tensor]]: ``fp_xyz`` (B, G, 3), ``fp_features``
            (B, C, G) and ``fp_indices`` (B, G) int64.

        Raises:
            ValueError: When points are not finite, or fewer than tokens.
        """
        xyz = points[..., :3].contiguous()
        num_tokens = self.pre_encoder.num_point[0]
        if xyz.shape[1] < num_tokens:
            raise UserError(
                f'{xyz.shape[1]} points cannot give {num_tokens} tokens: '
                'raise num_points of PointSample or lower num_point of the '
                'pre_encoder')
        if not torch.isfinite(xyz).all():
            raise UserError('points are not finite; add CheckPoints to the '
                            'pipeline, which names the scan')
        token_xyz, features, indices = self.pre_encoder(xyz)
        token_xyz, features, kept = self.encoder.encode(
            features.transpose(1, 2), token_xyz)
        indices = indices.long()
        if kept is not None:
            indices = indices.gather(1, kept)
        return dict(
            fp_xyz=[token_xyz],
            fp_features=[features.transpose(1, 2)],
            fp_indices=[indices])

    def point_features(self, points: Tensor) -> Tensor:
        """Features of the points, interpolated from the tokens.

        Args:
            points (Tensor): (B, N, 3 + D) xyz in meters, then any columns.

        Returns:
            Tensor: (B, N, C).
        """
        outputs = self(points)
        return interpolate_tokens(points[..., :3], outputs['fp_xyz'][-1],
                                  outputs['fp_features'][-1].transpose(1, 2))
