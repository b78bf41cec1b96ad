"""Pieces of HTML that the pages share; none of them needs a network.

Axes: H W pixels.
"""
import base64
import io
import json
from html import escape
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import plotly.graph_objects as go
from PIL import Image

_JPEG_QUALITY = 85


def json_for_html(data: Dict[str, Any]) -> str:
    """Data as the content of a ``<script type="application/json">``.

    Args:
        data (Dict[str, Any]): Finite numbers and plain values.

    Returns:
        str: A name like ``</script>`` in it does not end the element.
    """
    return json.dumps(data, allow_nan=False).replace('<', '\\u003c')


def data_uri(kind: str, content: bytes) -> str:
    """An image as the source of an ``<img>``.

    Args:
        kind (str): ``'png'`` or ``'jpeg'``.
        content (bytes): The file.

    Returns:
        str: The image itself, in place of an address.
    """
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def jpeg_uri(image: np.ndarray) -> str:
    """(H, W, 3) uint8 as the source of an ``<img>``, compressed."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=_JPEG_QUALITY)
    return data_uri('jpeg', buffer.getvalue())


def figure_html(figure: go.Figure, name: str, height: int,
                **config: Any) -> str:
    """A figure for a page that has plotly's script in its head.

    Args:
        figure (go.Figure): The figure.
        name (str): Its id on the page.
        height (int): Pixels; it is as wide as its place.
        **config (Any): Of plotly, over that of a page with few figures:
            the wheel zooms, buttons show under the mouse.

    Returns:
        str: The element.
    """
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        include_mathjax=False,
        default_height=f'{height}px',
        div_id=name,
        config={
            'displaylogo': False,
            'displayModeBar': 'hover',
            'responsive': True,
            'scrollZoom': True,
            **config
        })


def names_and_values(rows: Sequence[Tuple[str, str]]) -> str:
    """A table of names and values, escaped."""
    cells = ''.join(f'<tr><th>{escape(name)}</th><td>{escape(value)}</td>'
                    '</tr>' for name, value in rows)
    return f'<table>{cells}</table>'
