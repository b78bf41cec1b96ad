"""Tokens of a padded batch without their padding.

Shapes: B scenes, G padded places, T tokens of all scenes, C channels.
"""
from typing import NamedTuple, Optional, Tuple

import numpy as np
from torch import Tensor

from sam3d_plugin.ops.transfer import to_device


class TokenPacking(NamedTuple):
    """Where the T tokens of B scenes stand among the B * G padded places."""

    shape: Tuple[int, int]  # B and G
    places: Tensor  # (T,) int64, flat place of each token, ascending
    scenes: Tensor  # (T,) int64, the scene of each token
    # (B + 1,) int32, where the tokens of each scene begin among the T; the
    # last is T
    starts: Tensor
    longest: int  # Most tokens of a scene
    is_key: Tensor  # (B, 1, 1, G) bool, True where there is a token

    def pack(self, x: Tensor) -> Tensor:
        """Remove the padding.

        Args:
            x (Tensor): (B, G, C).

        Returns:
            Tensor: (T, C).
        """
        return x.flatten(0, 1).index_select(0, self.places)

    def pad(self, x: Tensor) -> Tensor:
        """Put every token in its place.

        Args:
            x (Tensor): (T, C).

        Returns:
            Tensor: (B, G, C), zero for padding.
        """
        num_scenes, num_places = self.shape
        padded = x.new_zeros((num_scenes * num_places, x.shape[-1]))
        return padded.index_copy(0, self.places, x).unflatten(0, self.shape)


def find_packing(is_padding: Tensor,
                 num_tokens: Optional[np.ndarray]) -> Optional[TokenPacking]:
    """Find the tokens among the padding.

    Args:
        is_padding (Tensor): (B, G) bool.
        num_tokens (Optional[np.ndarray]): (B,) tokens of each scene, which
            come before its padding. None when only a GPU knows: then the CPU
            waits for it.

    Returns:
        Optional[TokenPacking]: None without padding.
    """
    if num_tokens is None:
        is_token = ~is_padding.cpu().numpy()
    else:
        places = np.arange(is_padding.shape[1])
        is_token = places < num_tokens[:, None]
    if is_token.all():
        return None
    counts = is_token.sum(1)
    starts = np.append(0, counts.cumsum()).astype(np.int32)
    device = is_padding.device
    return TokenPacking(
        shape=(len(is_token), is_token.shape[1]),
        places=to_device(np.flatnonzero(is_token), device),
        scenes=to_device(np.nonzero(is_token)[0], device),
        starts=to_device(starts, device),
        longest=int(counts.max()),
        is_key=~is_padding[:, None, None, :])
