"""From the CPU to a GPU and back, waiting as rarely as possible."""
from typing import Callable, Union

import numpy as np
import torch
from torch import Tensor


def to_device(values: Union[np.ndarray, Tensor],
              device: torch.device) -> Tensor:
    """Copy values of the CPU to a device without waiting for it.

    Args:
        values (Union[np.ndarray, Tensor]): On the CPU, or already there.
        device (torch.device): The device.

    Returns:
        Tensor: On the device.
    """
    tensor = torch.as_tensor(values)
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def require(condition: Tensor, error: Callable[[], Exception]) -> None:
    """Raise an error unless a condition holds.

    On a GPU nothing waits for the answer: CUDA stops the program later and
    prints the error's text. Whatever can be checked in the data loader should
    be checked there, where the frame can be named.

    Args:
        condition (Tensor): () bool.
        error (Callable[[], Exception]): Makes the error.

    Raises:
        Exception: That error, on the CPU.
    """
    if condition.is_cuda:
        torch._assert_async(condition, str(error()))
    elif not condition:
        raise error()
