"""Point-MAE (Pang et al., ECCV 2022) on the tokens of scene frames."""
from typing import Dict

from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.models.pretrainers import (MaskedPointPretrainer,
                                             MaskedPrediction)
from sam3d_plugin.structures import PointTokens


@MODELS.register_module()
class PointMAE(MaskedPointPretrainer):
    """Predict the points of masked tokens (section 3.3)."""

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare with the points that were hidden."""
        return self.head.loss(outputs.decoded, targets, outputs.is_masked)
