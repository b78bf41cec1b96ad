"""The release itself: ``SUNRGBD/`` and the ``.mat`` files beside it.

The annotation files are arrays of structs, one for each scan, whose index
counted from 1 is the scan's name.
"""
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from ...store.errors import FrameError, StoreError
from ...store.files import BackendArgs, PathLike, exists, join, read_bytes
from ...store.posed_images import decode_color, decode_image
from .mat_files import numbers_of, read_mat, text_of
from .scan import (FARTHEST_MM, Calibration, SunBox, SunFrame, SunLabels,
                   SunSource, points_of_depth)

BOXES_3D = 'SUNRGBDMeta3DBB_v2.mat'
BOXES_2D = 'SUNRGBDMeta2DBB_v2.mat'
BOXES_V1 = 'SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat'
SPLIT = 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'

# Paths in the annotations start with the authors' folders, then this one.
_IMAGES = 'SUNRGBD/'


class OfficialSource(SunSource):
    """Reads the release.

    Args:
        root (PathLike): The folder ``OFFICIAL_SUNRGBD``.
        versions (Tuple[str, ...]): Sets of boxes to read.
        partial (bool): Whether scans whose images are missing are left out.
        backend_args (BackendArgs): Arguments of the file backend.

    Raises:
        StoreError: When an annotation file is missing or of another form.
    """

    form = 'official'

    def __init__(self,
                 root: PathLike,
                 versions: Tuple[str, ...],
                 partial: bool = False,
                 backend_args: BackendArgs = None) -> None:
        self.root = str(root)
        self.versions = versions
        self.partial = partial
        self.backend_args = backend_args
        self._scans = self._read(BOXES_3D, 'SUNRGBDMeta')
        self._rectangles = self._read(BOXES_2D, 'SUNRGBDMeta2DBB')
        both = [self._rectangles]
        if 'v1' in versions:
            self._old = self._read(BOXES_V1, 'SUNRGBDMeta')
            both.append(self._old)
        for other in both:
            if len(other) != len(self._scans):
                raise StoreError(
                    f'{join(self.root, BOXES_3D)} has {len(self._scans)} '
                    f'scans, but a file beside it {len(other)}; all of them '
                    'must come from one release')

    def _read(self, file: str, name: str) -> np.ndarray:
        """A struct array, flat."""
        path = join(self.root, file)
        try:
            structs = read_mat(path, name, self.backend_args)
        except FileNotFoundError:
            hint = ', or add --without-v1' if file == BOXES_V1 else ''
            raise StoreError(f'{path} is missing; download it from the page '
                             f'of SUN RGB-D{hint}') from None
        if structs.dtype.names is None:
            raise StoreError(f'{path}: {name} is no array of structs')
        return structs.ravel()

    def splits(self) -> Dict[str, List[str]]:
        """Scans by the official split.

        Returns:
            Dict[str, List[str]]: Those whose folders ``allsplit.mat`` lists.
        """
        split_of = {}
        for split, name in (('train', 'alltrain'), ('val', 'alltest')):
            for cell in read_mat(
                    join(self.root, SPLIT), name, self.backend_args).ravel():
                split_of[_folder(text_of(cell))] = split
        splits: Dict[str, List[str]] = {'train': [], 'val': []}
        for index, struct in enumerate(self._scans):
            image = _relative(text_of(struct['depthpath']))
            split = split_of.get(_folder(image.rsplit('/', 2)[0]), '')
            if not split:
                continue
            if self.partial and not exists(
                    join(self.root, image), self.backend_args):
                continue
            splits[split].append(f'{index + 1:06d}')
        return splits

    def labels(self, scan: str) -> SunLabels:
        """See :meth:`SunSource.labels`."""
        index = int(scan) - 1
        struct = self._scans[index]
        boxes: Dict[str, List[SunBox]] = {}
        incomplete = {}
        for version in self.versions:
            if version == 'v2':
                objects = _structs(struct, 'groundtruth3DBB')
                rectangles = _structs(self._rectangles[index],
                                      'groundtruth2DBB')
            else:
                objects = _structs(self._old[index], 'groundtruth3DBB')
                rectangles = (
                    _structs(self._old[index], 'groundtruth2DBB') or objects)
            boxes[version] = read_boxes(objects, rectangles, scan)
            incomplete[version] = len(objects) - len(boxes[version])
        return SunLabels(self._calibration(struct, scan), boxes, incomplete)

    def frame(self, scan: str) -> SunFrame:
        """See :meth:`SunSource.frame`."""
        struct = self._scans[int(scan) - 1]
        paths = [
            _relative(text_of(struct[key])) for key in ('rgbpath', 'depthpath')
        ]
        content, depth_file = [self._read_image(path) for path in paths]
        color = decode_color(content, paths[0])
        depth = unrotate_depth(decode_image(depth_file, paths[1]), paths[1])
        if color.shape[:2] != depth.shape:
            raise FrameError(f'{paths[1]} is {depth.shape[::-1]}, but '
                             f'{paths[0]} {color.shape[1::-1]}')
        calibration = self._calibration(struct, scan)
        return SunFrame(content, depth, calibration.pose,
                        points_of_depth(depth, color, calibration))

    def _read_image(self, path: str) -> bytes:
        try:
            return read_bytes(join(self.root, path), self.backend_args)
        except FileNotFoundError:
            raise FrameError(f'{path} is missing; unzip SUNRGBD.zip '
                             'again') from None

    def _calibration(self, struct: np.void, scan: str) -> Calibration:
        intrinsics = numbers_of(struct['K'])
        tilt = numbers_of(struct['Rtilt'])
        if intrinsics.shape != (3, 3) or tilt.shape != (3, 3):
            raise FrameError(f'{BOXES_3D}: K and Rtilt of '
                             f'scan {scan} are no 3x3 matrices')
        return Calibration(intrinsics, tilt)


def unrotate_depth(image: np.ndarray, path: str) -> np.ndarray:
    """Depth of an image of the release.

    Args:
        image (np.ndarray): (H, W) 16 bits, turned left by three bits.
        path (str): The file, for the error.

    Returns:
        np.ndarray: (H, W) uint16 millimetres, at most ``FARTHEST_MM``.

    Raises:
        FrameError: When it is no such image, or all of it is 0.
    """
    if image.ndim != 2 or image.dtype not in (np.uint16, np.int32):
        raise FrameError(f'{path} is no 16-bit depth image: {image.dtype}, '
                         f'shape {image.shape}')
    if not image.any():
        raise FrameError(f'{path} has no pixel with depth')
    turned = image.astype(np.uint16)
    millimetres = (turned >> 3) | (turned << 13)
    return np.minimum(millimetres, FARTHEST_MM)


def read_boxes(objects: Sequence[np.void], rectangles: Sequence[np.void],
               scan: str) -> List[SunBox]:
    """Boxes of one scan that have a rectangle in the image.

    Args:
        objects (Sequence[np.void]): Structs with ``centroid``, ``coeffs``,
            ``orientation`` and ``classname``.
        rectangles (Sequence[np.void]): Structs with ``gtBb2D`` and
            ``classname``, in the same order.
        scan (str): Name of the scan, for the error.

    Returns:
        List[SunBox]: Without those whose rectangle is missing or of another
        class.

    Raises:
        FrameError: When a box lacks a number.
    """
    boxes = []
    for index, struct in enumerate(objects):
        name = text_of(struct['classname'])
        rectangle = _rectangle(rectangles, index, name)
        if rectangle is None:
            continue
        numbers = [
            numbers_of(struct[key]).ravel()[:size]
            for key, size in (('centroid', 3), ('coeffs', 3), ('orientation',
                                                               2))
        ]
        if [len(n) for n in numbers
            ] != [3, 3, 2] or not np.isfinite(np.concatenate(numbers)).all():
            raise FrameError(f'scan {scan}: its object {index + 1} ({name}) '
                             'lacks centre, size or direction; download the '
                             'annotations again')
        boxes.append(SunBox(name, rectangle, *numbers))
    return boxes


def _rectangle(rectangles: Sequence[np.void], index: int, name: str) -> Any:
    if index >= len(rectangles):
        return None
    struct = rectangles[index]
    values = numbers_of(struct['gtBb2D']).ravel()
    is_same = text_of(struct['classname']) == name
    return values if is_same and values.shape == (4, ) else None


def _structs(parent: np.void, field: str) -> List[np.void]:
    """Elements of a struct array inside a struct; none if it is empty."""
    if field not in (parent.dtype.names or ()):
        return []
    value = parent[field]
    return list(value.ravel()) if value.dtype.names else []


def _relative(path: str) -> str:
    """A path of the annotations without the authors' folders."""
    return _IMAGES + path.partition(_IMAGES)[2]


def _folder(path: str) -> str:
    """A scan's folder in one spelling: some have slashes doubled."""
    return '/'.join(word for word in _relative(path).split('/') if word)
