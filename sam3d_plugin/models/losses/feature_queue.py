"""Keys of earlier steps.

Shapes: B keys of a process, K places, C channels.
"""
from typing import NamedTuple

import torch
from mmengine.dist import all_gather
from torch import Tensor, nn

from ...store.errors import UserError


class QueuedKeys(NamedTuple):
    """Contents of a queue."""

    features: Tensor  # (K, C), without gradient
    is_filled: Tensor  # (K,) bool, False for places never written


class FeatureQueue(nn.Module):
    """A ring buffer of features (MoCo: He et al., CVPR 2020).

    It is part of the checkpoint, so a resumed run repeats an unbroken one.
    Unlike MoCo's, it starts empty rather than with random features.

    Args:
        size (int): Places K.
        channels (int): Channels C.
    """

    features: Tensor
    num_pushed: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.register_buffer('features', torch.zeros(size, channels))
        self.register_buffer('num_pushed', torch.tensor(0))

    def forward(self) -> QueuedKeys:
        """Return the keys, also those of places never written."""
        places = torch.arange(len(self.features), device=self.features.device)
        return QueuedKeys(self.features.clone(), places < self.num_pushed)

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Store the keys of all processes over the oldest ones.

        Args:
            keys (Tensor): (B, C), equally many on every process. They are
                stored in the order of their frames (see
                ``BasePretrainer.frame_numbers``), so several processes fill
                the queue as one would.

        Raises:
            ValueError: When they are more than the queue can hold.
        """
        gathered = torch.stack(all_gather(keys.detach().contiguous()), dim=1)
        keys = gathered.flatten(0, 1).to(self.features.dtype)
        size = len(self.features)
        if len(keys) > size:
            raise UserError(
                f'a queue of {size} keys is smaller than a batch of '
                f'{len(keys)}, of all processes together: raise the size of '
                'the queue or lower train_dataloader.batch_size')
        places = self.num_pushed + torch.arange(len(keys), device=keys.device)
        self.features.index_copy_(0, places % size, keys)
        self.num_pushed += len(keys)
