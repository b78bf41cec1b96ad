"""RGB-D frames with poses, in the layout of mmdet3d's ``posed_images``.

    posed_images/<scan>/00000.jpg          color
                        00000.png          depth, uint16 millimeters, 0 = none
                        00000.txt          4x4 pose
                        intrinsic.txt      4x4, of the color images
                        intrinsic_depth.txt   4x4, only if the depth camera
                        depth_to_color.txt    is another one (ours)

Frames of reference: the pose takes the depth camera's frame to the world;
``depth_to_color`` takes the depth camera's frame to the color camera's.

Shapes: H W pixels.
"""
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Dict, List, Optional, Tuple

import numpy as np

from .errors import FrameError
from .files import (BackendArgs, PathLike, exists, join, list_names,
                    read_bytes, write_bytes)
from .foreign_files import parse_numbers
from .frame_checksums import read_frame_checksums
# Also for those who look for them here.
from .image_files import JPEG_QUALITY as JPEG_QUALITY
from .image_files import decode_color as decode_color
from .image_files import decode_depth as decode_depth
from .image_files import decode_image as decode_image
from .image_files import encode_color as encode_color
from .image_files import encode_depth as encode_depth
from .image_files import image_size
from .image_files import is_plain_jpeg as is_plain_jpeg
from .records import fingerprint

INTRINSIC = 'intrinsic.txt'
#: How a scan was imported; ``world`` turned and moved its poses.
IMPORT = 'import.json'
INTRINSIC_DEPTH = 'intrinsic_depth.txt'
DEPTH_TO_COLOR = 'depth_to_color.txt'
_COLOR = ('.jpg', '.jpeg')
_IMAGES = (*_COLOR, '.png')

Size = Tuple[int, ...]  # H, W

# What a rotation may deviate from orthonormal in files of few decimals.
_RIGID_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Cameras:
    """The color and the depth camera of one scan."""
    color_intrinsics: np.ndarray  # (3, 3), pixels of the color images
    depth_intrinsics: np.ndarray  # (3, 3), pixels of the depth images
    # (4, 4) from the depth camera's frame to the color camera's, meters
    depth_to_color: np.ndarray
    # Whether both are one camera: each depth pixel is the color pixel of the
    # same index, and sizes must agree
    is_single: bool


@dataclass(frozen=True)
class RGBDFrame:
    """One RGB-D frame."""
    scan: str  # Name of the scan
    name: str  # Name of the frame, unique in the scan
    color: np.ndarray  # (H, W, 3) uint8, RGB
    depth: np.ndarray  # (H', W') float32, meters, 0 = none
    pose: np.ndarray  # (4, 4) from the depth camera to the world, meters
    cameras: Cameras  # Of the scan


def encode_matrix(matrix: np.ndarray) -> bytes:
    """A 4x4 matrix as text; a 3x3 one is extended by the identity."""
    full = np.eye(4)
    full[:matrix.shape[0], :matrix.shape[1]] = matrix
    rows = [' '.join(repr(float(x)) for x in row) for row in full]
    return ('\n'.join(rows) + '\n').encode()


def decode_matrix(content: bytes, name: str) -> np.ndarray:
    """(4, 4) of a text file; FrameError when it holds something else."""
    try:
        values = np.array(parse_numbers(content), dtype=np.float64)
        return values.reshape(4, 4)
    except ValueError as error:
        raise FrameError(f'{name} does not hold a 4x4 matrix') from error


def check_pose(pose: np.ndarray, name: str) -> np.ndarray:
    """The pose, if it is rigid.

    (4, 4) camera to world. FrameError when a value is not finite or the matrix
    is not a rotation with a translation.
    """
    if not np.isfinite(pose).all():
        raise FrameError(f'{name}: the pose is not finite')
    rotation = pose[:3, :3]
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if (error > _RIGID_TOLERANCE or np.linalg.det(rotation) < 0
            or (pose[3] != [0, 0, 0, 1]).any()):
        raise FrameError(f'{name}: the pose is not a rotation with a '
                         'translation')
    return pose


class PosedImages:
    """Reads and writes the frames of a folder ``posed_images``.

    Args:
        root (PathLike): The folder, local or remote.
        backend_args (BackendArgs): Arguments of the file backend.
    """

    def __init__(self,
                 root: PathLike,
                 backend_args: BackendArgs = None) -> None:
        self.root = str(root)
        self.backend_args = backend_args
        self._cameras: Dict[str, Cameras] = {}
        # Of the last scan that was asked for.
        self._checksums: Tuple[str, Dict[str, str]] = ('', {})

    def scans(self) -> List[str]:
        """Sorted names of the scans: the folders with an intrinsic.txt.

        A folder that lacks it but has color images is one too, so that it
        is named and skipped instead of forgotten.
        """
        return [
            name
            for name in list_names(self.root, self.backend_args, folders=True)
            if exists(self.path(name, INTRINSIC), self.backend_args)
            or list_names(self.path(name), self.backend_args, _COLOR)
        ]

    def frames(self, scan: str) -> List[str]:
        """Sorted names of a scan's frames.

        Names without ending, of all color and depth images: a frame that lacks
        one of them is skipped later. FrameError when two files are one frame's
        color image.
        """
        files = list_names(self.path(scan), self.backend_args, _IMAGES)
        colors = Counter(
            PurePosixPath(file).stem for file in files
            if file.endswith(_COLOR))
        for name, count in colors.items():
            if count > 1:
                raise FrameError(
                    f'{self.label(scan)} has two color images of frame '
                    f'{name}; remove one')
        return sorted({PurePosixPath(file).stem for file in files})

    def checksum(self, scan: str, frame: str) -> str:
        """Checksum of a frame; see :meth:`checksums`."""
        return self.checksums(scan).get(frame, '')

    def checksums(self, scan: str) -> Dict[str, str]:
        """Checksums of a scan's frames; see :func:`read_frame_checksums`."""
        known, checksums = self._checksums
        if known != scan:
            checksums = read_frame_checksums(self.root, scan,
                                             self.backend_args)
            self._checksums = scan, checksums
        return checksums

    def fingerprint(self, scan: str) -> str:
        """One checksum of all current frames of a scan.

        Empty without a record.
        """
        checksums = self.checksums(scan)
        return fingerprint([[name, checksums[name]]
                            for name in self.frames(scan)
                            if name in checksums])

    def path(self, *names: str) -> str:
        """Path of a scan, or of a file in it."""
        return join(self.root, *names)

    def label(self, *names: str) -> str:
        """Name of a file for messages and records, without absolute paths."""
        return join(PurePosixPath(self.root).name, *names)

    def cameras(self, scan: str) -> Cameras:
        """The cameras of a scan.

        FrameError when intrinsic.txt is missing, or a file cannot be used.
        """
        if scan not in self._cameras:
            self._cameras[scan] = self._read_cameras(scan)
        return self._cameras[scan]

    def _read_cameras(self, scan: str) -> Cameras:
        color = self._read_matrix(scan, INTRINSIC)
        if color is None:
            raise FrameError(f'{self.label(scan, INTRINSIC)} is missing; '
                             'write the 4x4 intrinsics of the color images')
        depth = self._read_matrix(scan, INTRINSIC_DEPTH)
        to_color = self._read_matrix(scan, DEPTH_TO_COLOR)
        for file, matrix in ((INTRINSIC, color), (INTRINSIC_DEPTH, depth)):
            if matrix is not None and not (matrix[[0, 1], [0, 1]] > 0).all():
                raise FrameError(f'{self.label(scan, file)} has a focal '
                                 'length that is not above 0')
        if to_color is not None:
            check_pose(to_color, self.label(scan, DEPTH_TO_COLOR))
        return Cameras(
            color_intrinsics=color[:3, :3],
            depth_intrinsics=(color if depth is None else depth)[:3, :3],
            depth_to_color=np.eye(4) if to_color is None else to_color,
            is_single=depth is None and to_color is None)

    def _read_matrix(self, scan: str, file: str) -> Optional[np.ndarray]:
        path = self.path(scan, file)
        if not exists(path, self.backend_args):
            return None
        name = self.label(scan, file)
        matrix = decode_matrix(self._read(scan, file), name)
        if not np.isfinite(matrix).all():
            raise FrameError(f'{name} is not finite')
        return matrix

    def read_color(self, scan: str, frame: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; FrameError when missing or damaged."""
        file = f'{frame}.jpg'
        return decode_color(self._read(scan, file), self.label(scan, file))

    def read_depth(self, scan: str, frame: str) -> np.ndarray:
        """(H, W) float32 meters, 0 = none; FrameError when unusable."""
        file = f'{frame}.png'
        depth = decode_depth(self._read(scan, file), self.label(scan, file))
        return depth.astype(np.float32) / np.float32(1000)

    def read_pose(self, scan: str, frame: str) -> np.ndarray:
        """(4, 4) depth camera to world; FrameError when not rigid."""
        file = f'{frame}.txt'
        name = self.label(scan, file)
        return check_pose(decode_matrix(self._read(scan, file), name), name)

    def read(self, scan: str, frame: str) -> RGBDFrame:
        """A complete frame.

        FrameError when a file is missing or damaged, the pose is not rigid,
        there is no depth, or sizes disagree.
        """
        cameras = self.cameras(scan)
        color = self.read_color(scan, frame)
        depth = self.read_depth(scan, frame)
        self.check_sizes(scan, frame, color.shape[:2], depth.shape)
        return RGBDFrame(scan, frame, color, depth,
                         self.read_pose(scan, frame), cameras)

    def sizes(self, scan: str, frame: str) -> Tuple[Size, Size]:
        """H, W of the color and of the depth image, as their headers say.

        FrameError when one is missing or damaged.
        """
        color, depth = (
            image_size(self._read(scan, file), self.label(scan, file))
            for file in (f'{frame}.jpg', f'{frame}.png'))
        return color, depth

    def check_sizes(self, scan: str, frame: str, color: Size,
                    depth: Size) -> None:
        """FrameError for images of two sizes (H, W) that have one camera."""
        if self.cameras(scan).is_single and color != depth:
            raise FrameError(
                f'{self.label(scan, frame)}: depth is {depth[1]}x{depth[0]}, '
                f'color {color[1]}x{color[0]}, and there is no '
                f'{INTRINSIC_DEPTH} to tell how they belong together')

    def _read(self, scan: str, file: str) -> bytes:
        name = self.label(scan, file)
        try:
            return read_bytes(self.path(scan, file), self.backend_args)
        except FileNotFoundError:
            raise FrameError(f'{name} is missing') from None
        except OSError as error:
            raise FrameError(
                f'{name} cannot be read ({error.strerror})') from error

    def write_cameras(self, scan: str, cameras: Cameras) -> None:
        """Write the cameras of a scan; see :class:`Cameras`."""
        for file, content in camera_files(cameras).items():
            write_bytes(self.path(scan, file), content, self.backend_args)


def camera_files(cameras: Cameras) -> Dict[str, bytes]:
    """The files of a scan's cameras, by name."""
    matrices = {INTRINSIC: cameras.color_intrinsics}
    if not cameras.is_single:
        matrices[INTRINSIC_DEPTH] = cameras.depth_intrinsics
        matrices[DEPTH_TO_COLOR] = cameras.depth_to_color
    return {file: encode_matrix(matrix) for file, matrix in matrices.items()}


def frame_files(color: bytes, millimeters: np.ndarray,
                pose: np.ndarray) -> Dict[str, bytes]:
    """The three files of a frame, by ending; the last marks it as complete.

    Args:
        color (bytes): A JPEG file.
        millimeters (np.ndarray): (H, W) uint16 depth, 0 = none.
        pose (np.ndarray): (4, 4) depth camera to world, meters.

    Returns:
        Dict[str, bytes]: ``.jpg``, ``.png`` and ``.txt``.
    """
    return {
        '.jpg': color,
        '.png': encode_depth(millimeters),
        '.txt': encode_matrix(pose)
    }
