"""Conventions of poses, camera axes and depth.

Shapes: H W pixels.
"""
import io
from dataclasses import dataclass
from typing import Callable, Dict

import numpy as np
from scipy.spatial.transform import Rotation

from ....store.errors import FrameError, StoreError
from ....store.image_files import decode_image

#: What sensors and their drivers write where there is no depth.
NO_DEPTH = 65535.0
_FARTHEST_MM = 65534

# In the camera frame of this package: x right, y down, z forward.
_DIRECTIONS = {
    'right': (1, 0, 0),
    'left': (-1, 0, 0),
    'down': (0, 1, 0),
    'up': (0, -1, 0),
    'forward': (0, 0, 1),
    'backward': (0, 0, -1),
}

#: Where x, y and z of a camera point, by the programs that say so.
CAMERA_AXES: Dict[str, str] = {
    'opencv': 'right,down,forward',
    'opengl': 'right,up,backward',
    'pytorch3d': 'left,up,forward',
    'robot': 'forward,left,up',
    'unity': 'right,up,forward',
    'unreal': 'forward,right,up',
}


def camera_axes(text: str) -> np.ndarray:
    """(3, 3) axes of a camera in terms of ours, as columns.

    ``text`` is one of ``CAMERA_AXES``, or where x, y and z point, as in
    ``right,up,backward``.

    Raises StoreError when it is neither.
    """
    words = CAMERA_AXES.get(text, text).split(',')
    if len(words) == 3 and set(words) <= set(_DIRECTIONS):
        axes = np.array([_DIRECTIONS[word] for word in words], dtype=float).T
        if np.linalg.det(axes):
            return axes
    raise StoreError(f'--camera-axes {text}: use one of '
                     f'{", ".join(CAMERA_AXES)}, or where x, y and z point, '
                     'as in right,up,backward')


def change_axes(pose: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """A pose for our camera axes.

    Args:
        pose (np.ndarray): (4, 4) from a camera of other axes to the world.
        axes (np.ndarray): (3, 3), see :func:`camera_axes`. A left-handed
            camera has a left-handed world, whose x axis is mirrored, unless
            the pose mirrors, too.

    Returns:
        np.ndarray: (4, 4) from our camera to a right-handed world.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = axes.T
    turned = pose @ matrix
    if np.linalg.det(axes) < 0 and np.linalg.det(pose[:3, :3]) > 0:
        turned = np.diag([-1.0, 1.0, 1.0, 1.0]) @ turned
    return turned


def _invert(pose: np.ndarray) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def _transpose_rotation(pose: np.ndarray) -> np.ndarray:
    result = pose.copy()
    result[:3, :3] = pose[:3, :3].T
    return result


def _move_w_first(pose: np.ndarray) -> np.ndarray:
    """The pose whose quaternion w x y z was read as x y z w."""
    result = pose.copy()
    if np.linalg.det(pose[:3, :3]) < 0:  # of no quaternion
        return result
    quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
    result[:3, :3] = Rotation.from_quat(np.roll(quaternion, -1)).as_matrix()
    return result


#: What a pose may say: (4, 4) as read to (4, 4) from the camera to the world.
POSES: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'camera-to-world': lambda pose: pose,
    'world-to-camera': _invert,
    'column-major': lambda pose: pose.T,
    'rotation-transposed': _transpose_rotation,
    'quaternion-wxyz': _move_w_first,
}


@dataclass(frozen=True)
class Convention:
    """Conventions of a recording.

    Args:
        depth_scale (float): Units of the depth images per meter.
        pose_scale (float): Meters per unit of the poses' translations.
        camera_axes (str): See :func:`camera_axes`.
        poses (str): One of ``POSES``.
        depth_along (str): ``'axis'`` for z of the camera, ``'ray'`` for the
            distance from the camera.
        no_depth (float): What the depth images hold where there is none,
            beside 65535 and what is not positive.

    Raises:
        StoreError: When one is unknown, or a scale is not positive.
    """
    depth_scale: float = 1000.0
    pose_scale: float = 1.0
    camera_axes: str = 'opencv'
    poses: str = 'camera-to-world'
    depth_along: str = 'axis'
    no_depth: float = NO_DEPTH

    def __post_init__(self) -> None:
        for option, value in (('--depth-scale', self.depth_scale),
                              ('--pose-scale', self.pose_scale)):
            if not 0 < value < np.inf:
                raise StoreError(f'{option} {value:g} must be positive')
        camera_axes(self.camera_axes)
        for option, text, known in (('--poses', self.poses, tuple(POSES)),
                                    ('--depth-along', self.depth_along,
                                     ('axis', 'ray'))):
            if text not in known:
                raise StoreError(f'{option} {text}: use one of '
                                 f'{", ".join(known)}')

    def pose(self, matrix: np.ndarray) -> np.ndarray:
        """From a (4, 4) pose as read to ours.

        That is from a camera with x right, y down, z forward to the world,
        meters. What is not a rigid motion stays unchanged.
        """
        if not np.isfinite(matrix).all() or (self.poses != 'column-major'
                                             and not _is_rotation(matrix)):
            return matrix
        matrix = POSES[self.poses](matrix).copy()
        matrix[:3, 3] *= self.pose_scale
        return change_axes(matrix, camera_axes(self.camera_axes))

    def meters(self, image: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
        """Depth along the optical axis.

        Args:
            image (np.ndarray): (H, W), as the recording has it.
            intrinsics (np.ndarray): (3, 3) of the depth camera.

        Returns:
            np.ndarray: (H, W) float32, meters, 0 where there is none.
        """
        is_depth = (image > 0) & np.isfinite(image) & ~np.isin(
            image, (NO_DEPTH, self.no_depth))
        meters = np.where(is_depth, image, 0).astype(np.float32)
        meters /= np.float32(self.depth_scale)
        if self.depth_along == 'ray':
            meters /= ray_lengths(image.shape, intrinsics)
        return meters


def _is_rotation(matrix: np.ndarray) -> bool:
    return bool(
        np.isfinite(matrix).all()
        and np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max() < 1e-2)


def ray_lengths(shape: tuple, intrinsics: np.ndarray) -> np.ndarray:
    """Length of each pixel's ray up to depth 1.

    Args:
        shape (tuple): H and W.
        intrinsics (np.ndarray): (3, 3).

    Returns:
        np.ndarray: (H, W) float32, 1 at the principal point.
    """
    v, u = np.indices(shape, dtype=np.float32, sparse=True)
    x = (u - intrinsics[0, 2]) / intrinsics[0, 0]
    y = (v - intrinsics[1, 2]) / intrinsics[1, 1]
    return np.sqrt(1 + x * x + y * y).astype(np.float32)


def decode_depth(content: bytes, path: str) -> np.ndarray:
    """(H, W) depth of an image file, or an array of numpy.save, in the
    recording's unit; FrameError for other kinds."""
    if content.startswith(np.lib.format.MAGIC_PREFIX):
        try:
            image = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise FrameError(f'{path} is damaged ({error})') from error
    else:
        image = decode_image(content, path)
    if image.ndim != 2 or image.dtype.kind not in 'iuf' or (
            image.dtype.itemsize == 1):
        raise FrameError(f'{path} is not a depth image of 16 bits or floats: '
                         f'{image.dtype}, shape {image.shape}')
    return image


def to_millimeters(image: np.ndarray, convention: Convention,
                   intrinsics: np.ndarray, path: str) -> np.ndarray:
    """Depth in millimeters, 0 where there is none.

    Args:
        image (np.ndarray): (H, W), see :func:`decode_depth`.
        convention (Convention): What its values mean.
        intrinsics (np.ndarray): (3, 3) of the depth camera.
        path (str): The file, for the error.

    Returns:
        np.ndarray: (H, W) uint16. Depth beyond 65.5 m is none.

    Raises:
        FrameError: When it has no depth.
    """
    meters = convention.meters(image, intrinsics)
    millimeters = np.round(meters * 1000)
    is_none = millimeters > _FARTHEST_MM
    if (is_none | (millimeters < 1)).all():
        raise FrameError(f'{path} has no pixel with depth')
    return np.where(is_none, 0, millimeters).astype(np.uint16)
