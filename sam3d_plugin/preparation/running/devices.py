"""Devices for the networks of preparation."""
import os

import torch

from ...store.errors import StoreError


def find_device(name: str) -> torch.device:
    """A device by name.

    ``'auto'`` is the GPU of this rank (of the local ranks of torchrun or srun
    each takes its own) or, without a GPU, the CPU. StoreError when the name is
    unknown or there is no GPU.
    """
    if name == 'auto':
        count = torch.cuda.device_count()
        rank = int(
            os.environ.get('LOCAL_RANK', os.environ.get('SLURM_LOCALID', 0)))
        name = f'cuda:{rank % count}' if count else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError:
        raise StoreError(f'device={name} is unknown; use auto, cpu or '
                         'cuda') from None
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise StoreError(f'device={name}: torch sees no GPU; use auto or cpu')
    return device
