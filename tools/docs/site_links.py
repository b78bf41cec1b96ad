"""Hooks of mkdocs for pages that are read in the repository, too.

There a link out of docs works, and docstrings name objects with roles.
"""
import re
from typing import Any

OUTSIDE = re.compile(r'\[([^\]]*)\]\(\.\./[^)]*\)')
ROLE = re.compile(
    r':(?:attr|class|data|func|meth|mod):<code>(~?)([^<]*)</code>')


def on_page_content(html: str, **_: Any) -> str:
    """Return a page with names for roles; after ~, the last part of one."""

    def name(match: 're.Match') -> str:
        text = match[2].rsplit('.', 1)[-1] if match[1] else match[2]
        return f'<code>{text}</code>'

    return ROLE.sub(name, html)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the text of a page with links outside docs as their words."""
    return OUTSIDE.sub(r'\1', markdown)
