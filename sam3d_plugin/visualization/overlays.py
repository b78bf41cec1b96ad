"""Regions drawn on images, and sheets of frames beside their regions.

Axes: H W pixels, R regions. Images are (H, W, 3) uint8 RGB; id maps are
(H, W) integers with 0 for pixels in no region.
"""
import io
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .points import colors_from_ids

BACKGROUND = (255, 255, 255)
_TEXT = (40, 40, 40)
_NO_DEPTH = (238, 238, 238)
_MARGIN = 8
_CAPTION = 22


@dataclass(frozen=True)
class FramePanels:
    """What a sheet or a page shows of one frame.

    Args:
        name (str): Name of the frame.
        color (np.ndarray): (H, W, 3) uint8.
        ids (Optional[np.ndarray]): (H, W) region ids, 0 = none; None when
            the frame has no id map.
        depth (Optional[np.ndarray]): (H', W') metres, 0 = none.
        group_ids (Optional[np.ndarray]): (R,) group of region i + 1.
        note (str): Written under the frame's name, e.g. why it was skipped.
    """
    name: str
    color: np.ndarray
    ids: Optional[np.ndarray] = None
    depth: Optional[np.ndarray] = None
    group_ids: Optional[np.ndarray] = None
    note: str = ''


def fit(image: np.ndarray, max_side: int, is_id_map: bool) -> np.ndarray:
    """Make an image smaller, never larger.

    Args:
        image (np.ndarray): (H, W) or (H, W, 3).
        max_side (int): Longest side of the result, pixels.
        is_id_map (bool): Take the nearest pixel instead of an average, as
            ids and depths with holes need it.

    Returns:
        np.ndarray: Same dtype and aspect.
    """
    height, width = image.shape[:2]
    scale = min(max_side / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if size == (width, height):
        return image
    if is_id_map:
        rows = (np.arange(size[1]) + 0.5) * height / size[1]
        columns = (np.arange(size[0]) + 0.5) * width / size[0]
        return image[rows.astype(int)[:, None], columns.astype(int)]
    return np.asarray(
        Image.fromarray(image).resize(size, Image.Resampling.BOX))


def region_borders(ids: np.ndarray) -> np.ndarray:
    """Pixels at which one region ends and the next begins.

    Args:
        ids (np.ndarray): (H, W) region ids.

    Returns:
        np.ndarray: (H, W) bool, true where the pixel to the right or below
        has another id.
    """
    is_border = np.zeros(ids.shape, dtype=bool)
    is_border[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    is_border[:-1] |= ids[:-1] != ids[1:]
    return is_border


def draw_regions(image: np.ndarray,
                 ids: np.ndarray,
                 opacity: float = 0.55,
                 colors: Optional[np.ndarray] = None) -> np.ndarray:
    """Draw regions over an image, each with a colour and a border.

    Args:
        image (np.ndarray): (H, W, 3) uint8.
        ids (np.ndarray): (H, W) region ids, 0 = none: stays as it is.
        opacity (float): Of the colours, from 0 to 1.
        colors (Optional[np.ndarray]): (R + 1, 3) uint8 by id; default
            :func:`colors_from_ids`.

    Returns:
        np.ndarray: (H, W, 3) uint8.

    Raises:
        ValueError: When the id map has another size than the image.
    """
    if ids.shape != image.shape[:2]:
        raise ValueError(f'an id map of {ids.shape[1]}x{ids.shape[0]} does '
                         f'not fit an image of {image.shape[1]}x'
                         f'{image.shape[0]} pixels')
    if colors is None:
        colors = colors_from_ids(np.arange(int(ids.max(initial=0)) + 1))
    alpha = np.where(ids > 0, opacity, 0.0)[..., None]
    mixed = (1 - alpha) * image + alpha * colors[ids]
    mixed[region_borders(ids)] = BACKGROUND
    return mixed.round().astype(np.uint8)


def depth_range(depths: Sequence[np.ndarray]) -> Tuple[float, float]:
    """Depths that the colours of several images run between.

    Args:
        depths (Sequence[np.ndarray]): (H, W) metres each, 0 = none.

    Returns:
        Tuple[float, float]: The 1st and the 99th percentile, metres; 0 and
        1 when no pixel has depth.
    """
    values = np.concatenate([d[d > 0] for d in depths] or [np.zeros(0)])
    if not len(values):
        return 0.0, 1.0
    near, far = np.percentile(values, [1, 99])
    return float(near), float(far)


def draw_depth(depth: np.ndarray, near: float, far: float) -> np.ndarray:
    """Colour a depth image.

    Args:
        depth (np.ndarray): (H, W) metres, 0 = none: light grey.
        near (float): Drawn bright, metres.
        far (float): Drawn dark, metres.

    Returns:
        np.ndarray: (H, W, 3) uint8.
    """
    share = ((depth - near) / max(far - near, 1e-6)).clip(0, 1)
    image = matplotlib.colormaps['viridis'](1 - share, bytes=True)[..., :3]
    image[depth <= 0] = _NO_DEPTH
    return image


def encode_png(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'PNG')
    return buffer.getvalue()


def contact_sheet(frames: Sequence[FramePanels],
                  max_side: int = 480,
                  title: str = '') -> np.ndarray:
    """One row per frame: colour, regions over it, depth.

    Args:
        frames (Sequence[FramePanels]): The rows.
        max_side (int): Longest side of a panel, pixels.
        title (str): Written above the rows.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: When there is no frame.
    """
    if not frames:
        raise ValueError('a sheet needs at least one frame')
    limits = depth_range([f.depth for f in frames if f.depth is not None])
    rows = [_row(frame, max_side, limits) for frame in frames]
    blocks = [_text_line(title, 2 * _CAPTION)] if title else []
    for frame, row in zip(frames, rows):
        blocks += [_text_line(_caption(frame)), row]
    width = max(block.shape[1] for block in blocks)
    return np.concatenate([
        np.pad(
            block, ((0, 0), (0, width - block.shape[1]), (0, 0)),
            constant_values=BACKGROUND[0]) for block in blocks
    ])


def _caption(frame: FramePanels) -> str:
    parts = [frame.name]
    if frame.ids is not None:
        parts.append(f'{int(frame.ids.max(initial=0))} regions cover '
                     f'{(frame.ids > 0).mean():.0%}')
    if frame.depth is not None:
        parts.append(f'depth in {(frame.depth > 0).mean():.0%}')
    return ', '.join(parts + [frame.note] * bool(frame.note))


def _row(frame: FramePanels, max_side: int,
         limits: Tuple[float, float]) -> np.ndarray:
    """Panels of one frame side by side, blank where something is missing."""
    color = fit(frame.color, max_side, False)
    blank = np.full_like(color, _NO_DEPTH[0])
    regions, depth = blank, blank
    if frame.ids is not None:
        regions = draw_regions(color, fit(frame.ids, max_side, True))
    if frame.depth is not None:
        depth = draw_depth(fit(frame.depth, max_side, True), *limits)
    return _side_by_side([color, regions, depth])


def _side_by_side(images: List[np.ndarray]) -> np.ndarray:
    height = max(image.shape[0] for image in images) + _MARGIN
    return np.concatenate([
        np.pad(
            image, ((0, height - image.shape[0]), (_MARGIN, 0), (0, 0)),
            constant_values=BACKGROUND[0]) for image in images
    ], 1)


def _text_line(text: str, height: int = _CAPTION) -> np.ndarray:
    """Text on a white strip that is as wide as it needs."""
    font = ImageFont.load_default(size=0.62 * height)
    width = int(font.getlength(text)) + 2 * _MARGIN
    image = Image.new('RGB', (width, height), BACKGROUND)
    ImageDraw.Draw(image).text((_MARGIN, height // 2),
                               text,
                               font=font,
                               fill=_TEXT,
                               anchor='lm')
    return np.asarray(image)
