"""Table 4's single stage: distillation and masked prediction at once."""
from typing import Any, Dict

from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.structures import PointTokens
from .masked import MaskedPointPretrainer, MaskedPrediction


@MODELS.register_module()
class MaskedRegionDistillPretrainer(MaskedPointPretrainer):
    """Predict the region's 2D feature at visible and at masked tokens.

    The paper compares its two stages with "masked token prediction in the
    same stage" and says no more. Here the encoder sees the visible tokens,
    the decoder all places, and the loss of stage 1 is taken of both kinds of
    tokens and added up.
    """

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Any) -> Dict[str, Tensor]:
        """Compare with the features of the regions.

        Args:
            outputs (MaskedPrediction): Of :meth:`predict`.
            tokens (PointTokens): All tokens.
            targets (Any): ``RegionTargets``.

        Returns:
            Dict[str, Tensor]: ``loss_region`` of visible tokens,
            ``loss_masked`` of masked ones.
        """
        is_target, is_masked = targets.is_target, outputs.is_masked
        losses = self.head.loss(
            outputs.decoded,
            targets._replace(is_target=is_target & ~is_masked))
        masked = self.head.loss(
            outputs.decoded, targets._replace(is_target=is_target & is_masked))
        return dict(losses, loss_masked=masked['loss_region'])
