"""ACT: features of a cross-modal teacher at masked places.

Dong et al., Autoencoders as Cross-Modal Teachers, ICLR 2023, section 3.3.

Shapes: B scenes, G tokens, C channels.
"""
from typing import Any, Dict

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from torch import Tensor, nn

from sam3d_plugin.models.pretrainers import (MaskedPointPretrainer,
                                             MaskedPrediction)
from sam3d_plugin.models.target_generators import FrozenTargets
from sam3d_plugin.structures import PointTokens


@MODELS.register_module()
class CosineLoss(nn.Module):
    """1 minus the cosine of two features, from 0 to 2."""

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Losses (...) of features (..., C), in float32."""
        return 1 - F.cosine_similarity(
            predictions.float(), targets.float(), dim=-1)


@MODELS.register_module()
class CrossModalTargets(FrozenTargets):
    """Tokens of a frozen ``CrossModalVAE`` behind its decoder.

    A token has its best code, where the published code draws one. See
    :class:`FrozenTargets`; ``modules`` are ``embedding``, ``encoder``,
    ``codebook`` and ``decoder``.
    """

    @torch.no_grad()
    def forward(self, points: Tensor, tokens: PointTokens,
                data_samples: Any) -> Tensor:
        """Features (B, G, C) of the tokens."""
        teacher = self.teacher.to(points.device)
        place = (tokens.centers, tokens.is_padding, tokens.num_tokens)
        embedded = teacher['embedding'](points, tokens)
        codes = teacher['encoder'](embedded, *place).argmax(-1)
        return teacher['decoder'](teacher['codebook'](codes), *place)


@MODELS.register_module()
class ACT(MaskedPointPretrainer):
    """Predict the direction of the teacher's features of masked tokens.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        target_generator (dict): Config of :class:`CrossModalTargets`; its
            embedding is like the backbone's.
        **kwargs (Any): See :class:`MaskedPointPretrainer`; the head is a
            ``MaskedTokenHead``.
    """

    def __init__(self, *, backbone: dict, target_generator: dict,
                 **kwargs: Any) -> None:
        modules = dict(
            embedding=backbone['embedding'], **target_generator['modules'])
        super().__init__(
            backbone=backbone,
            target_generator=dict(target_generator, modules=modules),
            **kwargs)

    @property
    def checkpoint_meta(self) -> Dict[str, Any]:
        """Dict[str, Any]: See ``CrossModalDecoder``."""
        return self.target_generator.teacher['decoder'].checkpoint_meta

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare masked tokens with the teacher's."""
        return self.head.loss(outputs.decoded, targets, outputs.is_masked)
