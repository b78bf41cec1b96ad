"""Cameras and rotations from a few numbers, in a file or as given."""
from typing import List

import numpy as np

from ....store.errors import StoreError
from ....store.files import BackendArgs, exists, read_bytes
from ....store.foreign_files import parse_numbers
from ....store.posed_images import Cameras
from ..scans.source_files import brief

# A vector shorter than this says nothing about a direction.
_SHORTEST = 1e-6

# What computing leaves of the 0 and 1 of a matrix.
_NOISE = 1e-6

# The y axis of a camera whose focal length is negative points up.
_MIRROR_Y = np.diag([1.0, -1.0, 1.0, 1.0])


def read_numbers(value: str, backend_args: BackendArgs = None) -> List[float]:
    """Finite numbers separated by commas, or in a file, where what follows a #
    in a line is skipped.

    Raises StoreError when it is neither, or one is not finite.
    """
    try:
        numbers = [float(word) for word in value.split(',')]
    except ValueError:
        if not exists(value, backend_args):
            raise StoreError(f'{value} is neither a file nor numbers '
                             'separated by commas') from None
        try:
            numbers = parse_numbers(read_bytes(value, backend_args))
        except (OSError, ValueError) as error:
            raise StoreError(f'{value} cannot be read ({brief(error)}); give '
                             'a text file of numbers alone') from error
    if not np.isfinite(numbers).all():
        raise StoreError(f'{value} holds a number that is not finite')
    return numbers


def read_intrinsics(value: str,
                    backend_args: BackendArgs = None) -> np.ndarray:
    """(3, 3) of a pinhole camera, pixels.

    ``value`` is as in :func:`read_numbers`: fx, fy, cx, cy, or a 3x3 or 4x4
    matrix row by row. fy is negative if y points up.

    Raises StoreError when it is something else.
    """
    numbers = read_numbers(value, backend_args)
    if len(numbers) == 4:
        fx, fy, cx, cy = numbers
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    side = {9: 3, 16: 4}.get(len(numbers))
    matrix = np.eye(3)
    if side:
        matrix = np.array(numbers).reshape(side, side)[:3, :3]
    exact = matrix * [[1, 0, 1], [0, 1, 1], [0, 0, 0]] + np.diag([0, 0, 1.])
    if not side or matrix[0, 0] <= 0 or matrix[1, 1] == 0 or np.abs(
            matrix - exact).max() > _NOISE:
        raise StoreError(f'{value} does not hold intrinsics; write fx fy cx '
                         'cy, or the 3x3 matrix row by row, without skew')
    return exact


def read_transform(value: str, backend_args: BackendArgs = None) -> np.ndarray:
    """(4, 4) of a rigid motion.

    ``value`` is as in :func:`read_numbers`: a translation, or a 3x4 or 4x4
    matrix row by row, meters.

    Raises StoreError when it is something else.
    """
    numbers = read_numbers(value, backend_args)
    matrix = np.eye(4)
    if len(numbers) == 3:
        matrix[:3, 3] = numbers
    elif len(numbers) in (12, 16):
        rows = np.array(numbers).reshape(-1, 4)
        matrix[:len(rows)] = rows
    rotation = matrix[:3, :3]
    if len(numbers) not in (3, 12, 16) or (np.abs(rotation @ rotation.T -
                                                  np.eye(3)).max() > 1e-2
                                           or np.linalg.det(rotation) < 0):
        raise StoreError(f'{value} does not hold a rigid motion; write a '
                         'translation of 3 numbers or the 4x4 matrix, meters')
    return matrix


def rotation_to_z(up: np.ndarray) -> np.ndarray:
    """The shortest rotation that turns a direction to z.

    Args:
        up (np.ndarray): (3,) of any length.

    Returns:
        np.ndarray: (3, 3); half a turn about x for the opposite of z.

    Raises:
        StoreError: When the vector has no direction.
    """
    length = np.linalg.norm(up)
    if length < _SHORTEST:
        raise StoreError(f'{up.tolist()} points nowhere; give the direction '
                         'that points up')
    x, y, z = up / length
    if z < -1 + _SHORTEST:
        return np.diag([1.0, -1.0, -1.0])
    # I + [v] + [v]^2 / (1 + c), with v the cross product of up and z.
    v = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])
    return np.eye(3) + v + v @ v / (1 + z)


def make_right_handed(cameras: Cameras) -> Cameras:
    """Cameras whose y axes point down, as everywhere else here.

    Those with a negative fy get positive focal lengths, in camera frames
    mirrored in y. Poses need :func:`mirror_pose`, which mirrors the world too,
    so that they stay rotations; images stay as they are. StoreError when only
    one of the cameras has a negative fy.
    """
    signs = {
        cameras.color_intrinsics[1, 1] < 0, cameras.depth_intrinsics[1, 1] < 0
    }
    if signs == {False}:
        return cameras
    if len(signs) > 1:
        raise StoreError('fy is negative in one camera only; give both '
                         'intrinsics in one convention')
    flip = np.diag([1.0, -1.0, 1.0])
    return Cameras(cameras.color_intrinsics @ flip,
                   cameras.depth_intrinsics @ flip,
                   mirror_pose(cameras.depth_to_color), cameras.is_single)


def mirror_pose(pose: np.ndarray) -> np.ndarray:
    """(4, 4) between two frames after both are mirrored in y."""
    return _MIRROR_Y @ pose @ _MIRROR_Y
