"""The student's scene feature against the teacher's."""
from typing import Dict, Optional

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError
from .defaults import LINEAR_INIT, MSE
from .reduction import pool_tokens


@MODELS.register_module()
class GlobalFeatureHead(BaseModule):
    """L_ins: an MLP on pooled encoder tokens (docs/method.md, "Stage 2").

    Args:
        in_channels (int): Channels of the student. Defaults to 256.
        hidden_channels (int): Hidden width of the MLP. Defaults to 256.
        out_channels (int): Channels of the teacher. Defaults to 256.
        pool (str): ``'mean'`` or ``'max'`` over tokens. Defaults to
            ``'mean'``.
        loss (dict): Config of a loss per item. Defaults to the mean squared
            error.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 in_channels: int = 256,
                 hidden_channels: int = 256,
                 out_channels: int = 256,
                 pool: str = 'mean',
                 loss: dict = MSE,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        if pool not in ('mean', 'max'):
            raise UserError(f'pool {pool!r} is unknown; choose mean or max')
        self.pool = pool
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, out_channels))
        self.item_loss = MODELS.build(loss)

    def forward(self, encoded: Tensor, is_padding: Tensor) -> Tensor:
        """Predict the teacher's scene feature.

        Args:
            encoded (Tensor): (B, V, C) encoder tokens of the student.
            is_padding (Tensor): (B, V) bool.

        Returns:
            Tensor: (B, out_channels).
        """
        return self.mlp(pool_tokens(encoded, is_padding, self.pool))

    def loss(self, encoded: Tensor, is_padding: Tensor, targets: Tensor,
             target_is_padding: Tensor) -> Dict[str, Tensor]:
        """Compare scene features.

        Args:
            encoded (Tensor): (B, V, C) encoder tokens of the student.
            is_padding (Tensor): (B, V) bool.
            targets (Tensor): (B, G, C) encoder tokens of the teacher.
            target_is_padding (Tensor): (B, G) bool.

        Returns:
            Dict[str, Tensor]: ``loss_ins``.
        """
        target = pool_tokens(targets, target_is_padding, self.pool)
        losses = self.item_loss(self(encoded, is_padding), target)
        return dict(loss_ins=losses.mean())
