"""Decoder tokens at masked places against the teacher's."""
from typing import Dict

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from .defaults import MSE
from .reduction import frame_mean


@MODELS.register_module()
class MaskedTokenHead(BaseModule):
    """L_token: masked tokens only, no weights (docs/method.md, "Stage 2").

    Args:
        loss (dict): Config of a loss per item. Defaults to the mean squared
            error.
    """

    def __init__(self, loss: dict = MSE) -> None:
        super().__init__()
        self.item_loss = MODELS.build(loss)

    def forward(self, decoded: Tensor) -> Tensor:
        """Return decoder tokens (B, G, C): they are the predictions."""
        return decoded

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
        return dict(loss_token=frame_mean(losses, is_masked))
