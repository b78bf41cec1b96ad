"""Python literals in config files and on command lines."""
import ast
from typing import Any, Dict, List, Tuple

from .errors import UserError


def literal_value(node: ast.expr) -> Any:
    """Value of a literal, of ``dict(...)`` or of a list of them.

    Raises ValueError if the text is not a literal.
    """
    if isinstance(node, ast.Call) and isinstance(
            node.func, ast.Name) and node.func.id == 'dict':
        if node.args:
            raise UserError('dict() takes names and values here')
        pairs: List[Tuple[Any, Any]] = []
        for keyword in node.keywords:
            value = literal_value(keyword.value)
            pairs += [(keyword.arg, value)] if keyword.arg else value.items()
        return dict(pairs)
    if isinstance(node, ast.Dict):
        return {
            literal_value(key): literal_value(value)
            for key, value in zip(node.keys, node.values) if key is not None
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        return [literal_value(item) for item in node.elts]
    return ast.literal_eval(node)


def settings_of(checkpoint: Dict[str, Any]) -> Dict[str, Any]:
    """The config of a checkpoint; empty if mmengine did not write it."""
    return parse_settings((checkpoint.get('meta') or {}).get('cfg') or '')


def parse_settings(text: str) -> Dict[str, Any]:
    """Read the config that mmengine put into a checkpoint, running nothing.

    Values that are not literals or ``dict(...)`` are skipped.
    """
    settings: Dict[str, Any] = {}
    try:
        nodes = ast.parse(text).body
    except (SyntaxError, TypeError):  # of another library
        return settings
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0],
                                                       ast.Name):
            try:
                settings[node.targets[0].id] = literal_value(node.value)
            except ValueError:
                continue
    return settings
