"""Tokens from SAM regions."""
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmdet3d.registry import MODELS
from torch import Tensor

from sam3d_plugin.ops import (allocate_parts, segment_centers, sort_by_segment,
                              split_segments)
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError
from .base import BaseTokenizer


class TokenPlan(NamedTuple):
    """Assignment of the points of one scene to tokens.

    S sources: the kept regions by ascending id and, last, the *rest*: all
    points of no region, of a region too small, or of one beyond the limit.
    """

    # (max id + 1,) int64, the source that the points of a region id belong to
    source_of_id: np.ndarray
    # (S,) int64 region id of each source, 0 for the rest
    source_ids: np.ndarray
    num_parts: np.ndarray  # (S,) int64 tokens of each source


@MODELS.register_module()
class SAMTokenizer(BaseTokenizer):
    """SAM-guided tokens: no token holds points of two regions.

    Every point is in exactly one token. Tokens are ordered by region id;
    those of points in no token-sized region come last and have id 0. With
    ``split=False`` (paper, section 3.2) a region is one token, and scenes of
    a batch are padded to the same number of tokens. With ``split=True``
    large regions are cut by furthest point sampling until the scene has
    exactly ``num_tokens`` tokens.

    Args:
        split (bool): Whether large regions are cut. Defaults to False.
        num_tokens (int): With ``split``, the tokens of a scene; without,
            the most regions that become tokens, largest first.
            Defaults to 256.
        min_points (int): Points a region must have to become a token.
            Defaults to 16.
        points_per_rest_token (int): Without ``split``, how many points of no
            region share a token. Defaults to 128.
    """

    uses_regions = True

    def __init__(self,
                 split: bool = False,
                 num_tokens: int = 256,
                 min_points: int = 16,
                 points_per_rest_token: int = 128) -> None:
        super().__init__()
        if min(num_tokens, min_points, points_per_rest_token) < 1:
            raise UserError('num_tokens, min_points and '
                            'points_per_rest_token must be >= 1')
        self.split = split
        self.num_tokens = num_tokens
        self.min_points = min_points
        self.points_per_rest_token = points_per_rest_token

    @property
    def points_needed(self) -> int:
        """int: Points a scene must have at least."""
        return self.num_tokens if self.split else 1

    def summary(self) -> str:
        """See :class:`BaseTokenizer`."""
        if self.split:
            return f'sam {self.num_tokens} (split regions)'
        return f'sam, one per region, at most {self.num_tokens}'

    @torch.no_grad()
    def forward(self,
                points: Tensor,
                region_ids: Optional[Tensor] = None) -> PointTokens:
        """Tokenize a batch of scenes.

        Args:
            points (Tensor): (B, N, 3) xyz, meters.
            region_ids (Optional[Tensor]): (B, N) int64 region of each point,
                0 = none.

        Returns:
            PointTokens: Tokens of all scenes, with ``point_tokens``.

        Raises:
            ValueError: Without region ids, without points, or with fewer
                points than tokens when regions are split.
        """
        if region_ids is None:
            raise UserError(
                'SAMTokenizer needs region ids: put LoadRegionIds after '
                'LoadPointsFromFile in the pipeline, or use KNNTokenizer')
        num_scenes, num_points, _ = points.shape
        if num_points < self.points_needed:
            raise UserError(
                f'{self.summary()} needs at least {self.points_needed} points '
                f'a scene, got {num_points}; raise num_points of PointSample '
                'or lower num_tokens')
        # The one wait for a GPU; none where the ids are on the CPU.
        ids, known_ids = _compact(region_ids.cpu().numpy())
        keys, counts = _count_points(ids)
        plans = [self._plan(scene_counts) for scene_counts in counts]
        sources = to_device(
            _source_table(plans)[keys].reshape(-1), points.device)
        flat_points = points.float().reshape(-1, 3).contiguous()
        parts = _parts_of_points(flat_points, sources, plans)

        num_tokens = max(int(plan.num_parts.sum()) for plan in plans)
        first_token, token_ids = (
            to_device(array, points.device)
            for array in _lay_out_tokens(plans, num_tokens))
        tokens = _collect(flat_points, first_token[sources] + parts, token_ids,
                          (num_scenes, num_tokens, num_points))
        if known_ids is not None:
            known = to_device(known_ids, points.device)
            tokens.region_ids = known[tokens.region_ids]
        tokens.num_tokens = np.array([p.num_parts.sum() for p in plans])
        return tokens

    def _plan(self, counts: np.ndarray) -> TokenPlan:
        """Plan the tokens from the points (max id + 1,) of each region."""
        is_region = counts >= self.min_points
        is_region[0] = False
        regions = np.flatnonzero(is_region)
        kept = self._largest(regions, counts, self.num_tokens)
        num_rest = counts.sum() - counts[kept].sum()
        if self.split and num_rest and len(kept) == self.num_tokens:
            # The rest needs one of the tokens.
            kept = self._largest(regions, counts, self.num_tokens - 1)
            num_rest = counts.sum() - counts[kept].sum()
        source_ids, source_counts = kept, counts[kept]
        if num_rest:
            source_ids = np.append(kept, 0)
            source_counts = np.append(source_counts, num_rest)
        source_of_id = np.full(len(counts), len(kept), np.int64)
        source_of_id[kept] = np.arange(len(kept))
        return TokenPlan(source_of_id, source_ids,
                         self._share_out(source_counts, source_ids))

    @staticmethod
    def _largest(regions: np.ndarray, counts: np.ndarray,
                 limit: int) -> np.ndarray:
        """Return the largest regions, by id; of equal ones the lower ids."""
        if len(regions) <= limit:
            return regions
        order = np.argsort(-counts[regions], kind='stable')
        return np.sort(regions[order[:limit]])

    def _share_out(self, source_counts: np.ndarray,
                   source_ids: np.ndarray) -> np.ndarray:
        """Return the number of tokens (S,) of each source."""
        if self.split:
            # The rest stands last but has the lowest id, which wins ties.
            by_id = np.argsort(source_ids, kind='stable')
            num_parts = np.empty_like(source_counts)
            num_parts[by_id] = allocate_parts(source_counts[by_id],
                                              self.num_tokens)
            return num_parts
        num_parts = np.ones_like(source_counts)
        if len(source_ids) and source_ids[-1] == 0:
            num_parts[-1] = -(-source_counts[-1] // self.points_per_rest_token)
        return num_parts


def _compact(
        region_ids: np.ndarray) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Renumber large ids, so that tables over them stay small.

    Returns:
        tuple[np.ndarray, np.ndarray or None]: Ids (B, N) and, when they are
        new, the old id of each, ascending, 0 first.
    """
    if region_ids.max() < 2**16:
        return region_ids, None
    known_ids, new_ids = np.unique(
        np.append(0, region_ids), return_inverse=True)
    return new_ids[1:].reshape(region_ids.shape), known_ids


def _count_points(region_ids: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Count the points of each region.

    Returns:
        tuple[np.ndarray, np.ndarray]: A key (B, N) unique to scene and
        region, and the points (B, max id + 1) int64 of each region.
    """
    num_ids = int(region_ids.max()) + 1
    num_scenes = len(region_ids)
    keys = region_ids + np.arange(num_scenes)[:, None] * num_ids
    counts = np.bincount(keys.reshape(-1), minlength=num_scenes * num_ids)
    return keys, counts.reshape(num_scenes, num_ids)


def _source_table(plans: List[TokenPlan]) -> np.ndarray:
    """Return the source of every key, counted over the whole batch."""
    num_sources = [len(plan.source_ids) for plan in plans]
    first_source = np.cumsum(num_sources) - num_sources
    return np.concatenate([
        plan.source_of_id + first for plan, first in zip(plans, first_source)
    ])


def _parts_of_points(points: Tensor, sources: Tensor,
                     plans: List[TokenPlan]) -> Tensor:
    """Return the part (B * N,) of its source that each point falls in."""
    num_parts = np.concatenate([plan.num_parts for plan in plans])
    if (num_parts <= 1).all():
        return torch.zeros_like(sources)
    return split_segments(points, sources, torch.from_numpy(num_parts))


def _lay_out_tokens(plans: List[TokenPlan],
                    num_tokens: int) -> Tuple[np.ndarray, np.ndarray]:
    """Give every source its place among the tokens of the padded batch.

    Args:
        plans (list[TokenPlan]): One per scene, B in all.
        num_tokens (int): Tokens per scene after padding, G.

    Returns:
        tuple[np.ndarray, np.ndarray]: The first flat token of each source of
        the batch, and the region id (B, G) of every token, -1 for padding.
    """
    first_token = []
    token_ids = np.full((len(plans), num_tokens), -1, np.int64)
    for scene, plan in enumerate(plans):
        ends = np.cumsum(plan.num_parts)
        first_token.append(scene * num_tokens + ends - plan.num_parts)
        ids = np.repeat(plan.source_ids, plan.num_parts)
        token_ids[scene, :len(ids)] = ids
    return np.concatenate(first_token), token_ids


def _collect(points: Tensor, flat_tokens: Tensor, token_ids: Tensor,
             shape: tuple) -> PointTokens:
    """Build the tokens from the flat token (B * N,) of every point."""
    num_scenes, num_tokens, num_points = shape
    order, offsets = sort_by_segment(flat_tokens, num_scenes * num_tokens)
    centers, anchors = segment_centers(points, order, offsets)
    first_token = torch.arange(
        0, num_scenes * num_tokens, num_tokens, device=points.device)
    is_padding = token_ids < 0
    anchors = anchors.reshape(num_scenes, num_tokens) % num_points
    return PointTokens(
        centers=centers.reshape(num_scenes, num_tokens, 3),
        anchor_indices=anchors.masked_fill(is_padding, 0),
        region_ids=token_ids.clamp(min=0),
        is_padding=is_padding,
        member_points=order,
        member_offsets=offsets,
        point_tokens=flat_tokens.reshape(num_scenes, num_points) -
        first_token[:, None])
