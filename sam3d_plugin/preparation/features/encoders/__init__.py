"""Image encoders by name."""
import importlib
import inspect
from typing import Any, Dict, Mapping, Tuple

from ....store.errors import StoreError
from .base import ImageEncoder, fit_size

__all__ = ['ENCODERS', 'ImageEncoder', 'build_encoder', 'fit_size']

# Module and class; imported only when asked for, since timm is expensive.
ENCODERS: Dict[str, Tuple[str, str]] = dict(
    timm=('timm_encoder', 'TimmEncoder'),
    handcrafted=('handcrafted', 'HandcraftedEncoder'))


def build_encoder(name: str, options: Mapping[str, Any]) -> ImageEncoder:
    """Build an encoder by its name.

    Args:
        name (str): One of ``ENCODERS``.
        options (Mapping[str, Any]): Arguments of its constructor.

    Returns:
        ImageEncoder: With nothing loaded yet.

    Raises:
        StoreError: When there is no such encoder, it has no such option, or
            a value cannot be used.
    """
    if name not in ENCODERS:
        raise StoreError(f'image encoder {name!r} is unknown; choose one of '
                         f'{", ".join(ENCODERS)}')
    module, class_name = ENCODERS[name]
    encoder = getattr(
        importlib.import_module(f'{__name__}.{module}'), class_name)
    parameters = inspect.signature(encoder).parameters
    unknown = [key for key in options if key not in parameters]
    if unknown:
        defaults = ', '.join(f'{key}={parameter.default!r}'
                             for key, parameter in parameters.items())
        raise StoreError(f'{name} has no option {", ".join(unknown)}; its '
                         f'options are {defaults}')
    return encoder(**options)
