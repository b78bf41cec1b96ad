"""Sigmoid focal loss in plain torch."""
from typing import Optional

import torch.nn.functional as F
import torchvision.ops
from torch import Tensor

from ..store.errors import UserError


def sigmoid_focal_loss(input: Tensor,
                       target: Tensor,
                       gamma: float = 2.0,
                       alpha: float = 0.25,
                       weight: Optional[Tensor] = None,
                       reduction: str = 'mean') -> Tensor:
    """Stands in for mmcv's function, which has no kernel for bfloat16.

    mmdet's ``FocalLoss`` calls it on a GPU only, so GroupFree3D could train
    neither in bfloat16 nor without compiled kernels there.

    Args:
        input (Tensor): (N, C) logits; computed in float32.
        target (Tensor): (N,) int64 classes in [0, C], C = background.
        gamma (float): Power of the focus. Defaults to 2.0.
        alpha (float): Weight of the true class. Defaults to 0.25.
        weight (Optional[Tensor]): (C,) weights of the classes.
        reduction (str): ``'none'``, ``'sum'``, or ``'mean'``, the sum over
            N. Defaults to ``'mean'``.

    Returns:
        Tensor: (N, C) float32, or its sum or mean.

    Raises:
        ValueError: For another reduction.
    """
    if reduction not in ('none', 'mean', 'sum'):
        raise UserError(f'reduction {reduction!r} is unknown; use none, mean '
                        'or sum')
    classes = input.size(1)
    truth = F.one_hot(target, classes + 1)[:, :classes].float()
    loss = torchvision.ops.sigmoid_focal_loss(input.float(), truth, alpha,
                                              gamma)
    if weight is not None:
        loss = loss * F.pad(weight, (0, 1), value=1.)[target][:, None]
    if reduction == 'none':
        return loss
    return loss.sum() / (len(input) if reduction == 'mean' else 1)
