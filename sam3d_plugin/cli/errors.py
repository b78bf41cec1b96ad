"""Errors as users see them: one sentence, no traceback."""
import difflib
import re
import sys
import traceback
from typing import Optional, Set

from ..store.errors import UserError, explain_os_error

_WORKER = 'in DataLoader worker process'
_UNREGISTERED = ' registry. Please check '


def explain(error: BaseException) -> Optional[str]:
    """The sentence that tells a user what went wrong.

    None for an unforeseen error, of which the traceback must be seen.
    """
    text = str(error)
    if _WORKER in text:
        return _explain_worker(error, text)
    if isinstance(error, OSError):
        return explain_os_error(error)
    if isinstance(error, KeyError) and _UNREGISTERED in text:
        return _explain_unregistered(str(error.args[0]))
    if isinstance(error, (UserError, SyntaxError)):
        return text
    # Nothing is built from a config before mmengine's runner is there.
    if 'mmengine.runner' in sys.modules:
        return _explain_building(error)
    return None


def _explain_building(error: BaseException) -> Optional[str]:
    """Sentence for a component that its settings could not make."""
    from mmengine.registry import build_from_cfg
    from mmengine.runner import Runner

    from ..engine.option_checks import arguments_of
    component, name = None, None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        verb, _, noun = frame.f_code.co_name.partition('_')
        if frame.f_code is build_from_cfg.__code__:
            component = frame.f_locals.get('obj_cls')
            name = getattr(component, '__name__', str(component))
        elif name is None and verb in ('build', 'register', 'set') and (
                isinstance(frame.f_locals.get('self'), Runner)):
            name = f"the run's {noun}"
    if name is None:
        return None
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if isinstance(error, TypeError) and unknown and component:
        known = [
            key for key in arguments_of(component)
            if key not in ('self', 'args', 'kwargs')
        ]
        close = difflib.get_close_matches(unknown[1], known, n=3) or known
        return (f'the config gives {name} the setting {unknown[1]}, which it '
                f'does not take; it takes {", ".join(close[:12])}')
    return (f'{name} cannot be built from its settings in the config: '
            f'{error or type(error).__name__} (--traceback shows '
            'where)')


def _explain_worker(error: BaseException, text: str) -> Optional[str]:
    """Sentence of this package's error inside a data loading worker."""
    if not isinstance(error, (UserError, OSError)):
        return None
    return text.strip().splitlines()[-1].partition(': ')[2] or None


def _explain_unregistered(text: str) -> str:
    """Name the type that is not registered and what comes close."""
    name, place = text.split(_UNREGISTERED)[0].split(' is not in the ')
    scope, _, plain = name.rpartition('.')
    known = sorted(_registered_names(place, scope))
    close = difflib.get_close_matches(plain, known, n=3)
    hint = f'did you mean {" or ".join(close)}?' if close else (
        'name the module that defines it in custom_imports')
    return (f'the config names the type {name}, which is not registered in '
            f'{place} or its parents: {hint}')


def _registered_names(place: str, scope: str) -> Set[str]:
    """Names in a registry, its parents and the package the type names.

    ``place`` is ``scope::name``, ``scope`` what stood before the dot of the
    type. Names of all registries when there is none by that name.
    """
    from mmdet3d import registry as mmdet3d_registry
    from mmengine.registry import Registry
    every = [
        r for r in vars(mmdet3d_registry).values() if isinstance(r, Registry)
    ]
    chosen = [r for r in every if r.name == place.split('::')[-1]] or every
    names: Set[str] = set()
    for registry in chosen:
        names.update(registry.module_dict)
        while registry.parent is not None:
            registry = registry.parent
            names.update(registry.module_dict)
        if scope in registry.children:
            names.update(registry.children[scope].module_dict)
    return names
