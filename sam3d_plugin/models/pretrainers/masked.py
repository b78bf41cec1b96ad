"""Pre-training that hides tokens from the encoder."""
from typing import Any, NamedTuple, Tuple

import numpy as np
from torch import Tensor

from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from .base import Predictions
from .masking import (VisibleTokens, frame_generators, random_mask,
                      select_tokens)
from .tokens import TokenPretrainer


class MaskedPrediction(NamedTuple):
    """Outputs of a masked autoencoder for a batch."""

    visible: VisibleTokens  # Tokens that the encoder saw
    encoded: Tensor  # (B, V, C) their encoder features
    decoded: Tensor  # (B, G, C) decoder features of all tokens
    # (B, G) bool, True for tokens hidden from the encoder, False for padding
    is_masked: Tensor


class MaskedPointPretrainer(TokenPretrainer):
    """Encode visible tokens, decode all.

    Only visible tokens are embedded and encoded, so the encoder costs what
    they cost. A method overrides :meth:`compute_losses`.

    Args:
        mask_ratio (float): Share of tokens that are masked, in [0, 1). May
            be changed between steps. Defaults to 0.6.
        **kwargs (Any): See :class:`TokenPretrainer`; the decoder is a
            ``MaskedTokenDecoder``.
    """

    def __init__(self, *, mask_ratio: float = 0.6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= mask_ratio < 1:
            raise UserError(f'mask_ratio is {mask_ratio}; it must be in '
                            '[0, 1)')
        self.mask_ratio = mask_ratio

    def mask(self, tokens: PointTokens) -> np.ndarray:
        """Choose the masked tokens of a step, from seed and frame number.

        Args:
            tokens (PointTokens): B scenes of G tokens.

        Returns:
            np.ndarray: (B, G) bool, True for masked tokens, False for
            padding.
        """
        is_padding = tokens.padding_on_cpu
        generators = frame_generators(self.seed,
                                      self.frame_numbers(len(is_padding)))
        return random_mask(is_padding, self.mask_ratio, generators)

    def encode_visible(
            self, points: Tensor,
            tokens: PointTokens) -> Tuple[VisibleTokens, Tensor, np.ndarray]:
        """Hide tokens and encode the others.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens of these points.

        Returns:
            Tuple[VisibleTokens, Tensor, np.ndarray]: The V visible tokens,
            their features (B, V, C), and what :meth:`mask` chose.
        """
        is_masked = self.mask(tokens)
        visible = select_tokens(tokens, ~is_masked & ~tokens.padding_on_cpu)
        encoded = self.backbone.encode_tokens(points, visible.tokens)
        return visible, encoded, is_masked

    def predict(self, points: Tensor, tokens: PointTokens) -> MaskedPrediction:
        """Hide tokens, encode the others, decode all.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens of these points.

        Returns:
            MaskedPrediction: Features of visible and of all tokens.
        """
        visible, encoded, is_masked = self.encode_visible(points, tokens)
        decoded = self.decoder(encoded, visible.indices,
                               visible.tokens.is_padding, tokens)
        return MaskedPrediction(visible, encoded, decoded,
                                to_device(is_masked, points.device))

    def token_predictions(self, outputs: MaskedPrediction,
                          tokens: PointTokens) -> Predictions:
        """Let the head predict the masked tokens.

        Args:
            outputs (MaskedPrediction): Of :meth:`predict`.
            tokens (PointTokens): All tokens.

        Returns:
            Predictions: Of all tokens; the masked ones count.
        """
        return Predictions(self.head(outputs.decoded), outputs.is_masked)
