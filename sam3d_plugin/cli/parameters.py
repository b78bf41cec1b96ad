"""Options of a tool from the parameters of what it builds."""
import argparse
import inspect
import re
from typing import (Any, Callable, Dict, Optional, Sequence, Union,
                    get_type_hints)

_ENTRY = re.compile(
    r'^ {4}(\w+) \([^\n]*?\):\s(.*?)(?=^ {4}\w+ \(|^ {0,3}\S|\Z)',
    re.MULTILINE | re.DOTALL)


def add_parameters(parser: Any,
                   build: Callable,
                   names: Optional[Sequence[str]] = None,
                   **choices: Sequence[str]) -> None:
    """Add an option for each parameter; its docstring is the help.

    A parameter that is on by default gets an option ``--no-...``.

    Args:
        parser (Any): Parser or group.
        build (Callable): Class or function with an ``Args`` section.
        names (Optional[Sequence[str]]): Some parameters. Defaults to all.
        **choices (Sequence[str]): What a parameter may be.
    """
    texts = parameter_texts(build)
    hints = get_type_hints(build.__init__ if inspect.isclass(build) else build)
    for name, parameter in inspect.signature(build).parameters.items():
        if names is not None and name not in names:
            continue
        default, kind = parameter.default, hints[name]
        if getattr(kind, '__origin__', None) is Union:  # Optional
            kind = kind.__args__[0]
        settings: Dict[str, Any] = dict(default=default, help=texts[name])
        if kind is bool:
            settings['action'] = argparse.BooleanOptionalAction
        else:
            settings.update(type=kind, choices=choices.get(name))
            if default is not None:
                settings['help'] += ' (default: %(default)s)'
        parser.add_argument(f'--{name.replace("_", "-")}', **settings)


def parameter_texts(build: Callable) -> Dict[str, str]:
    """What a docstring says of each parameter, as help of argparse."""
    _, _, section = (inspect.getdoc(build) or '').partition('\nArgs:\n')
    return {
        name:
        re.sub(r'``|\.? Defaults to .*|\.$', '',
               ' '.join(text.split())).replace('%', '%%')
        for name, text in _ENTRY.findall(section)
    }


def chosen(args: argparse.Namespace,
           build: Callable,
           names: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """Values of the options of :func:`add_parameters`, as arguments."""
    parameters = inspect.signature(build).parameters
    return {name: getattr(args, name) for name in names or parameters}
