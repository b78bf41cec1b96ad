"""Latent prediction (I-JEPA: Assran et al., CVPR 2023) on scene tokens.

Shapes: B frames, N points, G tokens, C channels.
"""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from sam3d_plugin.models.pretrainers import (MaskedPointPretrainer,
                                             MaskedPrediction, MomentumEncoder)
from sam3d_plugin.models.pretrainers.masking import (block_mask,
                                                     frame_generators)
from sam3d_plugin.structures import PointTokens


@MODELS.register_module()
class JEPA(MaskedPointPretrainer):
    """Predict what a slow copy of the encoder makes of hidden blocks.

    The copy, a moving average of embedding and encoder, sees all tokens. Its
    normalized features are the targets, so that, unlike in stage 2 of our
    method, no teacher is trained before.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        block_ratios (Tuple[float, float]): Share of the tokens in a hidden
            block, from and to.
        num_blocks (int): Hidden blocks of a frame; all other tokens are
            visible.
        momentum (Tuple[float, float]): Of the copy, from and to.
        **kwargs (Any): See :class:`MaskedPointPretrainer`, without
            ``mask_ratio``; the head is a ``MaskedTokenHead``.
    """

    def __init__(self, *, backbone: dict, block_ratios: Tuple[float, float],
                 num_blocks: int, momentum: Tuple[float, float],
                 **kwargs: Any) -> None:
        super().__init__(backbone=backbone, mask_ratio=0., **kwargs)
        del self.mask_ratio  # which nothing may schedule or print
        self.block_ratios = block_ratios
        self.num_blocks = num_blocks
        self.teacher = MomentumEncoder(self.backbone, *momentum)

    def init_weights(self) -> None:
        """Initialize; the copy starts as the encoder does."""
        super().init_weights()
        self.teacher.restart(self.backbone)

    def mask(self, tokens: PointTokens) -> np.ndarray:
        """Choose the hidden blocks of a step, from seed and frame number.

        Args:
            tokens (PointTokens): B frames of G tokens.

        Returns:
            np.ndarray: (B, G) bool, True for hidden tokens, False for
            padding.
        """
        is_padding = tokens.padding_on_cpu
        generators = frame_generators(self.seed,
                                      self.frame_numbers(len(is_padding)))
        return block_mask(tokens.centers.cpu().numpy(), is_padding,
                          self.block_ratios, generators, self.num_blocks)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Move the copy, ask it for targets, predict them.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, N, 3 + D), xyz in meters.
            data_samples (Optional[List[Det3DDataSample]]): Unused.

        Returns:
            Dict[str, Tensor]: ``loss_token``.
        """
        if self.training:
            self.teacher.update(self.backbone, self.progress)
        points, tokens = self.tokenize(**inputs)
        targets = self.targets(points, tokens)
        return self.compute_losses(
            self.predict(points, tokens), tokens, targets)

    @torch.no_grad()
    def targets(self, points: Tensor, tokens: PointTokens) -> Tensor:
        """Features of all tokens from the copy.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens.

        Returns:
            Tensor: (B, G, C) float32, each token with mean 0 and variance 1
            over its channels.
        """
        features = self.teacher.module.encode_tokens(points, tokens).float()
        return F.layer_norm(features, features.shape[-1:])

    def compute_losses(self, outputs: MaskedPrediction, tokens: PointTokens,
                       targets: Tensor) -> Dict[str, Tensor]:
        """Compare the hidden tokens.

        Args:
            outputs (MaskedPrediction): Of :meth:`predict`.
            tokens (PointTokens): All tokens.
            targets (Tensor): Of :meth:`targets`.

        Returns:
            Dict[str, Tensor]: ``loss_token``.
        """
        return self.head.loss(outputs.decoded, targets, outputs.is_masked)
