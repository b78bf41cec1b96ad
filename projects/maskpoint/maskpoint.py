"""MaskPoint (Liu et al., ECCV 2022) on the tokens of scene frames.

Shapes: B frames, N points, G tokens, V visible tokens, Q queries, C channels.
"""
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.heads.defaults import LINEAR_INIT
from sam3d_plugin.models.necks import CrossAttentionBlock
from sam3d_plugin.models.pretrainers import MaskedPointPretrainer
from sam3d_plugin.models.pretrainers.masking import frame_generators
from sam3d_plugin.ops import furthest_point_sample, three_nn
from sam3d_plugin.ops.focal_loss import sigmoid_focal_loss
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens

# Masks have other random numbers.
QUERIES = 2


class OccupancyQueries(NamedTuple):
    """Places at which a point is, or is not."""

    xyz: Tensor  # (B, Q, 3) meters
    # (B, Q) int64: 1 real, 0 fake, -1 a fake too close to the points to count
    labels: Tensor


@torch.no_grad()
def draw_queries(
        points: Tensor, num_real: int, num_fake: int,
        generators: Sequence[np.random.Generator]) -> OccupancyQueries:
    """Choose real points, and places that are away from them (section 3.2).

    Real ones are furthest point samples, fakes are uniform in their box.
    Fakes nearer to a point than real ones are, on average, to the next point
    do not count.

    Args:
        points (Tensor): (B, N, 3) xyz, meters.
        num_real (int): Real queries of a frame.
        num_fake (int): Fake queries of a frame.
        generators (Sequence[np.random.Generator]): One per frame.

    Returns:
        OccupancyQueries: Real ones first.

    Raises:
        ValueError: When frames have fewer points than real queries.
    """
    if points.shape[1] < max(num_real, 2):
        raise UserError(f'frames of {points.shape[1]} points are too small '
                        f'for num_real={num_real}: load more points')
    chosen = furthest_point_sample(points, num_real).long()
    real = points.gather(1, chosen[..., None].expand(-1, -1, 3))
    draws = np.stack([g.random((num_fake, 3)) for g in generators])
    low, high = real.amin(1, True), real.amax(1, True)
    fake = low + (high - low) * to_device(
        draws.astype(np.float32), points.device)
    # The nearest point of a real one is itself.
    spacing = three_nn(real, points)[0][..., 1].mean(1, keepdim=True)
    is_close = three_nn(fake, points)[0][..., 0] < spacing
    labels = torch.cat((torch.ones_like(chosen), -is_close.long()), dim=1)
    return OccupancyQueries(torch.cat((real, fake), dim=1), labels)


@MODELS.register_module()
class CrossAttentionDecoder(BaseModule):
    """One pre-norm block in which places look at visible tokens.

    A place enters as the embedding of its coordinates alone.

    Args:
        embed_dims (int): Channels C. Defaults to 256.
        num_heads (int): Attention heads. Defaults to 4.
        mlp_ratio (float): Width of the MLP over C. Defaults to 4.
        position_dims (int): Hidden width of the position MLP. Defaults to
            128.
        init_cfg (Optional[dict]): Initialization config. None is torch's,
            which does not shrink the position embedding.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 num_heads: int = 4,
                 mlp_ratio: float = 4.,
                 position_dims: int = 128,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.position_embedding = nn.Sequential(
            nn.Linear(3, position_dims), nn.GELU(),
            nn.Linear(position_dims, embed_dims))
        self.block = CrossAttentionBlock(embed_dims, num_heads, mlp_ratio)
        self.norm = nn.LayerNorm(embed_dims)

    def forward(self, xyz: Tensor, memory: Tensor,
                is_padding: Tensor) -> Tensor:
        """Describe places by the tokens around them.

        Args:
            xyz (Tensor): (B, Q, 3) places, meters.
            memory (Tensor): (B, V, C) encoded visible tokens.
            is_padding (Tensor): (B, V) bool, True for tokens that are never
                looked at.

        Returns:
            Tensor: (B, Q, C) after the last norm.
        """
        queries = self.position_embedding(xyz)
        return self.norm(self.block(queries, memory, is_padding))


@MODELS.register_module()
class OccupancyHead(BaseModule):
    """Whether a place is a point: two logits and their focal loss.

    Args:
        in_channels (int): Channels of the decoder. Defaults to 256.
        hidden_channels (int): Hidden width. Defaults to 64.
        alpha (float): Weight of a logit that should be high; others have the
            rest to 1. Defaults to 0.25.
        gamma (float): Power of the focus. Defaults to 2.
        init_cfg (Optional[dict]): Initialization config.
    """

    def __init__(self,
                 in_channels: int = 256,
                 hidden_channels: int = 64,
                 alpha: float = 0.25,
                 gamma: float = 2.,
                 init_cfg: Optional[dict] = LINEAR_INIT) -> None:
        super().__init__(init_cfg)
        self.alpha, self.gamma = alpha, gamma
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, 2))

    def forward(self, decoded: Tensor) -> Tensor:
        """Logits (B, Q, 2) of fake and real from places (B, Q, C)."""
        return self.mlp(decoded)

    def loss(self, decoded: Tensor, labels: Tensor) -> Dict[str, Tensor]:
        """Compare with what the places are.

        Args:
            decoded (Tensor): (B, Q, C) decoded places.
            labels (Tensor): (B, Q) int64, see :class:`OccupancyQueries`.

        Returns:
            Dict[str, Tensor]: ``loss_occupancy``, the mean over logits, the
            places that count, and frames; ``accuracy``, for the log.
        """
        logits = self(decoded)
        is_counted = labels >= 0
        losses = sigmoid_focal_loss(
            logits.flatten(0, 1),
            labels.clamp(min=0).flatten(),
            self.gamma,
            self.alpha,
            reduction='none').mean(-1).view_as(is_counted)
        is_right = (logits.argmax(-1) == labels).float()
        return dict(
            loss_occupancy=frame_mean(losses, is_counted),
            accuracy=frame_mean(is_right, is_counted))


@MODELS.register_module()
class MaskPoint(MaskedPointPretrainer):
    """Tell real points from fake ones, seeing a share of the tokens.

    Args:
        num_real (int): Real queries of a frame.
        num_fake (int): Fake queries of a frame.
        **kwargs (Any): See :class:`MaskedPointPretrainer`; the decoder is a
            ``CrossAttentionDecoder``, the head an ``OccupancyHead``.
    """

    def __init__(self, *, num_real: int, num_fake: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_real = num_real
        self.num_fake = num_fake

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Encode visible tokens, then ask them about places of the frame."""
        points, tokens = self.tokenize(**inputs)
        queries = self.queries(points)
        return self.compute_losses(
            self.predict(points, tokens), tokens, queries)

    def queries(self, points: Tensor) -> OccupancyQueries:
        """Queries of a step (B, N, 3), from seed and frame number."""
        generators = frame_generators(
            self.seed, self.frame_numbers(len(points)), purpose=QUERIES)
        return draw_queries(points, self.num_real, self.num_fake, generators)

    def predict(self, points: Tensor, tokens: PointTokens) -> tuple:
        """Encode the visible tokens; queries come later."""
        return self.encode_visible(points, tokens)

    def compute_losses(self, outputs: tuple, tokens: PointTokens,
                       targets: OccupancyQueries) -> Dict[str, Tensor]:
        """See :meth:`OccupancyHead.loss`."""
        visible, encoded, _ = outputs
        decoded = self.decoder(targets.xyz, encoded, visible.tokens.is_padding)
        return self.head.loss(decoded, targets.labels)

    def token_predictions(self, outputs: tuple, tokens: PointTokens) -> None:
        """Nothing is predicted for tokens."""
        return None
