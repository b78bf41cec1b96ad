"""From tensors to what the numba kernels take."""
from typing import List

import numpy as np
from torch import Tensor

from ._numba import run_in_chunks
from ._tree import PointTree, build_tree


def check_points(name: str, points: Tensor, needs_points: bool) -> None:
    """Check that a tensor is a batch of point clouds.

    Args:
        name (str): The argument's name, for the message.
        points (Tensor): Should be (B, N, 3).
        needs_points (bool): Whether N = 0 leaves no answer.

    Raises:
        ValueError: If the shape is another one, or N is 0 and must not be.
    """
    if points.dim() != 3 or points.size(2) != 3:
        raise ValueError(f'{name} must have the shape (B, N, 3), got '
                         f'{tuple(points.shape)}.')
    if needs_points and points.size(1) == 0:
        raise ValueError(f'{name} holds no points, so there is nothing to '
                         'choose from; leave such scenes out.')


def as_float_array(points: Tensor) -> np.ndarray:
    """Return a contiguous float32 array; half precision is widened.

    Args:
        points (Tensor): Of any shape, on the CPU.

    Returns:
        np.ndarray: The same numbers, without a copy where possible.
    """
    return points.detach().float().contiguous().numpy()


def build_trees(points: np.ndarray) -> List[PointTree]:
    """Build one tree per scene, on several threads.

    Args:
        points (np.ndarray): (B, N, 3) float32.

    Returns:
        List[PointTree]: One tree per scene.
    """
    trees: List[PointTree] = [None] * len(points)  # type: ignore[list-item]

    def build(start: int, stop: int) -> None:
        for scene in range(start, stop):
            trees[scene] = build_tree(points[scene])

    run_in_chunks(build, len(points), points.size * 16)
    return trees
