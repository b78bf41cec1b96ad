"""Region generators by name."""
import importlib
import inspect
from typing import Any, Dict, Mapping, Tuple

from ....store.errors import StoreError
from .base import (MAX_REGIONS, OVERLAP_RULES, RegionGenerator, merge_masks,
                   number_regions)

__all__ = [
    'GENERATORS', 'MAX_REGIONS', 'OVERLAP_RULES', 'RegionGenerator',
    'build_generator', 'merge_masks', 'number_regions'
]

# Module and class; imported only when asked for, since SAM's is expensive.
GENERATORS: Dict[str, Tuple[str, str]] = dict(
    superpixel=('superpixel', 'SuperpixelRegions'),
    sam=('sam', 'SAMRegions'),
    precomputed=('precomputed', 'PrecomputedRegions'))


def build_generator(name: str, options: Mapping[str, Any]) -> RegionGenerator:
    """Build a generator by its name.

    Args:
        name (str): One of ``GENERATORS``.
        options (Mapping[str, Any]): Arguments of its constructor.

    Returns:
        RegionGenerator: With nothing loaded yet.

    Raises:
        StoreError: When there is no such generator, it has no such option, a
            needed one is missing, or a value cannot be used.
    """
    if name not in GENERATORS:
        raise StoreError(f'region generator {name!r} is unknown; choose one '
                         f'of {", ".join(GENERATORS)}')
    module, class_name = GENERATORS[name]
    generator = getattr(
        importlib.import_module(f'{__name__}.{module}'), class_name)
    parameters = inspect.signature(generator).parameters
    unknown = [key for key in options if key not in parameters]
    if unknown:
        raise StoreError(f'{name} has no option {", ".join(unknown)}; its '
                         f'options are {_describe(parameters)}')
    missing = [
        key for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in options
    ]
    if missing:
        raise StoreError(f'{name} needs {", ".join(missing)}; its options '
                         f'are {_describe(parameters)}')
    try:
        return generator(**options)
    except (TypeError, ValueError) as error:
        raise StoreError(f'{name}: {error}') from error


def _describe(parameters: Mapping[str, inspect.Parameter]) -> str:
    """Options with their defaults, for errors."""
    return ', '.join(key if parameter.default is
                     parameter.empty else f'{key}={parameter.default!r}'
                     for key, parameter in parameters.items())
