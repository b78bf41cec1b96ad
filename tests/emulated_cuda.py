"""A CUDA device for tests on machines without one.

Inside :func:`emulated_cuda`, ``device='cuda'`` works everywhere in PyTorch,
and tensors on that device are :class:`EmulatedTensor`: wrappers of CPU
tensors that answer as tensors on ``cuda:0`` do. What a GPU refuses is refused
with the same error: operations on tensors of two devices, ``numpy()``, a
random generator of the other device, pinning memory of the GPU. What makes a
program wait for the GPU is counted.

Leaving the context restores everything. For C++, the wrappers are on the
``meta`` device, since its autograd engine asks a driver about CUDA devices.
"""
import contextlib
from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from tests.emulated_rules import (CPU, CUDA, check_devices, check_pinning,
                                  device_of_result, place, wait_of,
                                  without_pinning)

_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCUDA)


class Wait(NamedTuple):
    """A moment in which the CPU waits for the GPU.

    Attributes:
        kind (str): ``'scalar'`` (item, bool, int), ``'shape'`` (nonzero and
            such), ``'to cpu'`` or ``'to cuda'`` (blocking copies).
        operation (str): Name of PyTorch's operation.
        place (str): File and line of this project that asked for it.
    """

    kind: str
    operation: str
    place: str


class EmulatedTensor(Tensor):
    """A tensor that says it is on ``cuda:0``.

    Args:
        values (Tensor): CPU tensor that holds its values.
    """

    values: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor) -> 'EmulatedTensor':
        wrapper = Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            device='meta',
            _extra_dispatch_keys=_AUTOCAST)
        wrapper.values = values
        return wrapper

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    @property
    def data(self) -> 'EmulatedTensor':
        return EmulatedTensor(self.values)

    @data.setter
    def data(self, other: Tensor) -> None:
        self.values = other.values

    def get_device(self) -> int:
        return 0

    def numpy(self, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. "
                        'Use Tensor.cpu() to copy the tensor to host memory '
                        'first.')

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        copy = kwargs.pop('copy', False)
        device, dtype, non_blocking, layout = torch._C._nn._parse_to(
            *args, **kwargs)
        if device is None or device.type == 'cuda':
            device = torch.device('meta')  # where C++ thinks it is
        return super().to(
            device,
            dtype or self.dtype,
            non_blocking=non_blocking,
            copy=copy,
            memory_format=layout or torch.preserve_format)

    def cuda(self, *args: Any, **kwargs: Any) -> Tensor:
        return self

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:
        return torch.tensor(
            data, **{
                **dict(dtype=self.dtype, device=CUDA),
                **kwargs
            })

    def new(self, *args: Any, **kwargs: Any) -> Tensor:
        if args and type(args[0]) in (list, tuple):
            return self.new_tensor(*args, **kwargs)
        return super().new(*args, **kwargs)

    def __getitem__(self, place: Any) -> Tensor:
        return super().__getitem__(_to_index(place))

    def __setitem__(self, place: Any, value: Any) -> None:
        super().__setitem__(_to_index(place), value)

    def __deepcopy__(self, memo: Dict[int, Any]) -> 'EmulatedTensor':
        if not self.is_leaf:
            raise RuntimeError('Only Tensors created explicitly by the user '
                               'support the deepcopy protocol')
        if id(self) not in memo:
            copied = EmulatedTensor(self.values.clone())
            copied.__dict__.update((name, value)
                                   for name, value in self.__dict__.items()
                                   if name != 'values')
            copied.requires_grad_(self.requires_grad)
            memo[id(self)] = copied
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> Any:
        return _as_saved(self).__reduce_ex__(protocol)

    def __repr__(self) -> str:  # type: ignore[override]
        return f'{self.values!r} on cuda:0'

    def __format__(self, form: str) -> str:
        return format(self.item() if self.dim() == 0 else str(self), form)

    @classmethod
    def __torch_dispatch__(cls,
                           func: Any,
                           types: Any,
                           args: Any = (),
                           kwargs: Any = None) -> Any:
        return DEVICE.run(func, args, kwargs or {})


def _to_index(place: Any) -> Any:
    """An index whose lists are tensors, which C++ would make itself."""
    if isinstance(place, tuple):
        return tuple(_to_index(part) for part in place)
    is_list = isinstance(place, (list, np.ndarray, range))
    return torch.tensor(place, device=CUDA) if is_list else place


def _as_saved(tensor: EmulatedTensor) -> Tensor:
    """The CPU tensor that a pickle holds, marked as one of the GPU."""
    values = tensor.values.detach().requires_grad_(tensor.requires_grad)
    saved = torch.nn.Parameter(values, tensor.requires_grad) if isinstance(
        tensor, torch.nn.Parameter) else values
    DEVICE.saved.append(saved.untyped_storage())
    return saved


class EmulatedDevice:
    """What the device remembers.

    Attributes:
        waits (List[Wait]): Moments in which the CPU waited for it.
        generators (List[Any]): Its random generators, the default one first.
        saved (List[Any]): Storages whose pickles say that they were on it.
    """

    def __init__(self) -> None:
        self.waits: List[Wait] = []
        self.generators: List[Any] = []
        self.saved: List[Any] = []

    def count(self, *kinds: str) -> int:
        """Number of waits of some kinds, of all kinds without any."""
        return sum(not kinds or wait.kind in kinds for wait in self.waits)

    def places(self) -> Counter:
        """Number of waits by kind, operation and place."""
        return Counter(self.waits)

    def run(self, func: Any, args: Any, kwargs: Dict[str, Any]) -> Any:
        """Run an operation of PyTorch on tensors of both devices."""
        name = func._schema.name.split('::')[1]
        if func is torch.ops.prim.device.default:
            return CUDA
        leaves, spec = tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        on_gpu = [t for t in tensors if isinstance(t, EmulatedTensor)]
        target = device_of_result(kwargs.get('device'), bool(on_gpu))
        if on_gpu and len(on_gpu) < len(tensors):
            check_devices(func, name, args, tensors)
        check_pinning(name, kwargs, on_gpu, target)
        if name == '_pin_memory':  # which needs CUDA
            return args[0].clone()
        self._note_wait(name, args, kwargs, on_gpu, target)
        plain = tree_unflatten([_strip(leaf) for leaf in leaves], spec)
        with self._random_numbers(func, plain, target):
            result = func(*plain[0], **without_pinning(name, plain[1]))
        if on_gpu and torch.Tag.inplace_view in func.tags:
            with no_dispatch():  # the shape that C++ knows
                func(*args, **kwargs)
        given = {id(_strip(t)): t for t in tensors}
        return tree_map(lambda out: _wrap(out, given, target), result)

    @contextlib.contextmanager
    def _random_numbers(self, func: Any, plain: Any,
                        target: torch.device) -> Iterator[None]:
        """Draw from the generator of the device."""
        if torch.Tag.nondeterministic_seeded not in func.tags:
            yield
            return
        generators = [
            leaf for leaf in tree_flatten(plain)[0]
            if isinstance(leaf, torch._C.Generator)
        ]
        for generator in generators:
            place = self._device_of(generator).type
            if place != target.type:
                raise RuntimeError(
                    f"Expected a '{target.type}' device type for generator "
                    f"but found '{place}'")
        if generators or target == CPU:
            yield
            return
        of_cpu = torch.default_generator.get_state()
        torch.default_generator.set_state(self.generators[0].get_state())
        yield
        self.generators[0].set_state(torch.default_generator.get_state())
        torch.default_generator.set_state(of_cpu)

    def _device_of(self, generator: Any) -> torch.device:
        """C++ hands over a generator under another name."""
        mine = {found._cdata for found in self.generators}
        return CUDA if generator._cdata in mine else CPU

    def _note_wait(self, name: str, args: Any, kwargs: Dict[str, Any],
                   on_gpu: List[Tensor], target: torch.device) -> None:
        kind = wait_of(name, args, kwargs, on_gpu, target)
        if kind is not None:
            self.waits.append(Wait(kind, name, place()))


DEVICE = EmulatedDevice()


def _strip(leaf: Any) -> Any:
    """What the CPU computes with in place of an argument."""
    if isinstance(leaf, EmulatedTensor):
        return leaf.values
    if isinstance(leaf, torch.device) and leaf.type in ('cuda', 'meta'):
        return CPU
    return leaf


def _wrap(out: Any, given: Dict[int, Tensor], target: torch.device) -> Any:
    """The result of an operation on its device."""
    if not isinstance(out, Tensor):
        return out
    if id(out) in given:
        mine = given[id(out)]
        if mine.shape != out.shape or mine.stride() != out.stride():
            raise NotImplementedError(
                'the emulated device cannot change shapes in place')
        return mine
    return EmulatedTensor(out) if target == CUDA else out


class _Mode(TorchDispatchMode):
    """Sees the operations that no emulated tensor takes part in, too."""

    def __init__(self) -> None:
        super().__init__()
        # With a mode of this kind, C++ does not initialize CUDA.
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE

    def __torch_dispatch__(self,
                           func: Any,
                           types: Any,
                           args: Tuple = (),
                           kwargs: Optional[dict] = None) -> Any:
        return DEVICE.run(func, args, kwargs or {})


@contextlib.contextmanager
def emulated_cuda(kernels: str = 'mmcv') -> Iterator[EmulatedDevice]:
    """Emulate a CUDA device.

    Args:
        kernels (str): What runs point operations on it: ``'mmcv'``, its
            compiled kernels, or ``'torch'``, what runs without them.
            Defaults to ``'mmcv'``.

    Yields:
        EmulatedDevice: The device, with the waits since the context began.
    """
    from tests.emulated_kernels import emulated_kernels
    from tests.emulated_torch import Generator, patched_torch
    torch._C._ensureCUDADeviceGuardSet()
    lifts_cpu_only = torch._C._only_lift_cpu_tensors()
    DEVICE.__init__()  # type: ignore[misc]
    Generator('cuda')
    try:
        torch._C._set_only_lift_cpu_tensors(True)
        with patched_torch(), emulated_kernels(kernels), _Mode():
            yield DEVICE
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts_cpu_only)
