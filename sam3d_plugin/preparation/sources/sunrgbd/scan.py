"""One scan of SUN RGB-D and its geometry.

Frames of reference: camera (x right, y down, z forward), tilted (x right,
y forward, z up, turned with the camera) and upright (the same axes after
``tilt``, z along gravity; the world of this data set). The release counts
pixels from 1; here the first pixel is 0, as in the rest of this package.

Shapes: N points, H W pixels.
"""
import abc
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from ....ops.projection import back_project, project, transform
from ....store.errors import FrameError
from ....store.files import BackendArgs

#: The two sets of boxes: mmdet3d's default, and the older one.
VERSIONS = ('v2', 'v1')

# The release's read3dPoints.m puts everything farther away here.
FARTHEST_MM = 8000

# The camera's axes in the tilted frame, as columns.
_CAMERA_TO_TILTED = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])

# What a point may miss its pixel and its millimeter by: u, v, depth.
_TOLERANCE = (0.1, 0.1, 0.3)


@dataclass(frozen=True)
class Calibration:
    """Camera of a scan as the release states it."""
    intrinsics: np.ndarray  # (3, 3), pixels counted from 1
    # (3, 3) rotation from the tilted to the upright frame; ``Rtilt`` of the
    # release
    tilt: np.ndarray

    def checked(self, name: str) -> 'Calibration':
        """This camera; FrameError unless its numbers are those of one."""
        focal = np.diag(self.intrinsics)[:2]
        if not (np.isfinite(self.intrinsics).all()
                and np.isfinite(self.tilt).all() and (focal > 0).all()):
            raise FrameError(f'{name}: the calibration is not a valid camera; '
                             'take it from the release again')
        return self

    @property
    def pixel_intrinsics(self) -> np.ndarray:
        """(3, 3) intrinsics for pixels counted from 0."""
        result = np.array(self.intrinsics, dtype=np.float64)
        result[:2, 2] -= 1
        return result

    @property
    def pose(self) -> np.ndarray:
        """(4, 4) from the camera to the upright frame."""
        pose = np.eye(4)
        pose[:3, :3] = self.tilt @ _CAMERA_TO_TILTED
        return pose


@dataclass(frozen=True)
class SunBox:
    """One labeled object."""
    name: str  # Its class
    rectangle: np.ndarray  # (4,) x, y, width, height in the image, pixels
    center: np.ndarray  # (3,) upright frame, meters
    # (3,) width, length, height, meters; the length is along ``direction``
    half_sizes: np.ndarray
    direction: np.ndarray  # (2,) x and y of where the front looks

    @classmethod
    def from_numbers(cls, name: str, numbers: np.ndarray) -> 'SunBox':
        """A box from (12,) numbers in the order of the label files."""
        return cls(name, numbers[:4], numbers[4:7], numbers[7:10],
                   numbers[10:12])

    @property
    def box(self) -> np.ndarray:
        """(7,) center, sizes and yaw as mmdet3d's depth boxes have them."""
        width, length, height = 2 * np.abs(self.half_sizes)
        yaw = np.arctan2(self.direction[1], self.direction[0])
        return np.array([*self.center, length, width, height, yaw])

    @property
    def corners(self) -> np.ndarray:
        """(4,) left, top, right and bottom of the rectangle, pixels."""
        x, y, width, height = self.rectangle
        return np.array([x, y, x + width, y + height])


@dataclass(frozen=True)
class SunLabels:
    """A scan without its depth."""
    calibration: Calibration  # Its camera
    boxes: Dict[str, List[SunBox]]  # Lists of :class:`SunBox` by version
    # Number of boxes left out because the release has no rectangle of their
    # class for them, by version
    incomplete: Dict[str, int]


@dataclass(frozen=True)
class SunFrame:
    """The images of a scan."""
    color: bytes  # The JPEG file
    millimeters: np.ndarray  # (H, W) uint16 depth, 0 = none
    pose: np.ndarray  # (4, 4) camera to upright frame
    # (N, 6) float32: xyz in the upright frame, meters, and colors from 0 to 1;
    # in columns of the image
    points: np.ndarray


class SunSource(abc.ABC):
    """Where the scans come from. Names are six digits, ``000001`` on."""

    #: One of the names that the tool's ``--form`` takes.
    form: str
    #: The folder.
    root: str
    #: Sets of boxes that are read, of ``VERSIONS``.
    versions: Tuple[str, ...]
    #: Arguments of the folder's backend.
    backend_args: BackendArgs

    @abc.abstractmethod
    def splits(self) -> Dict[str, List[str]]:
        """Names of the scans of ``train`` and ``val``, sorted."""

    @abc.abstractmethod
    def labels(self, scan: str) -> SunLabels:
        """Calibration and boxes; FrameError when they cannot be read."""

    @abc.abstractmethod
    def files(self, scan: str) -> List[str]:
        """Paths of what labels and frame are read from, in the folder."""

    @abc.abstractmethod
    def frame(self, scan: str) -> SunFrame:
        """Images and points; FrameError when they cannot be read."""


def points_of_depth(millimeters: np.ndarray, color: np.ndarray,
                    calibration: Calibration) -> np.ndarray:
    """The point cloud that the release's scripts make of a depth image.

    Args:
        millimeters (np.ndarray): (H, W) depth, 0 = none.
        color (np.ndarray): (H, W, 3) uint8 RGB.
        calibration (Calibration): Of the scan.

    Returns:
        np.ndarray: (N, 6) float32 as in :class:`SunFrame`.
    """
    height, width = millimeters.shape
    columns, rows = np.nonzero(millimeters.T)
    pixels = rows * width + columns
    xyz = transform(
        back_project(millimeters / 1000, calibration.pixel_intrinsics, pixels),
        calibration.pose)
    rgb = color.reshape(height * width, 3)[pixels] / 255
    return np.concatenate([xyz, rgb], axis=1).astype(np.float32)


def depth_of_points(points: np.ndarray, calibration: Calibration,
                    shape: Tuple[int, int],
                    name: str) -> Tuple[np.ndarray, np.ndarray]:
    """Recover the depth image of a point cloud, and the exact pose.

    Calibration files hold five digits. Pixels and millimeters are integers, so
    they are found exactly nevertheless, and points and pixels together give
    the rotation back to the precision of the points.

    ``points`` (N, 3) or wider are in the upright frame, meters. Returns (H, W)
    uint16 millimeters and the (4, 4) pose from the camera to that frame.
    FrameError when the points are not a back-projected depth image of this
    size and calibration.
    """
    xyz = points[:, :3].astype(np.float64)
    k = calibration.pixel_intrinsics
    uv, z = project(xyz @ calibration.pose[:3, :3], k)
    exact = np.column_stack([uv, 1000 * z])
    rounded = np.round(exact)
    # Written so that NaN does not fit.
    is_fitting = ((np.abs(exact - rounded) < _TOLERANCE) &
                  (rounded >= [0, 0, 1]) &
                  (rounded < [shape[1], shape[0], 2**16])).all(axis=1)
    if not is_fitting.all():
        raise FrameError(
            f'{name}: {(~is_fitting).sum()} of {len(xyz)} points are not '
            'pixels of the image; points, image and calibration must belong '
            'to one scan: extract it again')
    u, v, millimeters = rounded.astype(np.int64).T
    depth = np.zeros(shape, dtype=np.uint16)
    depth[v, u] = millimeters
    if np.count_nonzero(depth) != len(xyz):
        raise FrameError(f'{name}: two points fall in one pixel; extract the '
                         'scan again')
    rays = np.column_stack([(u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1],
                            np.ones(len(u))])
    pose = np.eye(4)
    pose[:3, :3] = fit_rotation(rays * millimeters[:, None] / 1000, xyz)
    return depth, pose


def fit_rotation(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """(3, 3) R for which ``old @ R.T`` is nearest to ``new``, in the sense of
    least squares; both (N, 3)."""
    u, _, vt = np.linalg.svd(new.T @ old)
    sign = np.linalg.det(u) * np.linalg.det(vt)
    return u @ np.diag([1, 1, sign]) @ vt
