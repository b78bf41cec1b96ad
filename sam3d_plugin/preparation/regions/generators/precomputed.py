"""Regions that were found elsewhere, brought into id maps.

Shapes: H W pixels.
"""
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike, fingerprint_of_files, join
from ....store.posed_images import RGBDFrame, decode_image
from ...ids import find_no_id
from ...skipping import try_each
from ...sources.scans.source_files import read_source_file
from .base import (OVERLAP_RULES, RegionGenerator, check_areas, merge_masks,
                   number_regions)
from .mask_lists import decode_mask_list
from .vertex_groups import VertexGroups, fill_pattern, last_part

FORMS = dict(labels='.png', rle='.json', vertices='')
RESIZES = ('none', 'nearest')


class PrecomputedRegions(RegionGenerator):
    """Regions from files of one of three forms.

    ``'labels'``: one image of integer labels per frame, 8 or 16 bit.
    ``'rle'``: one JSON of masks per frame; see
    :mod:`~sam3d_plugin.preparation.generators.mask_lists`. ``'vertices'``:
    one file of group ids per vertex for each scan, seen from the frames; see
    :class:`VertexGroups`.

    Args:
        path (PathLike): Folder with ``<scan>/<frame>.png`` or ``.json``, or
            with ``<scan>.npz`` or ``.ply``; or a pattern in which ``{scan}``
            and ``{frame}`` are replaced.
        form (str): Which of the three.
        resize (str): What to do with label images and masks of another size
            than the color image: ``'none'`` skips the frame, ``'nearest'``
            takes the nearest pixel.
        background (Union[int, str, None]): Label that means no region; None
            makes all labels regions; ``'auto'`` takes 0, and stops the run
            at labels that look as if another stood for none.
        overlap (str): Which mask gets a pixel of several; see
            :func:`merge_masks`. ``'score'`` goes by ``predicted_iou``.
        min_area (int): Smallest region, pixels.
        max_area (Optional[int]): Largest region, pixels; None sets no limit.
        points (Optional[PathLike]): See :class:`VertexGroups`, as for all
            below.
        region_key (Optional[str]): Name of the group ids.
        world_to_scan (Optional[str]): File with a 4x4 matrix.
        distance (float): How near a vertex must be, meters.
        backend_args (BackendArgs): Arguments of the file backend.
    """
    name = 'precomputed'

    def __init__(self,
                 path: PathLike,
                 form: str,
                 resize: str = 'none',
                 background: Union[int, str, None] = 'auto',
                 overlap: str = 'smaller',
                 min_area: int = 1,
                 max_area: Optional[int] = None,
                 points: Optional[PathLike] = None,
                 region_key: Optional[str] = None,
                 world_to_scan: Optional[str] = None,
                 distance: float = 0.05,
                 backend_args: BackendArgs = None) -> None:
        for option, value, choices in (('form', form, tuple(FORMS)),
                                       ('resize', resize, RESIZES),
                                       ('overlap', overlap, OVERLAP_RULES)):
            if value not in choices:
                raise StoreError(f'{option} {value!r} is unknown; choose one '
                                 f'of {", ".join(choices)}')
        check_areas(min_area, max_area)
        self.path = str(path)
        self.form = form
        self.resize = resize
        self.background = background
        self.overlap = overlap
        self.min_area = min_area
        self.max_area = max_area
        self.backend_args = backend_args
        self.needs_depth = form == 'vertices'
        self.groups = VertexGroups(self.path, points, region_key,
                                   world_to_scan, distance, backend_args)

    def settings(self) -> Dict[str, Any]:
        """Files, by the end of their path, and their treatment."""
        shared = dict(
            form=self.form,
            files=last_part(self.path),
            min_area=self.min_area,
            max_area=self.max_area)
        if self.form == 'labels':
            background = 0 if self.background == 'auto' else self.background
            return dict(shared, resize=self.resize, background=background)
        if self.form == 'rle':
            return dict(shared, resize=self.resize, overlap=self.overlap)
        return dict(shared, **self.groups.settings())

    def inputs(self, scan: str, frame: str) -> Dict[str, str]:
        """See :class:`RegionGenerator`."""
        files = (
            self.groups.files(scan)
            if self.form == 'vertices' else [self._find(scan, frame)[0]])
        return dict(files=fingerprint_of_files(files, self.backend_args))

    def generate(
            self, frames: Sequence[RGBDFrame]
    ) -> List[Union[np.ndarray, FrameError]]:
        """See :class:`RegionGenerator`."""
        read = dict(
            labels=self._read_labels,
            rle=self._read_masks,
            vertices=self._render_groups)[self.form]
        return try_each(read, frames)

    def _read_labels(self, frame: RGBDFrame) -> np.ndarray:
        content, name = self._read_file(frame)
        labels = decode_labels(content, name)
        labels = self._fit(labels, frame, name)
        background = self.background
        if background == 'auto':
            background = 0
            _check_background(labels, name)
        labels = labels.astype(np.int64)
        if background is None:
            ids = labels + 1
        else:  # so that a label of 0 can be a region
            ids = np.where(labels == background, 0, labels + 1)
        return number_regions(ids, name, self.min_area, self.max_area)

    def _read_masks(self, frame: RGBDFrame) -> np.ndarray:
        content, name = self._read_file(frame)
        by_score = self.overlap == 'score'
        masks, scores = decode_mask_list(content, name, by_score)
        return merge_masks([self._fit(mask, frame, name) for mask in masks],
                           name,
                           self.overlap,
                           scores=scores if by_score else None,
                           min_area=self.min_area,
                           max_area=self.max_area)

    def _render_groups(self, frame: RGBDFrame) -> np.ndarray:
        return number_regions(
            self.groups.read(frame), f'{frame.scan}/{frame.name}',
            self.min_area, self.max_area)

    def _find(self, scan: str, frame: str) -> Tuple[str, str]:
        """Path of a frame's file and its name in errors."""
        pattern = self.path
        if '{' not in pattern:
            pattern = join(pattern, '{scan}', '{frame}' + FORMS[self.form])
        return fill_pattern(pattern, scan, frame)

    def _read_file(self, frame: RGBDFrame) -> Tuple[bytes, str]:
        """Content of a frame's file and its name in errors."""
        path, name = self._find(frame.scan, frame.name)
        content = read_source_file(path, name, 'make it first',
                                   self.backend_args)
        return content, name

    def _fit(self, image: np.ndarray, frame: RGBDFrame,
             name: str) -> np.ndarray:
        """A label image or mask at the size of the color image."""
        height, width = frame.color.shape[:2]
        if image.shape == (height, width):
            return image
        if self.resize == 'none':
            raise FrameError(
                f'{name} is {image.shape[1]} x {image.shape[0]} pixels, the '
                f'color image {width} x {height}; set resize=nearest if they '
                'show the same')
        return resize_nearest(image, (height, width))


def _check_background(labels: np.ndarray, name: str) -> None:
    """Stop at labels that look as if not 0 but another meant no region."""
    none, _ = find_no_id(labels, labels.dtype)
    if none is not None:
        share = (labels == none).mean()
        raise StoreError(
            f'{name}: label {none} ({share:.0%} of the pixels) looks like '
            f'"no region": set -O background={none}, or background=0 if it '
            'is a region')


def decode_labels(content: bytes, name: str) -> np.ndarray:
    """(H, W) integers of a label image; FrameError for other kinds."""
    if content.startswith(b'\xff\xd8'):
        raise FrameError(f'{name} is a JPEG, which changes labels; store them '
                         'as PNG')
    labels = decode_image(content, name)
    if labels.ndim != 2 or labels.dtype.kind not in 'iub':
        raise FrameError(f'{name} is not a label image: {labels.dtype}, shape '
                         f'{labels.shape}; give integers in one channel')
    return labels


def resize_nearest(image: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Resize (H', W') to (H, W) without mixing values: each pixel takes the
    nearest one of its center."""
    rows, columns = ((np.arange(new) + 0.5) * old / new
                     for old, new in zip(image.shape, size))
    return image[rows.astype(np.int64)[:, None], columns.astype(np.int64)]
