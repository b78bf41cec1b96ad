"""Output of the tokenizers."""
from dataclasses import dataclass
from typing import Optional

import numpy as np
from torch import Tensor


@dataclass
class PointTokens:
    """The tokens of a batch of scenes, before they are embedded.

    B scenes, N points, G tokens, M (point, token) memberships. Memberships
    are one flat list for the whole batch, sorted by token, because tokens
    hold different numbers of points and padding them would cost time and
    spoil batch statistics. Point ``n`` of scene ``b`` is ``b * N + n``,
    token ``g`` of scene ``b`` is ``b * G + g``.

    Attributes:
        centers (Tensor): (B, G, 3) token centers, frame of the points,
            meters; zero for padding.
        anchor_indices (Tensor): (B, G) int64, the member point of each token
            nearest to its center, counted within the scene; 0 for padding.
        region_ids (Tensor): (B, G) int64, the region a token belongs to;
            0 = in no region, and for padding.
        is_padding (Tensor): (B, G) bool, True where there is no token.
        member_points (Tensor): (M,) int64 flat point indices.
        member_offsets (Tensor): (B * G + 1,) int64, where the members of
            each token begin in ``member_points``; the last is M.
        point_tokens (Optional[Tensor]): (B, N) int64, the token each point
            belongs to, when each belongs to exactly one; else None.
        num_tokens (Optional[np.ndarray]): (B,) int64, tokens of each scene
            that are not padding, where the CPU knows them; padding is last.
    """

    centers: Tensor
    anchor_indices: Tensor
    region_ids: Tensor
    is_padding: Tensor
    member_points: Tensor
    member_offsets: Tensor
    point_tokens: Optional[Tensor] = None
    num_tokens: Optional[np.ndarray] = None

    @property
    def padding_on_cpu(self) -> np.ndarray:
        """np.ndarray: (B, G) bool, ``is_padding``, without a wait if known."""
        if self.num_tokens is None:
            return self.is_padding.cpu().numpy()
        places = np.arange(self.is_padding.shape[1])
        return places >= self.num_tokens[:, None]

    @property
    def member_counts(self) -> Tensor:
        """Tensor: (B, G) int64, number of points of each token."""
        counts = self.member_offsets[1:] - self.member_offsets[:-1]
        return counts.reshape(self.is_padding.shape)
