"""What the operations on points share."""
from typing import Any, Optional, Tuple

import numpy as np
from torch import Tensor
from torch.autograd import Function


class IndexFunction(Function):
    """An operation whose results, being indices, have no gradient."""

    @staticmethod
    def backward(ctx: Any, *grads: Optional[Tensor]) -> Tuple[None, ...]:
        """Return nothing for each argument of ``forward``."""
        return (None, ) * len(ctx.needs_input_grad)


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
