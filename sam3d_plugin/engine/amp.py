"""Mixed precision without a GPU."""
from contextlib import contextmanager
from typing import Iterator

import torch
from mmdet3d.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """bfloat16 autocast on the CPU.

    mmengine's ``AmpOptimWrapper`` asks for a GPU. bfloat16 has float32's
    range, so the loss needs no scaling.
    """

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state, without a GPU's loss scaler."""
        state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in bfloat16 where that is safe."""
        with super().optim_context(model):
            with torch.autocast('cpu', dtype=torch.bfloat16):
                yield
