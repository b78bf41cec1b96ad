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

    ValueError for another shape than (B, N, 3), or N = 0 where points are
    needed.
    """
    if points.dim() != 3 or points.size(2) != 3:
        raise ValueError(f'{name} must have the shape (B, N, 3), got '
                         f'{tuple(points.shape)}.')
    if needs_points and points.size(1) == 0:
        raise ValueError(f'{name} holds no points, so there is nothing to '
                         'choose from; leave such scenes out.')


def as_float_array(points: Tensor) -> np.ndarray:
    """Return a contiguous float32 array; half precision is widened.

    Without a copy where possible.
    """
    return points.detach().float().contiguous().numpy()
