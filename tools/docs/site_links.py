"""Hooks of mkdocs for pages that are read in the repository, too.

There a link out of docs works, and docstrings name objects with roles.
"""
import posixpath
import re
from typing import Any

UPWARD = re.compile(r'\[([^\]]*)\]\((\.\./[^)]*)\)')
ROLE = re.compile(
    r':(?:attr|class|data|func|meth|mod):<code>(~?)([^<]*)</code>')


def on_page_content(html: str, **_: Any) -> str:
    """Return a page with names for roles; after ~, the last part of one."""

    def name(match: 're.Match') -> str:
        text = match[2].rsplit('.', 1)[-1] if match[1] else match[2]
        return f'<code>{text}</code>'

    return ROLE.sub(name, html)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page with links outside docs as their words."""
    folder = posixpath.dirname(page.file.src_uri)

    def words(match: 're.Match') -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        return match[1] if target.startswith('..') else match[0]

    return UPWARD.sub(words, markdown)
