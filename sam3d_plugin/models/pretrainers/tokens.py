"""Base of pre-training methods on point tokens.

Shapes: B scenes, N points, G tokens, C channels.
"""
from abc import abstractmethod
from typing import Any, Dict, List, Optional

import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from sam3d_plugin.ops import three_nn
from sam3d_plugin.structures import PointTokens
from .base import BasePretrainer, FeatureView, Predictions


def build_slot(config: Optional[dict]) -> Any:
    """Build a component, None for an empty slot."""
    return None if config is None else MODELS.build(config)


class TokenPretrainer(BasePretrainer):
    """Tokenize, make targets, predict, compare.

    A method overrides :meth:`predict` and :meth:`compute_losses`, and
    :meth:`token_predictions` where it predicts something for each token.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        decoder (Optional[dict]): Config of the decoder.
        head (Optional[dict]): Config of the head.
        target_generator (Optional[dict]): Config of the target generator.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    def __init__(self,
                 backbone: dict,
                 decoder: Optional[dict] = None,
                 head: Optional[dict] = None,
                 target_generator: Optional[dict] = None,
                 **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        self.decoder = build_slot(decoder)
        self.head = build_slot(head)
        self.target_generator = build_slot(target_generator)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Dict[str, Any]): See :meth:`forward`.
            data_samples (Optional[List[Det3DDataSample]]): B frames.

        Returns:
            Dict[str, Tensor]: Losses by name.
        """
        points, tokens = self.tokenize(**inputs)
        targets = None
        if self.target_generator is not None:
            targets = self.target_generator(points, tokens, data_samples)
        outputs = self.predict_inputs(inputs, points, tokens)
        return self.compute_losses(outputs, tokens, targets)

    @property
    def needs_regions(self) -> bool:
        """bool: Whether each token needs a region."""
        return getattr(self.target_generator, 'uses_regions', False)

    def tokenize(self,
                 points: Tensor,
                 region_ids: Optional[Tensor] = None,
                 **others: Any) -> tuple:
        """xyz (B, N, 3) and tokens, with regions if the targets need them."""
        return self.backbone.tokenize(points, self.needs_regions, region_ids)

    def predict_inputs(self, inputs: Dict[str, Any], points: Tensor,
                       tokens: PointTokens) -> Any:
        """Call :meth:`predict`, for a method that reads more than points.

        Args:
            inputs (Dict[str, Any]): See :meth:`forward`.
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens of these points.

        Returns:
            Any: Of :meth:`predict`.
        """
        return self.predict(points, tokens)

    @abstractmethod
    def predict(self, points: Tensor, tokens: PointTokens) -> Any:
        """Compute the outputs that are compared with the targets.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            tokens (PointTokens): All tokens of these points.

        Returns:
            Any: For :meth:`compute_losses`.
        """

    @abstractmethod
    def compute_losses(self, outputs: Any, tokens: PointTokens,
                       targets: Any) -> Dict[str, Tensor]:
        """Compare.

        Args:
            outputs (Any): Of :meth:`predict`.
            tokens (PointTokens): All tokens.
            targets (Any): Of the target generator.

        Returns:
            Dict[str, Tensor]: Losses by name.
        """

    def token_predictions(self, outputs: Any,
                          tokens: PointTokens) -> Optional[Predictions]:
        """Predictions for hooks that watch whether tokens become alike.

        Args:
            outputs (Any): Of :meth:`predict`.
            tokens (PointTokens): All tokens.

        Returns:
            Optional[Predictions]: None, the default, for a method whose
            tokens have no predictions; never of padding.
        """
        return None

    def view(self, inputs: Dict[str, Any]) -> FeatureView:
        """Tokens of a batch for hooks that watch or draw them.

        Args:
            inputs (Dict[str, Any]): See :meth:`forward`.

        Returns:
            FeatureView: One place a token; a point shows its own token or,
            where tokens overlap, the one with the nearest center.
        """
        points, tokens = self.tokenize(**inputs)
        features = self.backbone.encode_tokens(points, tokens)
        outputs = self.predict_inputs(inputs, points, tokens)
        predictions = self.token_predictions(outputs, tokens)
        if predictions is not None:
            predictions = predictions._replace(
                values=predictions.values.float())
        return FeatureView(points, features.float(), ~tokens.is_padding,
                           nearest_tokens(points, tokens), predictions)


@torch.no_grad()
def nearest_tokens(points: Tensor, tokens: PointTokens) -> Tensor:
    """The token of each point.

    Args:
        points (Tensor): (B, N, 3) xyz, meters.
        tokens (PointTokens): Tokens of these points.

    Returns:
        Tensor: (B, N) int64, the token that a point belongs to; for tokens
        that overlap, the one with the nearest center.
    """
    if tokens.point_tokens is not None:
        return tokens.point_tokens
    centers = tokens.centers.masked_fill(tokens.is_padding[..., None], 1e6)
    return three_nn(points, centers)[1][..., 0].long()
