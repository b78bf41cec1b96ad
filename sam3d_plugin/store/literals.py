"""Python literals in config files and on command lines."""
import ast
from typing import Any, List, Tuple

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
