"""Projection of tokens to the 2D features of their regions."""
from typing import Any, Dict, Optional

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from .defaults import LINEAR_INIT
from .reduction import frame_mean
from .widths import check_width


@MODELS.register_module()
class RegionDistillHead(BaseModule):
    """Proj, one linear layer, and its loss (docs/method.md, "Stage 1").

    Args:
        out_channels (int): Channels of the region features.
        in_channels (int): Channels of the decoder. Defaults to 256.
        loss (dict): Config of a loss per item, ``DistillLoss`` or
            ``GroupBalancedDistillLoss``.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 out_channels: int,
                 in_channels: int = 256,
                 loss: dict = dict(type='DistillLoss'),
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.proj = nn.Linear(in_channels, out_channels)
        self.item_loss = MODELS.build(loss)

    def forward(self, decoded: Tensor) -> Tensor:
        """Project decoder tokens (B, G, C) into the space of 2D features."""
        return self.proj(decoded)

    def loss(self, decoded: Tensor, targets: Any) -> Dict[str, Tensor]:
        """Compare every token in a region with its feature.

        Args:
            decoded (Tensor): (B, G, C) decoder tokens.
            targets (Any): ``RegionTargets``.

        Returns:
            Dict[str, Tensor]: ``loss_region``, and for the log
            ``region_tokens``, the tokens per frame that were compared.

        Raises:
            ValueError: When the features have another width.
        """
        check_width(targets.features, self.proj.out_features, 'region',
                    'RegionDistillHead')
        losses = self.item_loss(
            self(decoded), targets.features, targets.group_ids)
        return dict(
            loss_region=frame_mean(losses, targets.is_target),
            region_tokens=targets.is_target.float().sum(1).mean())
