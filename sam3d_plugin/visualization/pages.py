"""HTML pages from the templates of this folder; none needs a network.

Shapes: H W pixels.
"""
import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image
from plotly.offline import get_plotlyjs

from sam3d_plugin.store.files import BackendArgs, PathLike, write_bytes
from .overlays import encode_png, fit

_JPEG_QUALITY = 85


def jpeg_uri(image: np.ndarray, max_side: int) -> str:
    """(H, W, 3) uint8 as the source of an ``<img>``, compressed."""
    buffer = io.BytesIO()
    Image.fromarray(fit(image, max_side, False)).save(
        buffer, 'JPEG', quality=_JPEG_QUALITY)
    return _data_uri('jpeg', buffer.getvalue())


def png_uri(image: np.ndarray) -> str:
    """(H, W, 3) uint8 as the source of an ``<img>``, unchanged."""
    return _data_uri('png', encode_png(image))


def _data_uri(kind: str, content: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def figure_html(figure: go.Figure,
                name: str,
                height: str = '100vh',
                **config: Any) -> Markup:
    """A figure as an element of a page, as wide as its place.

    ``name`` is its id on the page, letters and digits; ``height`` is in units
    of CSS. ``config`` is plotly's, over the default: the wheel zooms, buttons
    show under the mouse.
    """
    return Markup(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            include_mathjax=False,
            default_height=height,
            div_id=name,
            config=dict(displaylogo=False, responsive=True, scrollZoom=True)
            | config))


def render(template: str, **content: Any) -> Markup:
    """Fill in a template; what is not :class:`Markup` is escaped."""
    return Markup(_TEMPLATES.get_template(template).render(content))


def write_page(path: PathLike,
               template: str,
               backend_args: BackendArgs = None,
               **content: Any) -> int:
    """Write a template with its content as one file; its size in bytes."""
    plotly = Markup(get_plotlyjs())
    page = render(template, plotly=plotly, **content).encode()
    write_bytes(path, page, backend_args)
    return len(page)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / 'templates'),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True)
_TEMPLATES.filters['jpeg'] = jpeg_uri
_TEMPLATES.policies['json.dumps_kwargs'] = dict(allow_nan=False)
