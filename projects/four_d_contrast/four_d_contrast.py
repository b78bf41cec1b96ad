"""4DContrast (Chen et al., ECCV 2022) on the tokens of scene frames.

Rebuilt from the paper's description; no code was published. Shapes: B
sequences, T steps, N points, G tokens, P tracked points, C channels.
"""
from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModule
from torch import Tensor, nn

from sam3d_plugin.models.heads import frame_mean
from sam3d_plugin.models.pretrainers import BasePretrainer, origin_columns
from sam3d_plugin.models.pretrainers.base import clouds_of
from sam3d_plugin.ops.propagation import gather_tokens
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.structures import PointTokens


class TemporalEncoder(BaseModule):
    """Let the tokens of all steps of a sequence see each other.

    Args:
        transformer (dict): Config of a ``PlainPointTransformer``.
        num_views (int): Steps T.
    """

    def __init__(self, transformer: dict, num_views: int) -> None:
        super().__init__()
        self.transformer = MODELS.build(transformer)
        self.time_embedding = nn.Parameter(
            torch.zeros(num_views, self.transformer.embed_dims))
        nn.init.trunc_normal_(self.time_embedding, std=.02)

    def forward(self, features: Tensor, places: Tensor,
                is_padding: Tensor) -> Tensor:
        """Encode sequences.

        Args:
            features (Tensor): (B T, G, C) of the tokens of every step.
            places (Tensor): (B T, G, 3) where they are, in a frame of
                reference that all steps of a sequence share, meters.
            is_padding (Tensor): (B T, G) bool.

        Returns:
            Tensor: (B T, G, C), undefined for padding.
        """
        num_views, num_tokens = len(self.time_embedding), features.shape[1]
        timed = features.unflatten(0, (-1, num_views))
        timed = timed + self.time_embedding[:, None]
        places, padding = (
            values.unflatten(0, (-1, num_views)).flatten(1, 2)
            for values in (places, is_padding))
        is_token = ~padding[..., None]
        middle = (places * is_token).sum(1, True) / is_token.sum(1, True)
        encoded = self.transformer(
            timed.flatten(1, 2), places - middle, padding)
        return encoded.unflatten(1, (num_views, num_tokens)).flatten(0, 1)


@MODELS.register_module()
class SimSiamLoss(BaseModule):
    """A predictor of each feature must find its pair, which does not move.

    Of Chen and He (CVPR 2021); without negatives.

    Args:
        channels (int): Channels C. Defaults to 32.
        hidden_channels (int): Of the predictor. Defaults to 64.
    """

    def __init__(self, channels: int = 32, hidden_channels: int = 64) -> None:
        super().__init__()
        self.predictor = nn.Sequential(
            nn.Linear(channels, hidden_channels), nn.ReLU(),
            nn.Linear(hidden_channels, channels))

    def forward(self, queries: Tensor, keys: Tensor,
                is_pair: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            queries (Tensor): (S, P, C).
            keys (Tensor): (S, P, C).
            is_pair (Tensor): (S, P) bool.

        Returns:
            Tensor: () 1 minus the cosine, mean of both directions, over the
            pairs of a set, then over sets; a set without pairs counts as 0.
        """
        losses = [
            1 - F.cosine_similarity(self.predictor(mine), theirs.detach(), -1)
            for mine, theirs in ((queries, keys), (keys, queries))
        ]
        return frame_mean((losses[0] + losses[1]) / 2, is_pair)


@MODELS.register_module()
class FourDContrast(BasePretrainer):
    """Learn what stays the same while an object moves.

    A frame with a moving object is encoded step by step by the backbone (3D),
    and all steps together by a temporal encoder behind it (4D), which only
    helps to train. Features of points that are the same are contrasted: 3D
    features of a step and the next, 3D and 4D features of a step, and 4D
    features of a step and the next.

    Args:
        num_views (int): Steps T.
        projector (dict): Config of a ``PointProjector``, one for 3D and one
            for 4D features.
        temporal (dict): Config of the ``PlainPointTransformer`` behind the
            backbone.
        contrast (dict): Config of the loss of matched features.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    def __init__(self, *, num_views: int, projector: dict, temporal: dict,
                 contrast: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.views = num_views
        self.projector = MODELS.build(projector)
        self.temporal_encoder = TemporalEncoder(temporal, num_views)
        self.temporal_projector = MODELS.build(projector)
        self.contrast = MODELS.build(contrast)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Contrast 3D and 4D features.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, T, N, 6) with the column
                ``origin``, and of ``PlaceMovingObject`` ``tracks`` (B, T, P)
                and ``is_seen`` (B, T, P).
            data_samples (Optional[List[Det3DDataSample]]): B frames, which
                name the columns.

        Returns:
            Dict[str, Tensor]: ``loss_3d``, ``loss_3d_4d``, ``loss_4d``, and
            ``num_pairs``, the mean number of points that two steps share.

        Raises:
            UserError: For a batch without T views or tracks.
        """
        points = inputs['points']
        if points.dim() != 4 or points.shape[1] != self.views:
            raise UserError(
                f'points are {tuple(points.shape)}, not (frames, {self.views},'
                ' points, columns): set num_views of PlaceMovingObject to that'
                ' of the model, and put TwoViews behind it')
        if not {'tracks', 'is_seen'} <= inputs.keys():
            raise UserError('a batch has no tracks and is_seen: put the keys '
                            'of PlaceMovingObject into PackPretrainInputs')
        origin = origin_columns(data_samples, '4DContrast')
        still, moving = self.features(points, inputs['tracks'], origin)
        is_seen = inputs['is_seen']
        is_shared = is_seen[:, :-1] & is_seen[:, 1:]
        terms = dict(
            loss_3d=(still[:, :-1], still[:, 1:], is_shared),
            loss_3d_4d=(still, moving, is_seen),
            loss_4d=(moving[:, :-1], moving[:, 1:], is_shared))
        losses = {
            name: self.contrast(*(values.flatten(0, 1) for values in pairs))
            for name, pairs in terms.items()
        }
        return dict(losses, num_pairs=is_shared.sum(-1).float().mean())

    def features(self, points: Tensor, tracks: Tensor,
                 origin: List[int]) -> Tuple[Tensor, Tensor]:
        """3D and 4D features (B, T, P, C) of the tracked points."""
        clouds = clouds_of(points)
        tokens, encoded = self.backbone.encode(clouds)
        places = gather_tokens(clouds[..., origin], tokens.anchor_indices)
        timed = self.temporal_encoder(encoded, places, tokens.is_padding)
        chosen = tracks.flatten(0, 1)
        matched = gather_tokens(clouds[..., :3], chosen)
        return (_of_steps(self.projector, matched, tokens, encoded, points),
                _of_steps(self.temporal_projector, matched, tokens, timed,
                          points))


def _of_steps(projector: nn.Module, matched: Tensor, tokens: PointTokens,
              features: Tensor, points: Tensor) -> Tensor:
    """Project points of all steps, (B, T, P, C)."""
    projected = projector(matched, tokens, features)
    return projected.unflatten(0, points.shape[:2])
