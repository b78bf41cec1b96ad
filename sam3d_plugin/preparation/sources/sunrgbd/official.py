"""The release itself: ``SUNRGBD/`` and the ``.mat`` files beside it.

The annotation files are arrays of structs, one for each scan, whose index
counted from 1 is the scan's name.

Shapes: R boxes, H W pixels.
"""
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.files import BackendArgs, PathLike, exists, join
from ....store.posed_images import decode_color, decode_image
from ..scans.source_files import brief, read_source_file
from .mat_files import numbers_of, read_mat, text_of
from .scan import (FARTHEST_MM, Calibration, SunBox, SunFrame, SunLabels,
                   SunSource, points_of_depth)

BOXES_3D = 'SUNRGBDMeta3DBB_v2.mat'
BOXES_2D = 'SUNRGBDMeta2DBB_v2.mat'
BOXES_V1 = 'SUNRGBDtoolbox/Metadata/SUNRGBDMeta.mat'
SPLIT = 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'

# Paths in the annotations start with the authors' folders, then this one.
_IMAGES = 'SUNRGBD/'


@dataclass(frozen=True)
class BoxTable:
    """The boxes of one scan."""
    names: List[str]  # Their R classes
    numbers: np.ndarray  # (R, 12), see :meth:`SunBox.from_numbers`
    incomplete: int  # See :class:`SunLabels`


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
        # The structs take a gigabyte and minutes to pickle for the workers;
        # what is needed of them takes 10 MB.
        try:
            self._read_annotations()
        except StoreError:
            raise
        except (ValueError, TypeError, LookupError) as error:
            raise StoreError(
                f'{self.root}: the annotations have another form than those '
                f'of the release ({brief(error)}); download the .mat files '
                'again') from error

    def _read_annotations(self) -> None:
        scans = self._read(BOXES_3D, 'SUNRGBDMeta')
        rectangles = self._read(BOXES_2D, 'SUNRGBDMeta2DBB', len(scans))
        self._boxes = {'v2': read_tables(scans, rectangles)}
        if 'v1' in self.versions:
            self._boxes['v1'] = read_tables(
                self._read(BOXES_V1, 'SUNRGBDMeta', len(scans)))
        self._cameras = [(numbers_of(scan['K']), numbers_of(scan['Rtilt']))
                         for scan in scans]
        self._images = [(_relative(text_of(scan['rgbpath'])),
                         _relative(text_of(scan['depthpath'])))
                        for scan in scans]

    def _read(self,
              file: str,
              name: str,
              count: Optional[int] = None) -> np.ndarray:
        """A struct or cell array, flat, with as many elements as wanted."""
        path = join(self.root, file)
        try:
            structs = read_mat(path, name, self.backend_args)
        except FileNotFoundError:
            hint = ', or add --without-v1' if file == BOXES_V1 else ''
            raise StoreError(f'{path} is missing; download it from the page '
                             f'of SUN RGB-D{hint}') from None
        if structs.dtype.names is None and file != SPLIT:
            raise StoreError(f'{path}: {name} is not an array of structs')
        if count not in (None, structs.size):
            raise StoreError(
                f'{path} has {structs.size} scans, but {BOXES_3D} {count}; '
                'both must come from one release')
        return structs.ravel()

    def splits(self) -> Dict[str, List[str]]:
        """Scans whose folders ``allsplit.mat`` lists, by split."""
        split_of = {}
        for split, name in (('train', 'alltrain'), ('val', 'alltest')):
            for cell in self._read(SPLIT, name):
                split_of[_folder(text_of(cell))] = split
        splits: Dict[str, List[str]] = {'train': [], 'val': []}
        for index, (_, image) in enumerate(self._images):
            split = split_of.get(_folder(image.rsplit('/', 2)[0]), '')
            if split and (not self.partial or exists(
                    join(self.root, image), self.backend_args)):
                splits[split].append(f'{index + 1:06d}')
        return splits

    def labels(self, scan: str) -> SunLabels:
        """See :meth:`SunSource.labels`."""
        boxes, incomplete = {}, {}
        for version in self.versions:
            table = self._boxes[version][int(scan) - 1]
            if not np.isfinite(table.numbers).all():
                raise FrameError(f'scan {scan}: an object of {version} lacks '
                                 'center, size or direction; download the '
                                 'annotations again')
            boxes[version] = [
                SunBox.from_numbers(name, numbers)
                for name, numbers in zip(table.names, table.numbers)
            ]
            incomplete[version] = table.incomplete
        return SunLabels(self._calibration(scan), boxes, incomplete)

    def files(self, scan: str) -> List[str]:
        """See :meth:`SunSource.files`."""
        annotations = [BOXES_3D, BOXES_2D]
        if 'v1' in self.versions:
            annotations.append(BOXES_V1)
        return [*annotations, *self._images[int(scan) - 1]]

    def frame(self, scan: str) -> SunFrame:
        """See :meth:`SunSource.frame`."""
        paths = self._images[int(scan) - 1]
        content, depth_file = [self._read_image(path) for path in paths]
        color = decode_color(content, paths[0])
        depth = unrotate_depth(decode_image(depth_file, paths[1]), paths[1])
        if color.shape[:2] != depth.shape:
            raise FrameError(f'{paths[1]} is {depth.shape[::-1]}, but '
                             f'{paths[0]} {color.shape[1::-1]}')
        calibration = self._calibration(scan)
        return SunFrame(content, depth, calibration.pose,
                        points_of_depth(depth, color, calibration))

    def _read_image(self, path: str) -> bytes:
        return read_source_file(
            join(self.root, path), path, 'unzip SUNRGBD.zip again',
            self.backend_args)

    def _calibration(self, scan: str) -> Calibration:
        intrinsics, tilt = self._cameras[int(scan) - 1]
        if intrinsics.shape != (3, 3) or tilt.shape != (3, 3):
            raise FrameError(f'{BOXES_3D}: K and Rtilt of scan {scan} are not '
                             '3x3 matrices')
        return Calibration(intrinsics, tilt).checked(f'{BOXES_3D}, {scan}')


def unrotate_depth(image: np.ndarray, path: str) -> np.ndarray:
    """(H, W) uint16 millimeters, at most ``FARTHEST_MM``, of a 16-bit image of
    the release, whose values are turned left by three bits.

    Raises FrameError when it is not such an image, or all of it is 0.
    """
    if image.ndim != 2 or image.dtype not in (np.uint16, np.int32):
        raise FrameError(f'{path} is not a 16-bit depth image: {image.dtype}, '
                         f'shape {image.shape}')
    if not image.any():
        raise FrameError(f'{path} has no pixel with depth')
    turned = image.astype(np.uint16)
    millimeters = (turned >> 3) | (turned << 13)
    return np.minimum(millimeters, FARTHEST_MM)


def read_tables(scans: np.ndarray,
                others: Optional[np.ndarray] = None) -> List[BoxTable]:
    """The boxes of all scans, from their structs.

    ``others`` have the rectangles, in the same order. Without, they are taken
    from ``scans`` as they come, like the release's scripts do for the older
    boxes.
    """
    tables = []
    for index, scan in enumerate(scans):
        objects = _structs(scan, 'groundtruth3DBB')
        source = scan if others is None else others[index]
        rectangles = _structs(source, 'groundtruth2DBB')
        if others is None and not rectangles:
            rectangles = objects
        tables.append(read_table(objects, rectangles, others is not None))
    return tables


def read_table(objects: Sequence[np.void], rectangles: Sequence[np.void],
               compares_names: bool) -> BoxTable:
    """The boxes of one scan, without those whose rectangle is missing or of
    another class.

    ``objects`` have ``centroid``, ``coeffs``, ``orientation`` and
    ``classname``, ``rectangles`` ``gtBb2D`` and ``classname``, in the same
    order.
    """
    names, rows = [], []
    for index, struct in enumerate(objects):
        name = text_of(struct['classname'])
        rectangle = _rectangle(rectangles, index,
                               name if compares_names else None)
        if rectangle is not None:
            names.append(name)
            rows.append(rectangle + _numbers(struct, 'centroid', 3) +
                        _numbers(struct, 'coeffs', 3) +
                        _numbers(struct, 'orientation', 2))
    return BoxTable(names,
                    np.array(rows).reshape(-1, 12),
                    len(objects) - len(names))


def _numbers(struct: np.void, field: str, count: int) -> List[float]:
    """The first numbers of a field; NaN if there are fewer."""
    values = numbers_of(struct[field]).ravel()[:count].tolist()
    return values if len(values) == count else [np.nan] * count


def _rectangle(rectangles: Sequence[np.void], index: int,
               name: Optional[str]) -> Optional[List[float]]:
    if index >= len(rectangles):
        return None
    struct = rectangles[index]
    values = numbers_of(struct['gtBb2D']).ravel().tolist()
    is_same = name is None or text_of(struct['classname']) == name
    return values if is_same and len(values) == 4 else None


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
