"""Base of all tokenizers."""
import logging
from abc import abstractmethod
from typing import Any, Dict, Optional

from mmdet3d.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn

from sam3d_plugin.structures import PointTokens


class BaseTokenizer(nn.Module):
    """Points of a batch of scenes to tokens.

    Attributes:
        uses_regions (bool): Whether region ids are needed.
        num_tokens (int): Tokens of a scene G, or the most of them.
    """

    uses_regions = False
    num_tokens: int

    @property
    @abstractmethod
    def points_needed(self) -> int:
        """int: Points a scene must have at least."""

    @abstractmethod
    def summary(self) -> str:
        """Return the tokenizer in a few words, for the log."""

    @abstractmethod
    def forward(self,
                points: Tensor,
                region_ids: Optional[Tensor] = None) -> PointTokens:
        """Tokenize a batch of scenes.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            region_ids (Optional[Tensor]): (B, N) int64 region of each point,
                0 = none.

        Returns:
            PointTokens: Tokens of all scenes.

        Raises:
            ValueError: When a scene has too few points, or region ids are
                needed and missing.
        """


def describe_tokenizer(settings: Dict[str, Any]) -> str:
    """Describe a tokenizer in a few words, for the log.

    Args:
        settings (Dict[str, Any]): Its config.

    Returns:
        str: Its summary; its type if that is not registered, '' for none.
    """
    if not settings or MODELS.get(settings['type']) is None:
        return str(settings.get('type', ''))
    return MODELS.build(settings).summary()


def log_other_tokens(source: str, trained: Dict[str, Any], own: str) -> None:
    """Log that a model was trained on other tokens than it gets.

    Args:
        source (str): Its file.
        trained (Dict[str, Any]): Config of the tokenizer that it was trained
            with; empty if unknown.
        own (str): Summary of the tokenizer in use.
    """
    tokens = describe_tokenizer(trained)
    if tokens and tokens != own:
        print_log(
            f'{source} was trained on other tokens: {tokens}, here {own}',
            logger='current',
            level=logging.WARNING)
