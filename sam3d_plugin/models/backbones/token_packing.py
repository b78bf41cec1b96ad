"""Tokens of a padded batch without their padding."""
from typing import NamedTuple, Tuple

from torch import Tensor


class TokenPacking(NamedTuple):
    """Where the T tokens of B scenes stand among the B * G padded places.

    Attributes:
        shape (Tuple[int, int]): B and G.
        places (Tensor): (T,) int64, flat place of each token, ascending.
        is_key (Tensor): (B, 1, 1, G) bool, True where there is a token.
    """

    shape: Tuple[int, int]
    places: Tensor
    is_key: Tensor

    @property
    def scenes(self) -> Tensor:
        """Tensor: (T,) int64, the scene of each token."""
        return self.places.div(self.shape[1], rounding_mode='floor')

    def pack(self, x: Tensor) -> Tensor:
        """Leave the padding out.

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
        num_scenes, num_tokens = self.shape
        padded = x.new_zeros((num_scenes * num_tokens, x.shape[-1]))
        return padded.index_copy(0, self.places, x).unflatten(0, self.shape)


def find_packing(is_padding: Tensor) -> TokenPacking:
    """Find the tokens among the padding.

    Args:
        is_padding (Tensor): (B, G) bool.

    Returns:
        TokenPacking: Of the tokens that are no padding.
    """
    num_scenes, num_tokens = is_padding.shape
    is_token = ~is_padding
    places = is_token.flatten().nonzero().squeeze(1)
    return TokenPacking((num_scenes, num_tokens), places, is_token[:, None,
                                                                   None, :])
