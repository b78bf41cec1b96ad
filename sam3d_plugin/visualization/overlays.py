"""Regions drawn on images, and sheets of frames beside their regions.

Shapes: H W pixels, R regions. Images are (H, W, 3) uint8 RGB; id maps are
(H, W) integers with 0 for pixels in no region.
"""
import io
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..store.errors import UserError
from .figures import figure_image
from .points import colors_from_ids

BACKGROUND = (255, 255, 255)
_NO_DEPTH = (238, 238, 238)
_OPACITY = 0.55  # of the colors of regions
_DPI = 110
_MARGIN, _CAPTION = 8, 24  # pixels


@dataclass(frozen=True)
class FramePanels:
    """What a sheet or a page shows of one frame."""
    name: str  # Name of the frame
    color: np.ndarray  # (H, W, 3) uint8
    # (H, W) region ids, 0 = none; None when the frame has no id map
    ids: Optional[np.ndarray] = None
    depth: Optional[np.ndarray] = None  # (H', W') meters, 0 = none
    group_ids: Optional[np.ndarray] = None  # (R,) group of region i + 1
    note: str = ''  # Written under the frame's name, e.g. why it was skipped


def fit(image: np.ndarray, max_side: int, is_id_map: bool) -> np.ndarray:
    """Make an image (H, W) or (H, W, 3) smaller, never larger.

    ``max_side`` is the longest side of the result. Ids and depths with holes
    take the nearest pixel (``is_id_map``), other images an average.
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
    """(H, W) mask of the pixels whose right or lower neighbor differs."""
    is_border = np.zeros(ids.shape, dtype=bool)
    is_border[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    is_border[:-1] |= ids[:-1] != ids[1:]
    return is_border


def draw_regions(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Draw regions over an image, each with a color and a border.

    Args:
        image (np.ndarray): (H, W, 3) uint8.
        ids (np.ndarray): (H, W) region ids, 0 = none: stays as it is.

    Returns:
        np.ndarray: (H, W, 3) uint8.

    Raises:
        ValueError: When the id map has another size than the image.
    """
    if ids.shape != image.shape[:2]:
        raise UserError(f'an id map of {ids.shape[1]}x{ids.shape[0]} does '
                        f'not fit an image of {image.shape[1]}x'
                        f'{image.shape[0]} pixels')
    colors = colors_from_ids(np.arange(int(ids.max(initial=0)) + 1))
    alpha = np.where(ids > 0, _OPACITY, 0.0)[..., None]
    mixed = (1 - alpha) * image + alpha * colors[ids]
    mixed[region_borders(ids)] = BACKGROUND
    return mixed.round().astype(np.uint8)


def depth_range(depths: Sequence[np.ndarray]) -> Tuple[float, float]:
    """Depths that the colors of several images run between.

    Args:
        depths (Sequence[np.ndarray]): (H, W) meters each, 0 = none.

    Returns:
        Tuple[float, float]: The 1st and the 99th percentile, meters; 0 and
        1 when no pixel has depth.
    """
    values = np.concatenate([d[d > 0] for d in depths] or [np.zeros(0)])
    if not len(values):
        return 0.0, 1.0
    near, far = np.percentile(values, [1, 99])
    return float(near), float(far)


def draw_depth(depth: np.ndarray, near: float, far: float) -> np.ndarray:
    """Color a depth image.

    Args:
        depth (np.ndarray): (H, W) meters, 0 = none: light gray.
        near (float): Drawn bright, meters.
        far (float): Drawn dark, meters.

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
    """One row per frame: color, regions over it, depth.

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
        raise UserError('a sheet needs at least one frame')
    limits = depth_range([f.depth for f in frames if f.depth is not None])
    rows = [_row(frame, max_side, limits) for frame in frames]
    height, width = np.max([x.shape[:2] for row in rows for x in row], axis=0)
    size = (3 * (width + _MARGIN), len(rows) * (height + _CAPTION) + _CAPTION)

    def draw(figure: Figure) -> None:
        figure.suptitle(title, y=1, va='top')
        panels = figure.subplots(
            len(rows),
            3,
            squeeze=False,
            gridspec_kw=dict(
                left=0,
                right=1,
                bottom=0,
                top=1 - 2 * _CAPTION / size[1],
                wspace=_MARGIN / width,
                hspace=_CAPTION / height))
        for frame, row, places in zip(frames, rows, panels):
            places[0].set_title(_caption(frame), loc='left', fontsize=9)
            for image, axes in zip(row, places):
                axes.imshow(image)
                axes.axis('off')

    return figure_image(size, _DPI, draw)


def _caption(frame: FramePanels) -> str:
    parts = [frame.name]
    if frame.ids is not None:
        parts.append(f'{int(frame.ids.max(initial=0))} regions cover '
                     f'{(frame.ids > 0).mean():.0%}')
    if frame.depth is not None:
        parts.append(f'depth in {(frame.depth > 0).mean():.0%}')
    return ', '.join(parts + [frame.note] * bool(frame.note))


def _row(frame: FramePanels, max_side: int,
         limits: Tuple[float, float]) -> List[np.ndarray]:
    """Panels of one frame, blank where something is missing."""
    color = fit(frame.color, max_side, False)
    regions = depth = np.full_like(color, _NO_DEPTH[0])
    if frame.ids is not None:
        regions = draw_regions(color, fit(frame.ids, max_side, True))
    if frame.depth is not None:
        depth = draw_depth(fit(frame.depth, max_side, True), *limits)
    return [color, regions, depth]
