"""mmcv's CUDA kernels on the emulated device: ours for CPU tensors, bridged.

A bridge refuses what mmcv's kernels refuse or misread: tensors of the CPU,
tensors that are not contiguous, and types they are not compiled for.
"""
import contextlib
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator
from unittest import mock

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from sam3d_plugin.ops import _mmcv, _torch_ops
from sam3d_plugin.ops._mmcv import originals
from tests.emulated_cuda import EmulatedTensor


@contextlib.contextmanager
def emulated_kernels(kernels: str) -> Iterator[None]:
    """Let point operations take emulated tensors.

    Args:
        kernels (str): ``'mmcv'``, as if mmcv was compiled for CUDA, or
            ``'torch'``, the plain torch that runs without, and no Triton.

    Yields:
        None: While they do.
    """
    install: Any = import_module('sam3d_plugin.ops.install')
    bridges: Dict[str, Any] = {
        name: _bridge(function)
        for name, function in install._FUNCTIONS.items()
    }
    for name, ours in install._CLASSES.items():
        bridges[name] = SimpleNamespace(
            forward=_bridge(ours.forward, _check),
            backward=_bridge(ours.backward))
    extension = import_module('mmcv._ext')
    compiled = {
        name: _bridge(function, _check_compiled)
        for name, function in vars(extension).items()
        if callable(function) and not name.startswith('_')
    }
    with mock.patch.dict(originals(), bridges), \
            mock.patch.multiple(extension, **compiled), \
            mock.patch.object(_torch_ops, 'has_triton', lambda: False), \
            mock.patch.object(_mmcv, 'has_cuda_kernels',
                              lambda: kernels == 'mmcv'):
        yield


def _bridge(function: Callable,
            check: Callable = lambda tensor: None) -> Callable:
    """A function of CPU tensors as one of emulated tensors.

    Args:
        function (Callable): Computes on CPU tensors.
        check (Callable): Refuses tensors that the kernel would misread.

    Returns:
        Callable: On emulated tensors.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        is_on_gpu = []

        def strip(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            is_on_gpu.append(isinstance(leaf, EmulatedTensor))
            if is_on_gpu[-1]:
                check(leaf)
            return leaf.values if is_on_gpu[-1] else leaf

        args, kwargs = tree_map(strip, (args, kwargs))
        if any(is_on_gpu) and not all(is_on_gpu):
            raise RuntimeError(f'{function.__qualname__}: tensors of two '
                               'devices, cuda:0 and cpu')
        # Below the device: the kernel is one operation.
        with torch.utils._python_dispatch._disable_current_modes():
            result = function(*args, **kwargs)
        return tree_map(
            lambda out: EmulatedTensor(out)
            if isinstance(out, Tensor) and any(is_on_gpu) else out, result)

    return run


def _check(tensor: Tensor) -> None:
    """Refuse what mmcv's kernels for points do not take."""
    _check_compiled(tensor)
    if tensor.dtype == torch.int64:
        raise RuntimeError('indices of mmcv are int32')


def _check_compiled(tensor: Tensor) -> None:
    """Refuse what no kernel of mmcv takes."""
    if not tensor.is_contiguous():
        raise RuntimeError('a kernel of mmcv needs contiguous tensors')
    if tensor.dtype == torch.bfloat16:
        raise RuntimeError("not implemented for 'BFloat16'")
