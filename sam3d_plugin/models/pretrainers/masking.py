"""Masking of tokens and selection of the visible ones."""
from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from sam3d_plugin.ops import segment_ids
from sam3d_plugin.ops.transfer import to_device
from sam3d_plugin.structures import PointTokens
from ...store.errors import UserError


def frame_generators(
        seed: int,
        numbers: Iterable[int],
        purpose: Optional[int] = None) -> List[np.random.Generator]:
    """Random generators that depend on the frame number alone.

    Args:
        seed (int): Seed of the run, >= 0.
        numbers (Iterable[int]): Number of each frame of the batch, counted
            over the whole training and all processes.
        purpose (Optional[int]): What else a method draws than masks, > 1, so
            that its random numbers are others. Defaults to None.

    Returns:
        List[np.random.Generator]: B generators.
    """
    more = () if purpose is None else (purpose, )
    return [np.random.default_rng((seed, number, *more)) for number in numbers]


def random_mask(is_padding: np.ndarray, ratio: float,
                generators: Sequence[np.random.Generator]) -> np.ndarray:
    """Hide a share of the tokens of every frame.

    floor(ratio * G) of a frame's G tokens are masked, so that one token at
    least stays visible. Padding changes no choice.

    Args:
        is_padding (np.ndarray): (B, G) bool.
        ratio (float): Share of masked tokens in [0, 1).
        generators (Sequence[np.random.Generator]): One per frame.

    Returns:
        np.ndarray: (B, G) bool, True for masked tokens, False for padding.
    """
    is_masked = np.zeros_like(is_padding)
    for row, padding, generator in zip(is_masked, is_padding, generators):
        tokens = generator.permutation(np.flatnonzero(~padding))
        # 0.29 * 100 is 28.999999999999996
        row[tokens[:int(ratio * len(tokens) + 1e-6)]] = True
    return is_masked


def block_mask(centers: np.ndarray,
               is_padding: np.ndarray,
               ratios: Tuple[float, float],
               generators: Sequence[np.random.Generator],
               num_blocks: int = 1) -> np.ndarray:
    """Hide blocks of neighboring tokens of every frame.

    A block is the floor(r * G) tokens nearest to a random one, with r drawn
    from a range, of a frame's G tokens. Blocks may overlap; together they
    leave a token visible. Padding changes no choice.

    Args:
        centers (np.ndarray): (B, G, 3) token centers, meters.
        is_padding (np.ndarray): (B, G) bool.
        ratios (Tuple[float, float]): Range of r.
        generators (Sequence[np.random.Generator]): One per frame.
        num_blocks (int): Blocks of a frame. Defaults to 1.

    Returns:
        np.ndarray: (B, G) bool, True for masked tokens, False for padding.

    Raises:
        ValueError: When blocks could be empty or hide all tokens.
    """
    low, high = ratios
    if not 0 < low <= high or num_blocks * high >= 1 or num_blocks < 1:
        raise UserError(
            f'{num_blocks} blocks of {low} to {high} of the tokens: choose '
            '0 < low <= high and a product of number and high below 1')
    is_masked = np.zeros_like(is_padding)
    for row, padding, places, generator in zip(is_masked, is_padding, centers,
                                               generators):
        tokens = np.flatnonzero(~padding)
        for _ in range(num_blocks):
            first = places[generator.choice(tokens)]
            size = int(generator.uniform(low, high) * len(tokens) + 1e-6)
            distances = np.square(places[tokens] - first).sum(1)
            row[tokens[np.argsort(distances, kind='stable')[:size]]] = True
    return is_masked


def grid_mask(centers: np.ndarray, is_padding: np.ndarray, size: float,
              ratio: float,
              generators: Sequence[np.random.Generator]) -> np.ndarray:
    """Hide the tokens in a share of the occupied cells of a grid.

    Of a frame's n cells with tokens, floor(ratio * n) are hidden. Padding
    changes no choice.

    Args:
        centers (np.ndarray): (B, G, 3) token centers, meters.
        is_padding (np.ndarray): (B, G) bool.
        size (float): Edge of a cell, meters.
        ratio (float): Share of the cells in [0, 1).
        generators (Sequence[np.random.Generator]): One per frame.

    Returns:
        np.ndarray: (B, G) bool, True for masked tokens, False for padding.
    """
    is_masked = np.zeros_like(is_padding)
    for row, padding, places, generator in zip(is_masked, is_padding, centers,
                                               generators):
        cells = np.floor((places - places[~padding].min(0)) / size)[~padding]
        found, cell_of_token = np.unique(cells, axis=0, return_inverse=True)
        order = generator.permutation(len(found))
        hidden = order[:int(ratio * len(found) + 1e-6)]
        row[~padding] = np.isin(cell_of_token.reshape(-1), hidden)
    return is_masked


class VisibleTokens(NamedTuple):
    """Some of the tokens of a batch, padded anew."""

    # At most V tokens a scene, in the order they had; without ``point_tokens``
    tokens: PointTokens
    # (B, V) int64, the place that each had, all different within a scene; a
    # padded one has a hidden token's
    indices: Tensor


def select_tokens(tokens: PointTokens, is_kept: np.ndarray) -> VisibleTokens:
    """Take tokens out of a batch with their points.

    Args:
        tokens (PointTokens): B scenes of G tokens.
        is_kept (np.ndarray): (B, G) bool, False for padding.

    Returns:
        VisibleTokens: The kept tokens.
    """
    num_kept = is_kept.sum(1)
    order = np.argsort(~is_kept, axis=1, kind='stable')[:, :num_kept.max()]
    device = tokens.is_padding.device
    indices = to_device(np.ascontiguousarray(order), device)
    is_padding = to_device(
        np.arange(indices.shape[1]) >= num_kept[:, None], device)

    def take(values: Tensor) -> Tensor:
        return values.gather(1, indices).masked_fill(is_padding, 0)

    counts = take(tokens.member_counts).reshape(-1)
    token_of_member = segment_ids(tokens.member_offsets,
                                  len(tokens.member_points))
    is_member = to_device(is_kept.reshape(-1), device)[token_of_member]
    visible = PointTokens(
        centers=torch.stack([take(axis) for axis in tokens.centers.unbind(2)],
                            dim=2),
        anchor_indices=take(tokens.anchor_indices),
        region_ids=take(tokens.region_ids),
        is_padding=is_padding,
        member_points=tokens.member_points[is_member],
        member_offsets=torch.cat((counts.new_zeros(1), counts.cumsum(0))),
        num_tokens=num_kept)
    return VisibleTokens(visible, indices)
