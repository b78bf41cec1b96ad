"""What of PyTorch and mmengine an emulated CUDA device replaces."""
import contextlib
import time
import warnings
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence
from unittest import mock

import mmengine.device.utils
import mmengine.structures.instance_data as instance_data
import torch
import torch._dynamo  # looks at torch.cuda when imported, so before
import torch.cuda.memory
import torch.cuda.random
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map

from tests.emulated_cuda import DEVICE, EmulatedTensor
from tests.emulated_rules import CPU, CUDA

try:
    from torch.nn.attention import varlen
except ImportError:  # torch < 2.10
    varlen = None

_AUTOCAST = torch._C.DispatchKey.AutocastCUDA
# The policies of CUDA's autocast. The dispatcher knows which operations have
# one; those in neither list compute in float32.
_LOW_PRECISION = ('conv', 'lstm_cell', 'gru_cell', 'rnn_', '_thnn_fused',
                  '_cudnn_rnn', 'cudnn_convolution', '_convolution',
                  '_scaled_dot_product', 'scaled_dot_product', 'prelu',
                  'addmm', 'addmv', 'addr', 'matmul', 'einsum', 'mm', 'mv',
                  'linalg_vecdot', 'linear', 'addbmm', 'baddbmm', 'bmm',
                  'chain_matmul', 'linalg_multi_dot')
_WIDEST = ('addcdiv', 'addcmul', 'atan2', 'bilinear', 'cross', 'dot', 'vdot',
           'grid_sampler', 'index_put', 'tensordot', 'scatter_add')
_FLOATS = (torch.float16, torch.bfloat16, torch.float32)


class _GeneratorType(type):
    """PyTorch's own generators count as instances, too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, torch._C.Generator)


class Generator(torch._C.Generator, metaclass=_GeneratorType):
    """A generator for CPU or for the emulated device.

    Args:
        device (Any): Of its numbers. Defaults to the CPU.
    """

    def __new__(cls, device: Any = 'cpu') -> 'Generator':
        generator = super().__new__(cls)
        generator.is_cuda = torch.device(device).type == 'cuda'
        if generator.is_cuda:
            DEVICE.generators.append(generator)
        return generator

    @property
    def device(self) -> torch.device:
        return CUDA if self.is_cuda else CPU


class Event:
    """A mark in the device's stream, which is always up to date."""

    def __init__(self, **kwargs: Any) -> None:
        self.time: Optional[float] = None

    def record(self, stream: Any = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: 'Event') -> float:
        assert self.time is not None and end.time is not None
        return (end.time - self.time) * 1000


class _Legacy(type):
    """A type such as ``torch.cuda.LongTensor``, for ``isinstance``."""

    dtype: torch.dtype

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance,
                          EmulatedTensor) and instance.dtype == cls.dtype


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Take the place of what has no effect on the emulated device."""


def _cuda_functions() -> Dict[str, Any]:
    """What replaces the functions of torch.cuda."""
    free = dict.fromkeys(
        ('set_device', 'synchronize', 'empty_cache', 'init', '_lazy_init',
         'reset_peak_memory_stats', 'ipc_collect'), _nothing)
    zero = dict.fromkeys(
        ('current_device', 'memory_allocated', 'max_memory_allocated',
         'memory_reserved', 'max_memory_reserved', '_exchange_device',
         '_maybe_exchange_device'), lambda *args, **kwargs: 0)
    stream = SimpleNamespace(synchronize=_nothing, wait_stream=_nothing)
    name = 'emulated CUDA device'
    return {
        **free,
        **zero,
        'is_available':
        lambda: True,
        'is_initialized':
        lambda: True,
        'is_current_stream_capturing':
        lambda: False,
        'is_bf16_supported':
        lambda *args, **kwargs: True,
        'device_count':
        lambda: 1,
        'get_device_name':
        lambda *args: name,
        'get_device_capability':
        lambda *args: (9, 0),
        'get_device_properties':
        lambda *args: SimpleNamespace(
            name=name, total_memory=1 << 34, major=9, minor=0),
        'mem_get_info':
        lambda *args: (1 << 34, 1 << 34),
        'current_stream':
        lambda *args: stream,
        '_lazy_call':
        lambda call, **kwargs: call(),
        'default_generators': (DEVICE.generators[0], ),
        'Event':
        Event,
        'LongTensor':
        _Legacy('LongTensor', (), dict(dtype=torch.int64)),
        'BoolTensor':
        _Legacy('BoolTensor', (), dict(dtype=torch.bool)),
    }


def ragged_attention(query: Tensor, key: Tensor, value: Tensor, starts: Tensor,
                     key_starts: Tensor, longest: int,
                     longest_key: int) -> Tensor:
    """What ``varlen_attn`` computes, (T, H, D), by a mask of all pairs."""
    places = torch.arange(len(query), device=query.device)
    scenes = torch.bucketize(places, starts[1:], right=True)
    mixed = F.scaled_dot_product_attention(
        *(part.transpose(0, 1) for part in (query, key, value)),
        attn_mask=scenes[:, None] == scenes)
    return mixed.transpose(0, 1)


@contextlib.contextmanager
def patched_torch() -> Iterator[None]:
    """Replace what would ask the driver.

    Yields:
        None: While it is replaced.
    """
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    with contextlib.ExitStack() as stack:
        patch = _patcher(stack)
        for name, new in _cuda_functions().items():
            old = getattr(torch.cuda, name)
            for module in (torch.cuda, torch.cuda.random, torch.cuda.memory):
                if getattr(module, name, None) is old:
                    patch(module, name, new)
        patch(torch, 'Generator', Generator)
        if varlen is not None:
            patch(varlen, 'varlen_attn', ragged_attention)
        patch(torch, 'load', _loader(torch.load))
        patch(torch, 'tensor', _tensor_maker(torch.tensor))
        patch(mmengine.device.utils, 'DEVICE', 'cuda')
        for name, kind in (('LongTypeTensor', torch.cuda.LongTensor),
                           ('BoolTypeTensor', torch.cuda.BoolTensor),
                           ('IndexType', EmulatedTensor)):
            types = getattr(instance_data, name).__args__
            patch(instance_data, name,
                  SimpleNamespace(__args__=(*types, kind)))
        patch(
            import_module('torch.optim.optimizer'), '_foreach_supported_types',
            [torch.Tensor, torch.nn.Parameter, EmulatedTensor])
        patch(torch.serialization, '_package_registry',
              [(0, _tag, lambda storage, place: None),
               *torch.serialization._package_registry])
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion,
                       swaps)
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(_cuda_autocast())
        yield


def _patcher(stack: contextlib.ExitStack) -> Callable[[Any, str, Any], None]:
    """Function that replaces an attribute until the stack is left."""
    return lambda owner, name, new: stack.enter_context(
        mock.patch.object(owner, name, new))


def _tag(storage: Any) -> Optional[str]:
    """Say that a saved storage was on the device."""
    is_mine = any(storage._cdata == s._cdata for s in DEVICE.saved)
    return 'cuda:0' if is_mine else None


def _tensor_maker(tensor: Callable) -> Callable:
    """Form of torch.tensor for lists of tensors of the device."""

    def make(data: Any, **kwargs: Any) -> Tensor:
        if isinstance(data, (list, tuple)):
            data = tree_map(
                lambda leaf: leaf.item()
                if isinstance(leaf, EmulatedTensor) else leaf, data)
        return tensor(data, **kwargs)

    return make


def _loader(load: Callable) -> Callable:
    """Form of torch.load that puts tensors on the emulated device."""

    def emulated_load(file: Any,
                      map_location: Any = None,
                      **kwargs: Any) -> Any:
        found: List[Any] = []

        def place(storage: Any, location: str) -> Any:
            wanted = map_location or location
            if isinstance(wanted, dict):
                wanted = wanted.get(location, location)
            if callable(wanted):
                wanted = getattr(wanted(storage, location), 'device', 'cpu')
            if torch.device(wanted).type == 'cuda':
                found.append(storage)
            return storage

        content = load(file, map_location=place, **kwargs)
        return tree_map(
            lambda leaf: _on_device(leaf, found)
            if isinstance(leaf, Tensor) else leaf, content)

    return emulated_load


def _on_device(loaded: Tensor, found: Sequence[Any]) -> Tensor:
    """A loaded tensor, on the device where its storage belongs there."""
    mine = loaded.untyped_storage()._cdata
    if all(mine != storage._cdata for storage in found):
        return loaded
    moved = loaded.detach().to(CUDA).requires_grad_(loaded.requires_grad)
    return torch.nn.Parameter(moved, loaded.requires_grad) if isinstance(
        loaded, torch.nn.Parameter) else moved


@contextlib.contextmanager
def _cuda_autocast() -> Iterator[None]:
    """Make CUDA's autocast, whose C++ asks for a true GPU, cast for us."""
    library = torch.library.Library('aten', 'IMPL', 'AutocastCUDA')
    names = torch._C._dispatch_get_registrations_for_dispatch_key(
        'AutocastCUDA')
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.*verrid')
        for full_name in names:
            namespace, _, name = full_name.partition('::')
            operation, _, overload = name.partition('.')
            if namespace == 'aten':
                packet = getattr(torch.ops.aten, operation)
                function = getattr(packet, overload or 'default')
                library.impl(
                    function,
                    _autocast(operation, function),
                    allow_override=True)
    try:
        yield
    finally:
        library._destroy()


def _autocast(operation: str, function: Any) -> Callable:
    """An operation under the policy of autocast."""

    def run(*args: Any, **kwargs: Any) -> Any:
        if operation == 'binary_cross_entropy':
            raise RuntimeError(
                'torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss'
                ' are unsafe to autocast.')
        with torch._C._ExcludeDispatchKeyGuard(
                torch._C.DispatchKeySet(_AUTOCAST)):
            dtype = _policy(operation, args, kwargs)
            if dtype is None:
                return function(*args, **kwargs)
            args, kwargs = tree_map(lambda leaf: _cast(leaf, dtype),
                                    (args, kwargs))
            return function(*args, **kwargs)

    return run


def _policy(operation: str, args: Any,
            kwargs: Dict[str, Any]) -> Optional[torch.dtype]:
    """The type that an operation computes in; None leaves it alone."""
    if operation.startswith(_LOW_PRECISION):
        return torch.get_autocast_dtype('cuda')
    if operation in _WIDEST:
        types: List[torch.dtype] = []
        tree_map(
            lambda leaf: types.append(leaf.dtype)
            if isinstance(leaf, EmulatedTensor) else None, (args, kwargs))
        is_wide = torch.float32 in types
        return torch.float32 if is_wide else torch.get_autocast_dtype('cuda')
    has_type = any(
        isinstance(v, torch.dtype) for v in (*args, *kwargs.values()))
    return None if has_type else torch.float32


def _cast(leaf: Any, dtype: torch.dtype) -> Any:
    """A floating point tensor of the device in another type."""
    if isinstance(leaf, EmulatedTensor) and leaf.dtype in _FLOATS:
        return leaf.to(dtype)
    return leaf
