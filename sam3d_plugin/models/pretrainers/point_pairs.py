"""Base of methods that contrast matched points of two views.

Shapes: B pairs of views, N points of a view, P point pairs, C channels.
"""
from abc import abstractmethod
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor

from sam3d_plugin.ops.propagation import gather_tokens
from ...store.errors import UserError
from .base import BasePretrainer, clouds_of
from .tokens import build_slot
from .views import split_views


class PointPairs(NamedTuple):
    """Features of points of two views that are the same place."""

    queries: Tensor  # (B, P, C) of the first view, length 1
    keys: Tensor  # (B, P, C) of the second view, length 1
    places: Tensor  # (B, P, 3) where the queries are in the world, meters
    is_pair: Tensor  # (B, P) bool, False for pairs that fill up a batch


def check_pairs(
    inputs: Dict[str, Any],
    names: Sequence[str] = ('pairs', 'is_pair', 'places')
) -> None:
    """Refuse a batch without two views or without pairs.

    Args:
        inputs (Dict[str, Any]): See :meth:`PointPairPretrainer.loss`.
        names (Sequence[str]): What it must have of ``FindCorrespondences``.

    Raises:
        UserError: With the steps that the pipeline lacks.
    """
    split_views(inputs['points'])
    missing = [name for name in names if name not in inputs]
    if missing:
        raise UserError(f'a batch has no {", ".join(missing)}: '
                        'put FindCorrespondences into train_pipeline and '
                        'its keys into PackPretrainInputs')


class PointPairPretrainer(BasePretrainer):
    """Encode both views, project the matched points, contrast them.

    Batches come from ``TwoViews`` and ``FindCorrespondences``. A method
    overrides :meth:`contrast`.

    Args:
        backbone (dict): Config of a ``TokenEncoder``, or without a projector
            of any backbone.
        projector (Optional[dict]): Config of a ``PointProjector``. None
            compares what the backbone itself gives the points.
        pair_loss (dict): Config of the loss of matched features.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    views = 2

    def __init__(self, backbone: dict, projector: Optional[dict],
                 pair_loss: dict, **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        self.projector = build_slot(projector)
        self.pair_loss = MODELS.build(pair_loss)

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, 2, N, 3 + D), and of
                ``FindCorrespondences`` ``pairs`` (B, P, 2), ``is_pair``
                (B, P) and ``places`` (B, P, 3).
            data_samples (Optional[List[Det3DDataSample]]): Unused.

        Returns:
            Dict[str, Tensor]: ``loss_contrast``.

        Raises:
            UserError: For a batch without two views or without pairs.
        """
        check_pairs(inputs)
        return dict(loss_contrast=self.contrast(self.match(**inputs)))

    def match(self, points: Tensor, pairs: Tensor, is_pair: Tensor,
              places: Tensor, **others: Any) -> PointPairs:
        """Project the points of every pair; see :meth:`loss`."""
        chosen = pairs.transpose(1, 2).flatten(0, 1)
        projected = self.project(clouds_of(points), chosen)
        queries, keys = projected.unflatten(0, (-1, 2)).unbind(1)
        return PointPairs(queries, keys, places, is_pair)

    def project(self, clouds: Tensor, chosen: Tensor) -> Tensor:
        """Features of some points.

        Args:
            clouds (Tensor): (2 B, N, 3 + D) all views.
            chosen (Tensor): (2 B, P) int64 points of each.

        Returns:
            Tensor: (2 B, P, C) float32 of length 1.
        """
        if self.projector is None:
            features = self.backbone.point_features(clouds)
            return F.normalize(gather_tokens(features, chosen).float(), dim=-1)
        tokens, features = self.backbone.encode(clouds)
        matched = gather_tokens(clouds[..., :3], chosen)
        return self.projector(matched, tokens, features)

    @abstractmethod
    def contrast(self, pairs: PointPairs) -> Tensor:
        """Compare the features of both views.

        Args:
            pairs (PointPairs): Of :meth:`match`.

        Returns:
            Tensor: () the loss.
        """
