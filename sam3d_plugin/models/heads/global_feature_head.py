"""The student's scene feature against the teacher's."""
from typing import Any, Dict

from mmdet3d.registry import MODELS
from torch import Tensor

from .defaults import MSE
from .global_projector import GlobalProjector
from .reduction import pool_tokens


@MODELS.register_module()
class GlobalFeatureHead(GlobalProjector):
    """L_ins: an MLP on pooled encoder tokens (docs/method.md, "Stage 2").

    It predicts the pooled tokens of the teacher from those of the student.

    Args:
        loss (dict): Config of a loss per item. Defaults to the mean squared
            error.
        **kwargs (Any): See :class:`GlobalProjector`.
    """

    def __init__(self, loss: dict = MSE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_loss = MODELS.build(loss)

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
