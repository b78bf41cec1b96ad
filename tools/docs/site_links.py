"""Links of the documentation site that leave docs become plain text.

A hook of mkdocs: the pages are read in the repository too, where a link to
``../projects`` works.
"""
import re
from typing import Any

OUTSIDE = re.compile(r'\[([^\]]*)\]\(\.\./[^)]*\)')


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the text of a page with links outside docs as their words."""
    return OUTSIDE.sub(r'\1', markdown)
