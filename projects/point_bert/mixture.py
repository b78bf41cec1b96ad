"""Mixtures of two scenes, token by token (Point-BERT, section 3.4).

Shapes: B scenes, G tokens.
"""
from typing import NamedTuple, Sequence

import numpy as np
import torch
from torch import Tensor


class Mixture(NamedTuple):
    """How scenes are mixed: each with the one at its place from the end."""

    share: Tensor  # (B,) in [0, 1], the expected share of a scene's own tokens
    is_own: Tensor  # (B, G) bool, False where the other's token stands

    def mix(self, values: Tensor) -> Tensor:
        """Mix values (B, G, ...) of tokens."""
        is_own = self.is_own.reshape(*self.is_own.shape,
                                     *[1] * (values.dim() - 2))
        return torch.where(is_own, values, values.flip(0))

    def labels(self) -> Tensor:
        """Shares (B, B) of each scene in the mixed ones."""
        return torch.diag(self.share) + torch.diag(1 - self.share).flip(1)


def draw_mixture(num_tokens: int,
                 generators: Sequence[np.random.Generator]) -> Mixture:
    """Draw the share of each scene from [0, 1), and the tokens that stay.

    Returns a mixture on the CPU.
    """
    shares = [generator.uniform() for generator in generators]
    is_own = [
        generator.uniform(size=num_tokens) < share
        for share, generator in zip(shares, generators)
    ]
    return Mixture(
        torch.tensor(shares, dtype=torch.float32),
        torch.from_numpy(np.stack(is_own)))
