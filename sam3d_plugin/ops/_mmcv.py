"""mmcv's own point operations, and what runs where."""
import warnings
from functools import lru_cache
from importlib import import_module
from subprocess import CalledProcessError
from types import SimpleNamespace
from typing import Any, Dict

from torch import Tensor

# mmcv's autograd functions and plain functions that have no CPU kernel.
FUNCTION_CLASSES = ('FurthestPointSampling', 'BallQuery', 'KNN',
                    'GatherPoints', 'GroupingOperation', 'ThreeNN',
                    'ThreeInterpolate')
PLAIN_FUNCTIONS = ('box_iou_rotated', 'points_in_boxes_all',
                   'points_in_boxes_part', 'sigmoid_focal_loss')
_MODULES = dict(
    FurthestPointSampling='furthest_point_sample',
    BallQuery='ball_query',
    KNN='knn',
    GatherPoints='gather_points',
    GroupingOperation='group_points',
    ThreeNN='three_nn',
    ThreeInterpolate='three_interpolate')
# Kept on mmcv's package and not here, so that a second import of this one
# does not take its own replacements for the originals.
_ATTRIBUTE = '_sam3d_plugin_originals'


def function_class(name: str) -> type:
    """Return mmcv's autograd Function class.

    Args:
        name (str): Name of the class, one of ``FUNCTION_CLASSES``.

    Returns:
        type: The class, whose methods :func:`install` may have replaced.
    """
    return getattr(import_module(f'mmcv.ops.{_MODULES[name]}'), name)


def originals() -> Dict[str, Any]:
    """Return mmcv's implementations as they were before :func:`install`.

    Returns:
        Dict[str, Any]: By name, the plain functions, and for the autograd
        functions objects with ``forward`` and ``backward``.
    """
    # Not ``import mmcv.ops``: inside an import hook of that package, mmcv has
    # no such attribute yet.
    package = import_module('mmcv.ops')
    if not hasattr(package, _ATTRIBUTE):
        found: Dict[str, Any] = {
            name: getattr(package, name)
            for name in PLAIN_FUNCTIONS
        }
        for name in FUNCTION_CLASSES:
            cls: Any = function_class(name)
            found[name] = SimpleNamespace(
                forward=cls.forward, backward=cls.backward)
        setattr(package, _ATTRIBUTE, found)
    return getattr(package, _ATTRIBUTE)


def backend_of(tensor: Tensor) -> str:
    """Name of the implementation that runs an operation on a tensor.

    Args:
        tensor (Tensor): One that the operation reads.

    Returns:
        str: ``cpu`` for the kernels of this package; on a GPU ``mmcv`` where
        mmcv has CUDA kernels, else ``torch``.
    """
    if not tensor.is_cuda:
        return 'cpu'
    return 'mmcv' if has_cuda_kernels() else 'torch'


def has_kernels() -> bool:
    """Tell whether mmcv came with compiled operations.

    Returns:
        bool: False with mmcv-lite, and without mmcv.
    """
    try:
        return getattr(import_module('mmcv._ext'), 'HAS_KERNELS', True)
    except ImportError:
        return False


@lru_cache(maxsize=None)
def has_cuda_kernels() -> bool:
    """Tell whether mmcv's operations were compiled for GPUs, too."""
    return has_kernels() and import_module(
        'mmcv._ext').get_compiling_cuda_version() != 'not available'


@lru_cache(maxsize=None)
def has_triton() -> bool:
    """Return whether Triton can build and start kernels on this machine.

    It compiles a small C module for that, once per machine.
    """
    try:
        import triton
        assert triton.runtime.driver.active.utils
    except (ImportError, OSError, RuntimeError, AssertionError,
            CalledProcessError) as error:
        warnings.warn(
            'Point sampling and kNN are slow on this GPU, because Triton '
            f'cannot start ({error}); install a C compiler and the headers '
            'of Python.',
            RuntimeWarning,
            stacklevel=2)
        return False
    return True
