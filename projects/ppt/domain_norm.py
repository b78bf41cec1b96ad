"""Norms of several data sets in the place of one."""
from typing import Dict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What PPT puts a DomainNorm in the place of.
NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)


class DomainNorm(nn.Module):
    """The norms of all data sets in the place of one (PDNorm, section 4.2).

    Each data set has weights and statistics of its own, and a scale and a
    shift that follow from its embedding. A norm that is then scaled and
    shifted is a norm with other weights; these are what this module gives.
    Scale and shift start at 0: as the norm itself.

    Args:
        norm (nn.Module): Batch or layer norm with weight and bias.
        num_domains (int): Data sets.
        context_channels (int): Channels of their embeddings.
    """

    weight: Tensor

    def __init__(self, norm: nn.Module, num_domains: int,
                 context_channels: int) -> None:
        super().__init__()
        for name, value in norm.state_dict().items():
            rows = torch.stack([value] * num_domains)
            if isinstance(getattr(norm, name), nn.Parameter):
                self.register_parameter(name, nn.Parameter(rows))
            else:
                self.register_buffer(name, rows)
        self.names = tuple(norm.state_dict())
        self.modulation = nn.Linear(context_channels, 2 * norm.weight.numel())
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, domain: int, context: Tensor) -> Dict[str, Tensor]:
        """Parameters and statistics of the norm of a data set.

        Args:
            domain (int): Number of the data set.
            context (Tensor): Its embedding.

        Returns:
            Dict[str, Tensor]: By the names of the norm; statistics are those
            of this module, not copies, so that the norm updates them.
        """
        tensors = {name: getattr(self, name)[domain] for name in self.names}
        with torch.autocast(context.device.type, enabled=False):
            shift, scale = self.modulation(F.silu(context)).chunk(2)
        tensors['weight'] = tensors['weight'] * (1 + scale)
        tensors['bias'] = tensors['bias'] * (1 + scale) + shift
        return tensors

    @torch.no_grad()
    def restart(self, norm: nn.Module) -> None:
        """Begin with the weights of a norm for every data set."""
        for name, value in norm.state_dict().items():
            getattr(self, name).copy_(value)
