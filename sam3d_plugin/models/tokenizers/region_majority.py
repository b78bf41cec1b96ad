"""Regions of tokens from tokenizers that do not use them."""
import torch
from torch import Tensor

from sam3d_plugin.ops import segment_ids
from sam3d_plugin.structures import PointTokens


@torch.no_grad()
def majority_regions(tokens: PointTokens, region_ids: Tensor) -> Tensor:
    """Find the region that most points of each token are in.

    Points in no region vote for id 0; of equally frequent ids the lowest
    wins. The answer does not depend on the order of the points.

    Args:
        tokens (PointTokens): Tokens of B scenes of N points.
        region_ids (Tensor): (B, N) int64 region of each point, 0 = none.

    Returns:
        Tensor: (B, G) int64; 0 for padding.
    """
    num_flat = tokens.is_padding.numel()
    num_ids = region_ids.max() + 1
    token_of_member = segment_ids(tokens.member_offsets,
                                  len(tokens.member_points))
    votes = token_of_member * num_ids + region_ids.reshape(-1)[
        tokens.member_points]
    pairs, counts = torch.unique(votes, return_counts=True)
    # Highest for the most frequent id and, among those, for the lowest.
    scores = counts * num_ids + (num_ids - 1 - pairs % num_ids)
    best = scores.new_zeros(num_flat).scatter_reduce(0, pairs // num_ids,
                                                     scores, 'amax')
    winners = (num_ids - 1 - best % num_ids).masked_fill(best == 0, 0)
    return winners.reshape(tokens.is_padding.shape)
