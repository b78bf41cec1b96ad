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
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

CUDA = torch.device('cuda', 0)
CPU = torch.device('cpu')
_ROOT = str(Path(__file__).resolve().parents[1])
_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCUDA)

_COPIES = ('_to_copy', 'copy_', '_has_compatible_shallow_copy_type')
_INDEXING = ('index', 'index_put', 'index_put_', '_index_put_impl_',
             '_unsafe_index', '_unsafe_index_put')
# Besides pointwise operations, these take 0-dimensional tensors of the CPU.
_TAKES_SCALARS = ('fill', 'fill_', 'masked_fill', 'masked_fill_', 'index_fill',
                  'index_fill_')
# The size of the result depends on the values, so the CPU has to know them.
_WAITS_FOR_SHAPE = ('nonzero', 'masked_select', 'unique_dim', '_unique2',
                    'unique_consecutive', 'bincount', 'histc')


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
        target = _target(kwargs.get('device'), bool(on_gpu))
        if on_gpu and len(on_gpu) < len(tensors):
            _check_devices(func, name, args, tensors)
        _check_pinning(name, kwargs, on_gpu, target)
        self._note_wait(name, args, kwargs, on_gpu, target)
        plain = tree_unflatten([_strip(leaf) for leaf in leaves], spec)
        with self._random_numbers(func, plain, target):
            result = func(*plain[0], **_without_pinning(name, plain[1]))
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
        kind = _wait_of(name, args, kwargs, on_gpu, target)
        if kind is not None:
            self.waits.append(Wait(kind, name, _place()))


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


def _target(asked: Optional[torch.device], is_on_gpu: bool) -> torch.device:
    """The device of an operation's result."""
    if asked is not None:
        is_on_gpu = asked.type in ('cuda', 'meta')
    return CUDA if is_on_gpu else CPU


def _check_devices(func: Any, name: str, args: Any,
                   tensors: List[Tensor]) -> None:
    """Refuse tensors of two devices where a GPU does."""
    if name in _COPIES:
        return
    of_cpu = [t for t in tensors if not isinstance(t, EmulatedTensor)]
    if name in _INDEXING:
        if not isinstance(args[0], EmulatedTensor):
            raise RuntimeError('indices should be either on cpu or on the '
                               'same device as the indexed tensor (cpu)')
        of_cpu = [
            t for t in args[2:3]
            if isinstance(t, Tensor) and not isinstance(t, EmulatedTensor)
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


def _check_pinning(name: str, kwargs: Dict[str, Any], on_gpu: List[Tensor],
                   target: torch.device) -> None:
    """Refuse to pin what is not in the memory of the CPU."""
    if (name == '_pin_memory' and on_gpu) or (kwargs.get('pin_memory')
                                              and target == CUDA):
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense "
                           'CPU tensors can be pinned')


def _without_pinning(name: str, kwargs: Dict[str, Any]) -> Dict[str, Any]:
    """Arguments without a wish for memory that only CUDA can pin."""
    return {**kwargs, 'pin_memory': False} if kwargs.get('pin_memory') \
        else kwargs


def _wait_of(name: str, args: Any, kwargs: Dict[str, Any],
             on_gpu: List[Tensor], target: torch.device) -> Optional[str]:
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
    if any(type(index) is Tensor and index.dim() for index in indices):
        return 'to cuda'
    if name in _WAITS_FOR_SHAPE or any(
            index is not None and index.dtype in
        (torch.bool, torch.uint8) and isinstance(index, EmulatedTensor)
            for index in indices):
        return 'shape'
    if name == 'repeat_interleave' and kwargs.get('output_size') is None:
        return 'shape'
    return None


def _place() -> str:
    """File and line of the innermost frame of this project."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_ROOT) and '/tests/emulated_' not in file:
            return f'{file[len(_ROOT) + 1:]}:{frame.f_lineno}'
        frame = frame.f_back
    return ''


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
def emulated_cuda() -> Iterator[EmulatedDevice]:
    """Emulate a CUDA device.

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
        with patched_torch(), emulated_kernels(), _Mode():
            yield DEVICE
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts_cpu_only)
