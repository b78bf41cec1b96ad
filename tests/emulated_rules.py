"""Where an operation of a GPU runs, what it refuses, and what waits for it."""
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

CUDA = torch.device('cuda', 0)
CPU = torch.device('cpu')
_ROOT = str(Path(__file__).resolve().parents[1])

_COPIES = ('_to_copy', 'copy_', '_has_compatible_shallow_copy_type')
_INDEXING = ('index', 'index_put', 'index_put_', '_index_put_impl_',
             '_unsafe_index', '_unsafe_index_put')
# Besides pointwise operations, these take 0-dimensional tensors of the CPU.
_TAKES_SCALARS = ('fill', 'fill_', 'masked_fill', 'masked_fill_', 'index_fill',
                  'index_fill_')
# The size of the result depends on the values, so the CPU has to know them.
_WAITS_FOR_SHAPE = ('nonzero', 'masked_select', 'unique_dim', '_unique2',
                    'unique_consecutive', 'bincount', 'histc')


def device_of_result(asked: Optional[torch.device],
                     is_on_gpu: bool) -> torch.device:
    """The device of an operation's result."""
    if asked is not None:
        is_on_gpu = asked.type in ('cuda', 'meta')
    return CUDA if is_on_gpu else CPU


def check_devices(func: Any, name: str, args: Any,
                  tensors: List[Tensor]) -> None:
    """Refuse tensors of two devices where a GPU does."""
    if name in _COPIES:
        return
    of_cpu = [t for t in tensors if not t.is_cuda]
    if name in _INDEXING:
        if not args[0].is_cuda:
            raise RuntimeError('indices should be either on cpu or on the '
                               'same device as the indexed tensor (cpu)')
        of_cpu = [
            t for t in args[2:3] if isinstance(t, Tensor) and not t.is_cuda
        ]
    takes_scalars = (
        name in _TAKES_SCALARS or name in _INDEXING
        or torch.Tag.pointwise in func.tags or name.startswith('_foreach'))
    if takes_scalars and not _changes(func, args, of_cpu):
        of_cpu = [t for t in of_cpu if t.dim() > 0]
    if of_cpu:
        shapes = [tuple(t.shape) for t in of_cpu]
        raise RuntimeError(
            'Expected all tensors to be on the same device, but found at '
            f'least two devices, cuda:0 and cpu! ({name}, shapes {shapes} on '
            'the CPU)')


def _changes(func: Any, args: Any, of_cpu: List[Tensor]) -> bool:
    """Whether an operation writes into one of the CPU's tensors."""
    return any(
        argument.is_out or (argument.alias_info and
                            argument.alias_info.is_write and value is tensor)
        for argument, value in zip(func._schema.arguments, args)
        for tensor in of_cpu)


def check_pinning(name: str, kwargs: Dict[str, Any], on_gpu: List[Tensor],
                  target: torch.device) -> None:
    """Refuse to pin what is not in the memory of the CPU."""
    if (name == '_pin_memory' and on_gpu) or (kwargs.get('pin_memory')
                                              and target == CUDA):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense "
                           'CPU tensors can be pinned')


def without_pinning(name: str, kwargs: Dict[str, Any]) -> Dict[str, Any]:
    """Arguments without a wish for memory that only CUDA can pin."""
    return {**kwargs, 'pin_memory': False} if kwargs.get('pin_memory') \
        else kwargs


def wait_of(name: str, args: Any, kwargs: Dict[str, Any], on_gpu: List[Tensor],
            target: torch.device) -> Optional[str]:
    """The kind of wait that an operation makes, if it makes one."""
    if name in ('_to_copy', 'copy_'):
        to, source = (target,
                      args[0]) if name == '_to_copy' else (args[0].device,
                                                           args[1])
        blocks = not (args[2:3] or [kwargs.get('non_blocking')])[0]
        if to.type == source.device.type or not blocks:
            return None
        return 'to cpu' if to.type == 'cpu' else 'to cuda'
    if not on_gpu:
        return None
    if name in ('_local_scalar_dense', 'equal'):
        return 'scalar'
    indices = args[1] if name in _INDEXING else ()
    if any(index is not None and not index.is_cuda and index.dim()
           for index in indices):
        return 'to cuda'
    if name in _WAITS_FOR_SHAPE or any(
            index is not None and index.dtype in
        (torch.bool, torch.uint8) and index.is_cuda for index in indices):
        return 'shape'
    if name == 'repeat_interleave' and kwargs.get('output_size') is None:
        return 'shape'
    return None


def place() -> str:
    """File and line of the innermost frame of this project."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if (file.startswith(_ROOT) and '/tests/emulated_' not in file
                and '/site-packages/' not in file):
            return f'{file[len(_ROOT) + 1:]}:{frame.f_lineno}'
        frame = frame.f_back
    return ''
