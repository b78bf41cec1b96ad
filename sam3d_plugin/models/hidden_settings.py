"""Settings that tensors do not show."""
import inspect
from typing import Any, Dict, Iterator

from mmdet3d.registry import MODELS

# With other values tensors of the same shapes compute something else.
_HIDDEN = ('num_heads', 'relative')


def hidden_differences(trained: Any,
                       own: Any,
                       place: str = '') -> Iterator[str]:
    """Compare two settings of the same parts.

    Args:
        trained (Any): Those of a file.
        own (Any): Those of the model that it is loaded into.
        place (str): Name of the part.

    Yields:
        str: As in ``'encoder.num_heads 8, here 4'``.
    """
    if not isinstance(trained, dict) or not isinstance(own, dict):
        return
    for name in _HIDDEN:
        theirs, mine = _value(trained, name), _value(own, name)
        if None not in (theirs, mine) and theirs != mine:
            yield f'{place}{name} {theirs}, here {mine}'
    for name in trained.keys() & own.keys():
        yield from hidden_differences(trained[name], own[name],
                                      f'{place}{name}.')


def _value(settings: Dict[str, Any], name: str) -> Any:
    """A setting or its default; None for a part that has none of the kind."""
    kind = MODELS.get(str(settings.get('type')).split('.')[-1])
    if name in settings or kind is None:
        return settings.get(name)
    parameter = inspect.signature(kind).parameters.get(name)
    return None if parameter is None else parameter.default
