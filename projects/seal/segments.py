"""Segments of points: their means, matches and contrast.

Shapes: S clouds, B pairs of frames, N points, P point pairs, R rows of
segments, one for each region id; row 0 stands for no region. C channels.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from sam3d_plugin.models.heads.reduction import frame_mean


def members_of(ids: Tensor, num_rows: int) -> Tensor:
    """Whether a row is the segment of a point: (S, R, N) bool of (S, N)."""
    rows = torch.arange(num_rows, device=ids.device)
    return ids[:, None] == rows[:, None]


def segment_means(features: Tensor, ids: Tensor, num_rows: int) -> tuple:
    """Mean feature of the points of each segment.

    Args:
        features (Tensor): (S, N, C) float32.
        ids (Tensor): (S, N) int64 region of each point, below ``num_rows``.
        num_rows (int): R.

    Returns:
        tuple: Means (S, R, C), 0 for segments without points, and (S, R)
        bool, whether a segment has points; False in row 0.
    """
    is_member = members_of(ids, num_rows).to(features)
    counts = is_member.sum(-1)
    # A product of matrices sums in one order, on a GPU too.
    with torch.autocast(features.device.type, enabled=False):
        means = is_member @ features / counts.clamp(min=1)[..., None]
    has_points = counts > 0
    has_points[:, 0] = False
    return means, has_points


def match_segments(first: Tensor, second: Tensor, is_pair: Tensor,
                   num_rows: int, min_overlap: float) -> Tensor:
    """Find the segments of two frames that show one object.

    Of the places that are in a segment of both frames, the smaller one of
    two matched segments shares at least ``min_overlap`` with the other, and
    each shares the most places with the other.

    Args:
        first (Tensor): (B, P) int64 segment of each place in the first
            frame, 0 = none.
        second (Tensor): (B, P) int64 its segment in the second frame.
        is_pair (Tensor): (B, P) bool, False for places that fill up a batch.
        num_rows (int): R.
        min_overlap (float): From 0 to 1.

    Returns:
        Tensor: (B, R) int64 segment of the second frame that each of the
        first is, 0 for none.
    """
    is_counted = (is_pair & (first > 0) & (second > 0))[:, None]
    sides = [(members_of(ids, num_rows) & is_counted).float()
             for ids in (first, second)]
    common = sides[0] @ sides[1].transpose(1, 2)
    smaller = torch.minimum(
        common.sum(2)[:, :, None],
        common.sum(1)[:, None, :])
    partner, back = common.argmax(2), common.argmax(1)
    rows = torch.arange(num_rows, device=first.device)
    best = common.gather(2, partner[..., None])[..., 0]
    least = min_overlap * smaller.gather(2, partner[..., None])[..., 0]
    is_match = (best > 0) & (best >= least) & (back.gather(1, partner) == rows)
    return partner.masked_fill(~is_match, 0)


def point_to_segment(features: Tensor, ids: Tensor, means: Tensor,
                     has_points: Tensor, temperature: float) -> Tensor:
    """Each point must find its own segment among those of its cloud.

    Args:
        features (Tensor): (S, N, C) float32 of points, length 1.
        ids (Tensor): (S, N) int64 segment of each point, 0 = none.
        means (Tensor): (S, R, C) float32, see :func:`segment_means`.
        has_points (Tensor): (S, R) bool.
        temperature (float): Divides the similarities.

    Returns:
        Tensor: () mean over the points of a cloud that are in segments, then
        over clouds.
    """
    # A cloud without segments has all rows: nothing becomes NaN.
    is_hidden = ~has_points & has_points.any(1, keepdim=True)
    with torch.autocast(features.device.type, enabled=False):
        logits = features @ means.transpose(1, 2) / temperature
    logits = logits.masked_fill(is_hidden[:, None], -torch.inf)
    losses = F.cross_entropy(
        logits.transpose(1, 2), ids, ignore_index=0, reduction='none')
    return frame_mean(losses, ids > 0)
