"""Stage 1: every token learns the 2D feature of its region."""
from typing import Any, Dict

from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.structures import PointTokens
from .base import Predictions
from .tokens import TokenPretrainer


@MODELS.register_module()
class RegionDistillPretrainer(TokenPretrainer):
    """Dense distillation from 2D regions to tokens (paper, section 3.3).

    All tokens are encoded and decoded; the head projects the decoder's
    tokens and compares those in a region with its feature. Without a
    decoder it projects the encoder's.
    """

    def predict(self, points: Tensor, tokens: PointTokens) -> Tensor:
        """Encode and decode all tokens.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens of these points.

        Returns:
            Tensor: (B, G, C) decoder tokens after the last norm, or the
            encoder's.
        """
        encoded = self.backbone.encode_tokens(points, tokens)
        if self.decoder is None:
            return encoded
        return self.decoder(encoded, tokens.centers, tokens.is_padding,
                            tokens.num_tokens)

    def token_predictions(self, outputs: Tensor,
                          tokens: PointTokens) -> Predictions:
        """Let the head predict all tokens.

        Args:
            outputs (Tensor): (B, G, C) decoder tokens.
            tokens (PointTokens): All tokens.

        Returns:
            Predictions: All tokens but the padding count.
        """
        return Predictions(self.head(outputs), ~tokens.is_padding)

    def compute_losses(self, outputs: Tensor, tokens: PointTokens,
                       targets: Any) -> Dict[str, Tensor]:
        """Compare with the features of the regions.

        Args:
            outputs (Tensor): (B, G, C) decoder tokens.
            tokens (PointTokens): All tokens.
            targets (Any): ``RegionTargets``.

        Returns:
            Dict[str, Tensor]: Losses by name.
        """
        return self.head.loss(outputs, targets)
