"""One feature of a frame."""
from typing import Optional

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError
from .defaults import LINEAR_INIT
from .reduction import pool_tokens


@MODELS.register_module()
class GlobalProjector(BaseModule):
    """An MLP on pooled tokens.

    Args:
        in_channels (int): Channels of a token. Defaults to 256.
        hidden_channels (int): Hidden width of the MLP. Defaults to 256.
        out_channels (int): Channels of the frame's feature. Defaults to 256.
        pool (str): ``'mean'`` or ``'max'`` over tokens. Defaults to
            ``'mean'``.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 in_channels: int = 256,
                 hidden_channels: int = 256,
                 out_channels: int = 256,
                 pool: str = 'mean',
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        if pool not in ('mean', 'max'):
            raise UserError(f'pool {pool!r} is unknown; choose mean or max')
        self.out_channels = out_channels
        self.pool = pool
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, out_channels))

    def forward(self, encoded: Tensor, is_padding: Tensor) -> Tensor:
        """Pool and project.

        Args:
            encoded (Tensor): (B, G, C) encoder tokens.
            is_padding (Tensor): (B, G) bool, True for tokens left out.

        Returns:
            Tensor: (B, out_channels).
        """
        return self.mlp(pool_tokens(encoded, is_padding, self.pool))
