"""Prediction of the points of masked tokens."""
from typing import Dict, Optional

from mmdet3d.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...store.errors import UserError
from .defaults import LINEAR_INIT
from .reduction import frame_mean


@MODELS.register_module()
class NeighborhoodHead(BaseModule):
    """K x 3 coordinates of every masked token by one linear layer.

    Args:
        num_neighbors (int): Points K of a token, as in the tokenizer.
        in_channels (int): Channels of the decoder. Defaults to 256.
        loss (dict): Config of a distance of point sets.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 num_neighbors: int,
                 in_channels: int = 256,
                 loss: dict = dict(type='ChamferLoss'),
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.num_neighbors = num_neighbors
        self.distance = MODELS.build(loss)
        self.proj = nn.Linear(in_channels, 3 * num_neighbors)

    def forward(self, decoded: Tensor) -> Tensor:
        """Predict coordinates (..., 3 K) from decoder tokens (..., C)."""
        return self.proj(decoded)

    def loss(self, decoded: Tensor, targets: Tensor,
             is_masked: Tensor) -> Dict[str, Tensor]:
        """Compare masked neighborhoods.

        Args:
            decoded (Tensor): (B, G, C) decoder tokens.
            targets (Tensor): (B, G, K, 3) meters from the center.
            is_masked (Tensor): (B, G) bool, never True for padding.

        Returns:
            Dict[str, Tensor]: ``loss_chamfer``, square meters.

        Raises:
            ValueError: When the tokens have another number of points.
        """
        if targets.shape[2] != self.num_neighbors:
            raise UserError(f'tokens have {targets.shape[2]} points, the '
                            f'head predicts {self.num_neighbors}: give '
                            'tokenizer and head the same num_neighbors')
        predictions = self(decoded[is_masked]).float()
        distances = self.distance(
            predictions.unflatten(-1, (-1, 3)), targets[is_masked])
        losses = distances.new_zeros(is_masked.shape)
        losses = losses.masked_scatter(is_masked, distances)
        return dict(loss_chamfer=frame_mean(losses, is_masked))
