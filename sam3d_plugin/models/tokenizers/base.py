"""Base of all tokenizers."""
from abc import abstractmethod
from typing import Optional

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
