"""Seal (Liu et al., NeurIPS 2023) on the tokens of scene frames.

Shapes: B pairs of frames, N points, P point pairs, R rows of segments (see
``segments.py``), C channels.
"""
from typing import Any, Dict, List, NamedTuple, Optional

import torch
import torch.nn.functional as F
from mmdet3d.registry import MODELS
from mmdet3d.structures import Det3DDataSample
from torch import Tensor, nn

from sam3d_plugin.models.heads import check_width
from sam3d_plugin.models.pretrainers import BasePretrainer, check_pairs
from sam3d_plugin.models.pretrainers.base import clouds_of
from sam3d_plugin.models.target_generators import look_up_regions
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.store.errors import UserError, check_shares
from .segments import match_segments, point_to_segment, segment_means


class Segments(NamedTuple):
    """Points and segments of both frames of each pair."""

    points: Tensor  # (B, 2, N, C) float32 features of points, length 1
    ids: Tensor  # (B, 2, N) int64 segment of each point, 0 = none
    means: Tensor  # (B, 2, R, C) float32 mean of a segment's points
    images: Tensor  # (B, 2, R, C) float32 image feature, length 1
    has_points: Tensor  # (B, 2, R) bool


@MODELS.register_module()
class Seal(BasePretrainer):
    """Segments agree with images, over time, and with their points.

    Three contrasts (section 3): a segment must find the image feature of its
    region among those of the first, or of the second, frames of the batch,
    the same object in the second frame among the segments of all second
    frames that were matched with one of a first frame, and a point its own
    segment among those of its frame.

    Args:
        backbone (dict): Config of a ``TokenEncoder``.
        projector (dict): Config of a ``PointProjector``.
        contrast (dict): Config of an ``InfoNCELoss``.
        image_channels (int): Channels of the stored region features.
        min_overlap (float): Share of the smaller of two segments that they
            must have in common to be one object.
        **kwargs (Any): See :class:`BasePretrainer`.
    """

    views = 2

    def __init__(self,
                 backbone: dict,
                 projector: dict,
                 contrast: dict,
                 image_channels: int,
                 min_overlap: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        check_shares('Seal', min_overlap=min_overlap)
        self.projector = MODELS.build(projector)
        self.contrast = MODELS.build(contrast)
        self.image_projector = nn.Linear(image_channels,
                                         self.projector.out_channels)
        self.min_overlap = min_overlap

    def loss(
            self, inputs: Dict[str, Any],
            data_samples: Optional[List[Det3DDataSample]]
    ) -> Dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Dict[str, Any]): ``points`` (B, 2, N, 3 + D) with region
                ids, and of ``FindCorrespondences`` ``pairs`` (B, P, 2) and
                ``is_pair`` (B, P).
            data_samples (Optional[List[Det3DDataSample]]): B pairs of frames
                with the regions of both.

        Returns:
            Dict[str, Tensor]: ``loss_image``, ``loss_time`` and
            ``loss_point``.

        Raises:
            UserError: For a batch without two views, pairs or regions.
        """
        check_pairs(inputs, ('pairs', 'is_pair'))
        segments = self.segment(inputs, data_samples)
        clouds = [values.flatten(0, 1) for values in segments]
        points, ids, means, _, has_points = clouds
        return dict(
            loss_image=self.contrast_images(segments),
            loss_time=self.contrast_times(segments, inputs['pairs'],
                                          inputs['is_pair']),
            loss_point=point_to_segment(points, ids, means, has_points,
                                        self.contrast.temperature))

    def segment(self, inputs: Dict[str, Any],
                data_samples: Optional[List[Det3DDataSample]]) -> Segments:
        """Project the points and pool those of each region."""
        clouds = clouds_of(inputs['points'])
        tokens, features = self.backbone.encode(clouds)
        points = self.projector(clouds[..., :3].contiguous(), tokens, features)
        column = inputs.get('region_ids')
        ids = self.backbone.read_region_ids(
            clouds, None if column is None else column.flatten(0, 1))
        num_rows = int(ids.max()) + 1
        ids = to_device(ids, points.device)
        means, has_points = segment_means(points, ids, num_rows)
        images = self.project_images(has_points, views_of(data_samples))
        return Segments(*(values.unflatten(0, (-1, 2))
                          for values in (points, ids, means, images,
                                         has_points)))

    def project_images(self, has_points: Tensor,
                       samples: List[Det3DDataSample]) -> Tensor:
        """Image features (S, R, C) of the segments (S, R) of each cloud."""
        rows = torch.arange(has_points.shape[1], device=has_points.device)
        stored = look_up_regions(rows * has_points, samples).features
        check_width(stored, self.image_projector.in_features, 'region', 'Seal',
                    'image_channels')
        return F.normalize(self.image_projector(stored).float(), dim=-1)

    def contrast_images(self, segments: Segments) -> Tensor:
        """Find the image feature of each segment.

        First and second frames are sets of their own, so that an object is
        not told from its image in the other frame.
        """
        means, images, has_points = (
            values.transpose(0, 1).flatten(1, 2)
            for values in (segments.means, segments.images,
                           segments.has_points))
        return self.contrast(means, images, has_points)

    def contrast_times(self, segments: Segments, pairs: Tensor,
                       is_pair: Tensor) -> Tensor:
        """Find each segment of the first frame in the second one.

        Among the segments of all second frames that were matched.
        """
        first, second = (
            segments.ids[:, view].gather(1, pairs[..., view])
            for view in (0, 1))
        queries, keys = segments.means.unbind(1)
        partner = match_segments(first, second, is_pair, keys.shape[1],
                                 self.min_overlap)
        keys = keys.gather(1, partner[..., None].expand_as(keys))
        queries, keys, is_match = (
            values.flatten(0, 1)[None]
            for values in (queries, keys, partner > 0))
        return self.contrast(queries, keys, is_match)


def views_of(
        data_samples: Optional[List[Det3DDataSample]]
) -> List[Det3DDataSample]:
    """A data sample of each view.

    Args:
        data_samples (Optional[List[Det3DDataSample]]): B samples, whose
            ``regions`` are those of two views.

    Returns:
        List[Det3DDataSample]: 2 B samples, view index fastest.

    Raises:
        UserError: When the views come without regions.
    """
    views = []
    for sample in data_samples or ():
        regions = sample.get('regions')
        if not isinstance(regions, list):
            raise UserError('views come without region features: put '
                            'LoadRegionTargets into the transforms of '
                            'TwoViews')
        for view in regions:
            views.append(Det3DDataSample(metainfo=sample.metainfo))
            views[-1].regions = view
    return views
