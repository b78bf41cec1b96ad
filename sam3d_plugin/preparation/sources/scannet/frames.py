"""From ``.sens`` recordings to ``posed_images``.

A frame's name is its number in the recording, so that frame 00025 is the
same one whatever the stride. mmdet3d reads the names from the folder.

Shapes: H W pixels.
"""
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence

import cv2
import numpy as np

from ....ops.projection import scale_intrinsics
from ....store.errors import FrameError, StoreError
from ....store.files import (BackendArgs, PathLike, exists,
                             fingerprint_of_files, join)
from ....store.image_files import image_size
from ....store.posed_images import (DEPTH_TO_COLOR, INTRINSIC, INTRINSIC_DEPTH,
                                    JPEG_QUALITY, Cameras, check_pose,
                                    decode_color, encode_color, encode_matrix,
                                    frame_files)
from ...checking.scan_checks import CHECKS, check_source
from ...checking.source_frames import Source, SourceFrame, sample
from ...running.frame_steps import FrameStep, Product
from .layout import find_folders, relative_names
from .sens import SensFile, SensHeader, decode_depth

# The paper takes one frame in so many.
DEFAULT_STRIDE = 25


class SensFrames(FrameStep):
    """Takes every ``stride``-th frame out of the recordings.

    JPEG color is copied byte for byte; depth becomes uint16 millimeters.
    Frames without a finite, rigid pose or without any depth are skipped.

    Args:
        source (PathLike): The release (``scans/``, ``scans_test/``) or a
            folder of scan folders.
        stride (int): One frame in so many.
        resize_color (bool): Make color images as large as the depth images;
            they are re-encoded.
        only (Optional[Sequence[str]]): Names of the scans to take; None takes
            every scan that has a recording.
        backend_args (BackendArgs): Arguments of the source's backend.
        is_checked (bool): Whether scans whose frames disagree are refused.

    Raises:
        StoreError: When the stride is not positive.
    """
    kind = 'posed_images'
    batch_size = 8

    def __init__(self,
                 source: PathLike,
                 stride: int = DEFAULT_STRIDE,
                 resize_color: bool = False,
                 only: Optional[Sequence[str]] = None,
                 backend_args: BackendArgs = None,
                 is_checked: bool = True) -> None:
        if stride < 1:
            raise StoreError(f'invalid stride {stride}: must be >= 1')
        self.source = str(source)
        self.stride = stride
        self.resize_color = resize_color
        self.only = only
        self.backend_args = backend_args
        self.is_checked = is_checked
        self._folders: Dict[str, str] = {}
        self._file: Optional[SensFile] = None

    def __getstate__(self) -> Dict[str, Any]:
        """Workers open their files themselves."""
        return dict(self.__dict__, _file=None)

    def settings(self) -> Dict[str, Any]:
        """Stride, and what becomes of color."""
        color = f'resized, JPEG {JPEG_QUALITY}' if (
            self.resize_color) else 'as recorded'
        return dict(source='scannet', stride=self.stride, color=color)

    def scans(self) -> List[str]:
        """Scans with a recording; StoreError when an asked one has none."""
        self._folders = find_folders(self.source, self.backend_args)
        asked = self._folders if self.only is None else self.only
        found = [scan for scan in asked if self._has_recording(scan)]
        missing = sorted(set(asked) - set(found))
        if self.only is not None and missing:
            raise StoreError(
                f'{self.source} has no recording {missing[0]}/{missing[0]}'
                f'.sens ({len(missing)} of {len(asked)} asked scans have '
                'none); download it, or leave it out')
        if not found:
            raise StoreError(
                f'{self.source} has no recording <scan>/<scan>.sens in its '
                f'{len(asked):,} folders; download them, or give the folder '
                'of the release')
        return sorted(found)

    def _has_recording(self, scan: str) -> bool:
        return scan in self._folders and exists(
            self._path(scan), self.backend_args)

    def _path(self, scan: str) -> str:
        return join(self._folders[scan], f'{scan}.sens')

    def items(self, scan: str) -> List[str]:
        """Numbers of the frames that the header promises, as names."""
        with relative_names(self.source):
            count = self._open(scan).header.num_frames
        digits = max(5, len(str(count - 1)))
        return [f'{i:0{digits}}' for i in range(0, count, self.stride)]

    def paths(self, scan: str, item: str) -> List[str]:
        """Color, depth and pose."""
        return [f'{scan}/{item}{end}' for end in ('.jpg', '.png', '.txt')]

    def begin(self, scan: str) -> Dict[str, bytes]:
        """The two cameras; FrameError when the header's are unusable."""
        with relative_names(self.source):
            file = self._open(scan)
            matrices = camera_matrices(file.header, self.resize_color,
                                       file.path)
        files = {
            f'{scan}/{name}': encode_matrix(matrix)
            for name, matrix in matrices.items()
        }
        checks = check_source(self._sample(scan), is_checked=self.is_checked)
        return dict(files, **{f'{scan}/{CHECKS}': checks.to_json()})

    def _sample(self, scan: str) -> Source:
        """Some frames; bad ones are left out."""

        def read(item: str) -> SourceFrame:
            frame = file.frame(int(item))
            return SourceFrame(
                color_pixels(frame.color, header, file.path),
                decode_depth(frame.depth, header, file.path), frame.pose)

        with relative_names(self.source):
            file = self._open(scan)
            header = file.header
            matrices = camera_matrices(header, False, file.path)
            frames, cameras = sample(
                self.items(scan), read,
                Cameras(matrices[INTRINSIC][:3, :3],
                        matrices[INTRINSIC_DEPTH][:3, :3],
                        matrices[DEPTH_TO_COLOR], False))
        return Source(
            scan,
            frames,
            cameras,
            remedy='; copy it again, or add --unchecked')

    def make(self, scan: str, item: str) -> Product:
        with relative_names(self.source):
            file = self._open(scan)
            frame = file.frame(int(item))
            name = f'{file.path}, frame {item}'
            pose = check_pose(frame.pose, name)
            depth = decode_depth(frame.depth, file.header, name)
            if not depth.any():
                raise FrameError(f'{name}: no pixel has depth')
            color = color_jpeg(frame.color, file.header, self.resize_color,
                               name)
        contents = frame_files(color, depth, pose).values()
        return Product(
            dict(zip(self.paths(scan, item), contents)),
            dict(depth_share=np.count_nonzero(depth) / depth.size))

    def inputs(self, scan: str, item: str) -> Dict[str, str]:
        """The recording."""
        path = self._open(scan).path
        return dict(recording=fingerprint_of_files([path], self.backend_args))

    def _open(self, scan: str) -> SensFile:
        """The scan's file, kept open until another scan's is needed."""
        if not self._folders:
            self._folders = find_folders(self.source, self.backend_args)
        path = self._path(scan)
        if self._file is None or self._file.path != path:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._file = SensFile(path, self.backend_args)
        return self._file


def camera_matrices(header: SensHeader, resize_color: bool,
                    name: str) -> Dict[str, np.ndarray]:
    """Intrinsics of both cameras, and the matrix from the depth camera's frame
    to the color camera's, meters, by the names of their files.

    FrameError when intrinsics are not a pinhole camera's or extrinsics are not
    rigid.
    """
    for kind, matrix in (('color', header.color_intrinsics),
                         ('depth', header.depth_intrinsics)):
        if not np.isfinite(matrix).all() or (np.diag(matrix)[:2] <= 0).any():
            raise FrameError(f'{name}: the {kind} intrinsics are not a '
                             f'pinhole camera: {matrix.tolist()}; copy it '
                             'again')
    extrinsics = [
        check_pose(matrix.astype(np.float64), f'{name}, {kind} extrinsics')
        for kind, matrix in (('color', header.color_extrinsics),
                             ('depth', header.depth_extrinsics))
    ]
    color = header.color_intrinsics
    if resize_color:
        color = scale_intrinsics(color, header.color_size, header.depth_size)
    return {
        INTRINSIC: color,
        INTRINSIC_DEPTH: header.depth_intrinsics,
        DEPTH_TO_COLOR: np.linalg.inv(extrinsics[0]) @ extrinsics[1]
    }


def color_jpeg(content: bytes, header: SensHeader, resize: bool,
               name: str) -> bytes:
    """Color of one frame as a JPEG file: the very bytes of the recording if
    they are JPEG and keep their size.

    Raises FrameError when it is damaged or not of the header's size.
    """
    if header.color_format == 'jpeg' and not resize:
        # PIL does not notice the missing end of an image it does not decode.
        if not content.rstrip(b'\0').endswith(b'\xff\xd9'):
            raise FrameError(f'{name}: the color is a truncated JPEG')
        if image_size(content, name) == header.color_size:
            return content
    image = color_pixels(content, header, name)
    if resize:
        image = cv2.resize(
            image, header.depth_size[::-1], interpolation=cv2.INTER_AREA)
    return encode_color(image)


def color_pixels(content: bytes, header: SensHeader, name: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of one frame; FrameError when it is damaged or not
    of the header's size."""
    if header.color_format == 'raw':
        if len(content) != 3 * header.color_size[0] * header.color_size[1]:
            raise FrameError(f'{name}: the color is not of the size '
                             f'{header.color_size} that the header tells')
        shape = (*header.color_size, 3)
        image: np.ndarray = np.frombuffer(content, np.uint8).reshape(shape)
    else:
        image = decode_color(content, name)
    if image.shape[:2] != header.color_size:
        raise FrameError(f'{name}: the color is {image.shape[:2]}, not of the '
                         f'size {header.color_size} that the header tells')
    return image


def count_reasons(skipped: Mapping[str, str]) -> Dict[str, int]:
    """Number of skipped frames by reason, most frequent first."""
    return dict(
        Counter(text.rpartition(': ')[2]
                for text in skipped.values()).most_common())
