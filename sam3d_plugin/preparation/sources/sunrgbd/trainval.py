"""``sunrgbd_trainval``: what VoteNet's MATLAB scripts make of the release."""
from pathlib import PurePosixPath
from typing import Dict, List, Tuple

import numpy as np

from ....store.errors import FrameError, StoreError
from ....store.files import (BackendArgs, PathLike, exists, join, list_names,
                             read_bytes)
from ....store.foreign_files import decode_text
from ....store.posed_images import decode_color
from ..scans.colors import scale_colors
from ..scans.source_files import read_source_file
from .mat_files import decode_mat
from .scan import (Calibration, SunBox, SunFrame, SunLabels, SunSource,
                   depth_of_points)

_FOLDERS = {'v2': 'label', 'v1': 'label_v1'}

# The official test list is the first 5,050 scans of the release.
LAST_OF_VAL = 5050


class TrainvalSource(SunSource):
    """Reads ``depth/*.mat``, ``image``, ``calib``, ``label``, ``label_v1``.

    Args:
        root (PathLike): The folder ``sunrgbd_trainval``.
        versions (Tuple[str, ...]): Sets of boxes to read.
        backend_args (BackendArgs): Arguments of the file backend.

    Raises:
        StoreError: When the folder has another form.
    """

    form = 'trainval'

    def __init__(self,
                 root: PathLike,
                 versions: Tuple[str, ...],
                 backend_args: BackendArgs = None) -> None:
        self.root = str(root)
        self.versions = versions
        self.backend_args = backend_args
        for folder in ('depth', 'image', 'calib', *(_FOLDERS[version]
                                                    for version in versions)):
            if not exists(join(self.root, folder), backend_args):
                hint = (', or add --without-v1'
                        if folder == _FOLDERS['v1'] else '')
                raise StoreError(f'{join(self.root, folder)} is missing; copy '
                                 f'the whole folder{hint}')

    def splits(self) -> Dict[str, List[str]]:
        """Scans with a depth file, by ``train_data_idx.txt`` and its like;
        without these two lists, the first 5,050 are val, as in the release."""
        files = list_names(
            join(self.root, 'depth'), self.backend_args, suffix='.mat')
        names = [PurePosixPath(file).stem for file in files]
        wrong = [n for n in names if not (n.isdecimal() and len(n) == 6)]
        if wrong:
            raise StoreError(f'{join(self.root, "depth")} holds {wrong[0]}'
                             '.mat; scans are named by six digits')
        splits = {}
        for split in ('train', 'val'):
            path = join(self.root, f'{split}_data_idx.txt')
            if exists(path, self.backend_args):
                wanted = self._read_list(path)
            else:
                is_val = split == 'val'
                wanted = {
                    name
                    for name in names if (int(name) <= LAST_OF_VAL) == is_val
                }
            splits[split] = [name for name in names if name in wanted]
        both = sorted(set(splits['train']) & set(splits['val']))
        if both:
            raise StoreError(f'scan {both[0]} is in train_data_idx.txt and in '
                             f'val_data_idx.txt of {self.root}; remove one')
        return splits

    def _read_list(self, path: str) -> set:
        try:
            words = decode_text(read_bytes(path, self.backend_args)).split()
            return {f'{int(word):06d}' for word in words}
        except ValueError as error:
            raise StoreError(f'{path} is not a list of numbers ({error}); '
                             'extract it again') from error

    def labels(self, scan: str) -> SunLabels:
        """See :meth:`SunSource.labels`."""
        boxes = {}
        for version in self.versions:
            path = f'{_FOLDERS[version]}/{scan}.txt'
            lines = self._text(path).splitlines()
            boxes[version] = [
                parse_label(line, path) for line in lines if line.strip()
            ]
        return SunLabels(
            self._calibration(scan), boxes, {v: 0
                                             for v in self.versions})

    def files(self, scan: str) -> List[str]:
        """See :meth:`SunSource.files`."""
        labels = [
            f'{_FOLDERS[version]}/{scan}.txt' for version in self.versions
        ]
        return [
            f'depth/{scan}.mat', f'image/{scan}.jpg', f'calib/{scan}.txt',
            *labels
        ]

    def frame(self, scan: str) -> SunFrame:
        """See :meth:`SunSource.frame`."""
        path = f'depth/{scan}.mat'
        content = self._read(path)
        try:
            points = decode_mat(content, 'instance', path)
        except StoreError as error:
            raise FrameError(str(error)) from error
        if (points.ndim != 2 or points.shape[1] != 6 or not points.size
                or points.dtype.kind != 'f'):
            raise FrameError(f'{path}: instance is {points.dtype} of shape '
                             f'{points.shape}, not (N, 6) numbers')
        try:
            rgb, _ = scale_colors(points[:, 3:])
        except ValueError as error:
            raise FrameError(f'{path}: {error}') from error
        if points[:, 3:].max() > 1:  # the release has 0 to 1
            points = np.concatenate([points[:, :3], rgb / 255], axis=1)
        content = self._read(f'image/{scan}.jpg')
        color = decode_color(content, f'image/{scan}.jpg')
        height, width = color.shape[:2]
        depth, pose = depth_of_points(points, self._calibration(scan),
                                      (height, width), path)
        return SunFrame(content, depth, pose, points.astype(np.float32))

    def _calibration(self, scan: str) -> Calibration:
        path = f'calib/{scan}.txt'
        try:
            numbers = np.array(self._text(path).split(), dtype=float)
            # Both are written column by column.
            tilt, intrinsics = numbers.reshape(2, 3, 3).transpose(0, 2, 1)
        except ValueError as error:
            raise FrameError(f'{path} does not hold two lines of 9 numbers; '
                             'extract it again') from error
        return Calibration(intrinsics, tilt).checked(path)

    def _text(self, path: str) -> str:
        return decode_text(self._read(path))

    def _read(self, path: str) -> bytes:
        """A file by its path in the source."""
        return read_source_file(
            join(self.root, path), path, 'extract it again', self.backend_args)


def parse_label(line: str, path: str) -> SunBox:
    """A line of a label file: class, rectangle, center, half sizes,
    direction.

    Raises FrameError when the line has another form.
    """
    name, *words = line.split()
    try:
        numbers = np.array(words, dtype=np.float64)
        if numbers.shape != (12, ) or not np.isfinite(numbers).all():
            raise ValueError
    except ValueError as error:
        raise FrameError(f'{path}: the line {line[:80]!r} is not a class with '
                         '12 numbers; extract it again') from error
    return SunBox.from_numbers(name, numbers)
