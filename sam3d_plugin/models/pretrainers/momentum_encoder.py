"""A slowly moving copy of a network."""
import copy
import math
from typing import Any, Optional

import torch
from torch import nn

from ...store.errors import UserError


class MomentumEncoder(nn.Module):
    """Exponential moving average of a network, without gradient.

    Part of the checkpoint. mmengine's and torch's averages read their step
    counters from the GPU in every step; this one does not wait. It stays in
    eval mode: nothing is dropped, and norms use the statistics of the network
    that is followed, not those of a batch, which would tell a pair apart.

    Args:
        module (nn.Module): The network that is followed.
        start (float): Share of the average that a step keeps, at first.
            Defaults to 0.999.
        end (Optional[float]): The same at the end; in between it rises as a
            cosine (BYOL: Grill et al., NeurIPS 2020). None for a constant.
    """

    def __init__(self,
                 module: nn.Module,
                 start: float = 0.999,
                 end: Optional[float] = None) -> None:
        super().__init__()
        if not 0 <= start <= 1 or not 0 <= (end or 0) <= 1:
            raise UserError(f'momentum {start} to {end} must be in [0, 1]')
        self.module = copy.deepcopy(module).requires_grad_(False)
        self.start = start
        self.end = start if end is None else end
        self.eval()

    def train(self, mode: bool = True) -> 'MomentumEncoder':
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the averaged network without gradient."""
        with torch.no_grad():
            return self.module(*args, **kwargs)

    def momentum(self, progress: float) -> float:
        """Share of the average that a step keeps.

        Args:
            progress (float): Share of the training that is done, in [0, 1].

        Returns:
            float: From ``start`` to ``end``.
        """
        rise = (1 - math.cos(math.pi * progress)) / 2
        return self.start + (self.end - self.start) * rise

    def restart(self, module: nn.Module) -> None:
        """Copy the network; call it when its weights have been initialized.

        Args:
            module (nn.Module): The network that is followed.
        """
        self.module.load_state_dict(module.state_dict())

    @torch.no_grad()
    def update(self, module: nn.Module, progress: float = 0.) -> None:
        """Move towards the network; call it at the start of a training loss.

        Buffers, such as batch norm's statistics, are copied.

        Args:
            module (nn.Module): The network that is followed.
            progress (float): Share of the training that is done; see
                ``BasePretrainer.progress``.
        """
        torch._foreach_lerp_(
            list(self.module.parameters()), list(module.parameters()),
            1 - self.momentum(progress))
        for mine, theirs in zip(self.module.buffers(), module.buffers()):
            mine.copy_(theirs)
