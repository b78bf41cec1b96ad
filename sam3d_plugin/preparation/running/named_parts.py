"""Parts of steps that the command line names: generators, encoders."""
import importlib
import inspect
import textwrap
from typing import Any, Dict, Mapping, Tuple

from ...store.errors import StoreError


def build_by_name(what: str, classes: Dict[str, Tuple[str, str]], package: str,
                  name: str, options: Mapping[str, Any]) -> Any:
    """Build a part by its name.

    ``classes`` has module and class by name; a module is imported only when
    asked for, since some are expensive. StoreError when there is no such part,
    it has no such option, a needed one is missing, or a value cannot be used.
    """
    if name not in classes:
        raise StoreError(f'{what} {name!r} is unknown; choose one of '
                         f'{", ".join(classes)}')
    module, class_name = classes[name]
    part = getattr(importlib.import_module(f'{package}.{module}'), class_name)
    parameters = inspect.signature(part).parameters
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
        return part(**options)
    except (TypeError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f'{name}: {error}') from error


def describe_parts(classes: Dict[str, Tuple[str, str]], package: str) -> str:
    """The options of all parts, for ``--help``."""
    lines = ['options (-O key=value):']
    for name, (module, class_name) in classes.items():
        try:
            part = getattr(
                importlib.import_module(f'{package}.{module}'), class_name)
        except ImportError as error:
            lines.append(f'  {name}: install {error.name} to see them')
            continue
        options = _describe(inspect.signature(part).parameters)
        lines += textwrap.wrap(
            f'{name}: {options}',
            78,
            initial_indent='  ',
            subsequent_indent='      ',
            break_on_hyphens=False)
    return '\n'.join(lines)


def _describe(parameters: Mapping[str, inspect.Parameter]) -> str:
    """Options with their defaults, for errors."""
    return ', '.join(key if parameter.default is
                     parameter.empty else f'{key}={parameter.default!r}'
                     for key, parameter in parameters.items())
