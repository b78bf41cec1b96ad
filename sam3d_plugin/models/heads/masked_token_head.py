"""Decoder tokens at masked places against the teacher's."""
from typing import Dict, Optional

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from .defaults import LINEAR_INIT, MSE
from .reduction import frame_mean


@MODELS.register_module()
class MaskedTokenHead(BaseModule):
    """L_token: masked tokens only, no weights (docs/method.md, "Stage 2").

    Args:
        loss (dict): Config of a loss per item. Defaults to the mean squared
            error.
        proj_channels (Optional[int]): C, to predict through one linear
            layer; None, as published, where the decoder tokens themselves
            are the predictions. Defaults to None.
        loss_weight (float): Factor of the loss. Defaults to 1.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 loss: dict = MSE,
                 proj_channels: Optional[int] = None,
                 loss_weight: float = 1.,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.item_loss = MODELS.build(loss)
        self.proj = None
        if proj_channels is not None:
            self.proj = nn.Linear(proj_channels, proj_channels)
        self.loss_weight = loss_weight

    def forward(self, decoded: Tensor) -> Tensor:
        """Predict the teacher's tokens (B, G, C) from decoder tokens."""
        return decoded if self.proj is None else self.proj(decoded)

    def loss(self, decoded: Tensor, targets: Tensor,
             is_masked: Tensor) -> Dict[str, Tensor]:
        """Compare masked tokens with their targets.

        Args:
            decoded (Tensor): (B, G, C) decoder tokens of the student.
            targets (Tensor): (B, G, C) those of the teacher.
            is_masked (Tensor): (B, G) bool, never True for padding.

        Returns:
            Dict[str, Tensor]: ``loss_token``.
        """
        losses = self.item_loss(self(decoded), targets.float())
        loss = self.loss_weight * frame_mean(losses, is_masked)
        return dict(loss_token=loss)
